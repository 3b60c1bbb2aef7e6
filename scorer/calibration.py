"""From logits to probabilities: Platt scaling per LLM (Platt 1999), fitted on queries that no weight was fitted on, shrunk to no change."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from scorer.initialisation import Labels
from scorer.weights import Calibration, sigmoid

BOUNDS = [(0.05, 20.0), (-20.0, 20.0)]  # of slope and intercept: no order is ever turned around
SMALLEST = 1e-12  # sum of a query's weights that is divided by


def fit(logits_QL: NDArray[np.float64], labels_QL: Labels, weights_QL: Labels | None = None, *, pull: float = 300.0) -> Calibration:
    """Slope and intercept per LLM, shrunk twice.

    logits_QL, labels_QL: (Q, L), labels NaN where unknown. weights_QL: how much each label counts; None: 1.

    1. One common slope and intercept is fitted to the labels of all LLMs, shrunk to slope 1 and intercept 0. Here a query counts once,
       as much as its weightiest label: its labels share its luck, easy or hard.
    2. Each LLM's own slope and intercept is fitted to its labels, shrunk to the common ones. An LLM without labels keeps those.

    `pull` is the strength of both, in labels. It is strong because an intercept per LLM re-ranks LLMs: with pull 10, fitted on 100 labels
    each, it cost 2 points of realised quality on recorded outcomes. It is not endless because an LLM whose scores are on another scale
    than the others' would stay wrong, and be chosen for it.
    """
    labelled_QL = ~np.isnan(labels_QL)
    weights_QL = np.where(labelled_QL, 1.0 if weights_QL is None else weights_QL, 0.0)
    shares_QL = weights_QL * weights_QL.max(axis=1, keepdims=True) / np.maximum(weights_QL.sum(axis=1, keepdims=True), SMALLEST)
    common = _platt(logits_QL[labelled_QL], labels_QL[labelled_QL], shares_QL[labelled_QL], np.array([1.0, 0.0]), pull)
    fitted_L = [
        _platt(logits_Q[labelled_Q], labels_Q[labelled_Q], weights_Q[labelled_Q], common, pull)
        for logits_Q, labels_Q, weights_Q, labelled_Q in zip(logits_QL.T, labels_QL.T, weights_QL.T, labelled_QL.T, strict=True)
    ]
    return Calibration(slope_L=np.array([slope for slope, _ in fitted_L]), intercept_L=np.array([start for _, start in fitted_L]))


def _platt(
    logits_N: NDArray[np.float64], labels_N: NDArray[np.float64], weights_N: NDArray[np.float64], prior: NDArray[np.float64], pull: float
) -> NDArray[np.float64]:
    """[slope, intercept] that minimise  sum of weight * cross-entropy + pull / 8 * |[slope, intercept] - prior|^2.

    The penalty's curvature, pull / 4, is that of `pull` labels at most: the cross-entropy of one label has at most 1/4.
    """
    if not len(logits_N):
        return prior

    def cost(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scaled_N = at[0] * logits_N + at[1]
        wrong_N = weights_N * (sigmoid(scaled_N) - labels_N)
        entropy = float((weights_N * (np.logaddexp(0.0, scaled_N) - labels_N * scaled_N)).sum())
        away = at - prior
        return entropy + pull / 8 * float(away @ away), np.array([wrong_N @ logits_N, wrong_N.sum()]) + pull / 4 * away

    return np.asarray(minimize(cost, prior, jac=True, method="L-BFGS-B", bounds=BOUNDS).x, dtype=np.float64)
