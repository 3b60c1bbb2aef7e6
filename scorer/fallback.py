"""How far from its training queries a scorer is still to be believed: as far as nearly all held-out queries are.

What sets a query apart is learnt where there are training queries; beyond them it is extrapolated, and wrong by any amount. Held-out
queries show how near the usual query comes. The farthest few of them, and every other query as far, get each LLM's overall log-odds
instead. Nothing else is fitted: no group of queries is left out.
"""

import numpy as np

from scorer.initialisation import group_centres
from scorer.types import Floats
from scorer.weights import Fallback, HeadWeights, centred, nearness

LANDMARKS = 64  # centres of training queries; the mean AUROC of telling unseen tasks apart is .68 with 16, .71 with 64, .72 with 256


def fit(weights: HeadWeights, training_QD: Floats, held_QD: Floats, seed: int, fallback_share: float) -> Fallback:
    """The fallback of `weights`, which were trained on `training_QD`, from queries held out of that, [Q, D] each: `fallback_share` of them,
    in (0, 1), is beyond its edge.
    """
    landmarks_MD = group_centres(centred(training_QD, weights.centre_D), LANDMARKS, seed, starts=1)
    return around(landmarks_MD, weights, held_QD, fallback_share)


def around(landmarks_MD: Floats, weights: HeadWeights, held_QD: Floats, fallback_share: float) -> Fallback:
    """The fallback around these landmarks [M, D] (unit norm); `fallback_share` of the queries `held_QD` is beyond its edge."""
    near_Q = nearness(centred(held_QD, weights.centre_D), landmarks_MD)
    return Fallback(landmarks_MD, float(np.quantile(near_Q, fallback_share)))
