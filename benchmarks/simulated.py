"""Simulated LLMs, to see how training and deciding grow with the pool: nothing about quality on real LLMs follows from them.

Each is a random mixture of the recorded LLMs' trained rows (Dirichlet, 1 of each) in log-odds, shifted as a whole by N(0, 0.5) and per
group of queries by N(0, 0.5). A label is drawn for every query, 1 with the chance that gives, independently of the others.
"""

import numpy as np

from scorer.initialisation import Labels
from scorer.types import Floats
from scorer.weights import Calibration, Weights, centred, membership, sigmoid

SHIFT = 0.5  # log-odds


def labels(weights: Weights, calibration: Calibration, queries_QD: Floats, count: int, seed: int) -> Labels:
    """labels_QS of `count` simulated LLMs."""
    dice = np.random.default_rng(seed)
    logits_QL = calibration.slope_L * weights.logits(queries_QD) + calibration.intercept_L
    member_QG = membership(centred(queries_QD, weights.centre_D), weights.groups_GD, weights.softness)
    shares_LS = dice.dirichlet(np.ones(len(weights.roster)), size=count).T
    shifts_GS = SHIFT * (dice.normal(size=count) + dice.normal(size=(len(weights.groups_GD), count)))
    chances_QS = sigmoid(logits_QL @ shares_LS + member_QG @ shifts_GS)
    return np.asarray(dice.random(chances_QS.shape) < chances_QS, dtype=np.float64)
