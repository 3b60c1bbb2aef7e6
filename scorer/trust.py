"""How far a score is believed: the less, the farther a query is from all training queries; beyond that, what is good overall.

What sets a query apart is learnt where there are training queries; beyond them it is extrapolated. How much of it holds there is measured:
whole kinds of training queries are left out, and how fast the share of a score that is believed falls with distance is fitted so that the
promises for them, and for queries of known kinds, are likeliest. Known kinds lose next to nothing: nine in ten of their queries are
believed. Where distance does not tell other kinds from them, so is everything. How far each LLM's rate on a left-out kind was from its
promise is its spread.
"""

import numpy as np
from numpy.typing import NDArray

from scorer.folds import FEWEST, KNOWN, LEFT_OUT, Folds
from scorer.initialisation import Embedded, Shrinkage, group_centres
from scorer.types import Floats
from scorer.weights import HeadWeights, Trust, centred, log_odds, nearness, sigmoid

LANDMARKS = 64  # centres of training queries; the mean AUROC of telling unseen tasks apart is .68 with 16, .71 with 64, .72 with 256
BELIEVED, OF = 0.95, 0.9  # at least that share of a score, for that share of the queries of known kinds
STEEPEST = 50.0  # of the share, in log-odds per unit of cosine
LEAST_SPREAD, MOST_SPREAD = 0.1, 3.0  # in log-odds


def fit(weights: HeadWeights, training: Embedded, shrinkage: Shrinkage, seed: int) -> Trust | None:
    """The trust of `weights`, which were trained on `training`; None where that is too little to leave some of it out.

    Without trust every score is believed.
    """
    if len(training.queries_QD) < FEWEST:
        return None
    folds = Folds.of(training, training.queries_QD.shape[1], shrinkage.groups, seed)
    labels_QL = folds.training.labels_QL
    near, own, overall, labels = [], [], [], []
    known: list[NDArray[np.float64]] = []
    left_out_QL = np.full(labels_QL.shape, np.nan)
    for fold in folds.starts(shrinkage):
        start, out_Q = fold.start, fold.out_Q
        seen_QD = centred(folds.training.queries_QD[~out_Q], start.centre_D)
        logits_QL = start.logits(folds.training.queries_QD[out_Q])
        near.append(nearness(centred(folds.training.queries_QD[out_Q], start.centre_D), _landmarks(seen_QD, seed)))
        own.append(logits_QL - start.overall_L)
        overall.append(np.broadcast_to(start.overall_L, logits_QL.shape))
        labels.append(labels_QL[out_Q])
        if fold.way == KNOWN:
            known.append(near[-1])
        if fold.way == LEFT_OUT:
            left_out_QL[out_Q] = logits_QL
    edge = float(np.quantile(np.concatenate(known), 1 - OF))
    slope = _likeliest(np.concatenate(near) - edge, np.concatenate(own), np.concatenate(overall), np.concatenate(labels))
    spread_L = _spread(sigmoid(left_out_QL), labels_QL, folds.kinds_Q)
    landmarks_MD = _landmarks(centred(training.queries_QD, weights.centre_D), seed)
    return Trust(landmarks_MD, log_odds(BELIEVED) - slope * edge, slope, spread_L.astype(np.float32))


def _landmarks(centred_QD: Floats, seed: int) -> Floats:
    return group_centres(centred_QD, LANDMARKS, seed, starts=1)


def _likeliest(
    beyond_N: NDArray[np.float64], own_NL: NDArray[np.float64], overall_NL: NDArray[np.float64], labels_NL: NDArray[np.float64]
) -> float:
    """Slope of the share by least cross-entropy with the known labels. beyond_N: nearness over that at which the share is BELIEVED."""
    from scipy.optimize import minimize_scalar

    known_NL = ~np.isnan(labels_NL)
    labels_NL = np.where(known_NL, labels_NL, 0.0)

    def cost(slope: float) -> float:
        share_N1 = sigmoid(log_odds(BELIEVED) + slope * beyond_N)[:, None]
        logits_NL = overall_NL + share_N1 * own_NL
        entropy_NL = np.logaddexp(0.0, logits_NL) - labels_NL * logits_NL
        return float(entropy_NL[known_NL].mean())

    return float(minimize_scalar(cost, bounds=(0.0, STEEPEST), method="bounded").x)


def _spread(promised_QL: NDArray[np.float64], labels_QL: NDArray[np.float64], kinds_Q: NDArray[np.generic]) -> NDArray[np.float64]:
    """How far an LLM's mean log-odds on a kind that was left out is from what was promised, as a standard deviation.

    What chance alone makes of so few labels is taken off; an LLM with too few has the mean of the others.
    """
    squares, chances = [], []
    for kind in np.unique(kinds_Q):
        inside_Q = kinds_Q == kind
        known_QL = ~np.isnan(labels_QL[inside_Q]) & ~np.isnan(promised_QL[inside_Q])
        count_L = known_QL.sum(axis=0)
        wrong_QL = np.where(known_QL, labels_QL[inside_Q] - promised_QL[inside_Q], 0.0)
        slope_QL = np.where(known_QL, promised_QL[inside_Q] * (1 - promised_QL[inside_Q]), 0.0)
        slope_L = np.maximum(slope_QL.sum(axis=0) / np.maximum(count_L, 1), 0.02)
        error_L = wrong_QL.sum(axis=0) / np.maximum(count_L, 1) / slope_L
        squares.append(np.where(count_L >= 5, error_L**2, np.nan))
        chances.append(np.where(count_L >= 5, 1 / (np.maximum(count_L, 1) * slope_L), np.nan))
    errors_KL = np.array(squares) - np.array(chances)
    counted_KL = ~np.isnan(errors_KL)
    pooled = float(errors_KL[counted_KL].mean()) if counted_KL.any() else 1.0
    sums_L = np.where(counted_KL, errors_KL, 0.0).sum(axis=0) + 2 * pooled  # shrunk to all LLMs' by two kinds
    spread_L = np.sqrt(np.maximum(sums_L / (counted_KL.sum(axis=0) + 2), 0.0))
    return np.asarray(np.clip(spread_L, LEAST_SPREAD, MOST_SPREAD), dtype=np.float64)
