"""From logits to probabilities: Platt scaling per LLM, fitted on queries no weight saw, shrunk to no change; and how good they are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from scorer.initialisation import Labels
from scorer.types import Floats
from scorer.weights import Calibration, sigmoid

BOUNDS = [(0.05, 20.0), (-20.0, 20.0)]  # of slope and intercept: no order is ever turned around
SMALLEST = 1e-12  # sum of a query's weights that is divided by


def fit(logits_QL: NDArray[np.float64], labels_QL: Labels, weights_QL: Labels | None = None, *, pull: float = 300.0) -> Calibration:
    """Slope and intercept per LLM, pulled with the weight of `pull` labels to those that fit all LLMs best, which are pulled with
    that of `pull` queries to 1 and 0. An LLM without calibration labels gets the common ones. weights_QL: how much each label counts;
    None: in full.

    For what all LLMs have in common a query counts once, as its best label does: its labels share its luck, easy or hard. An LLM's own
    part is weak, because an intercept per LLM re-ranks LLMs: from 100 labels each (pull 10) it cost 2 points of realised quality on
    recorded outcomes. Without it an LLM whose scores are unlike the others' stays wrong, and is chosen for it.
    """
    known_QL = ~np.isnan(labels_QL)
    weights_QL = np.where(known_QL, 1.0 if weights_QL is None else weights_QL, 0.0)
    shares_QL = weights_QL * weights_QL.max(axis=1, keepdims=True) / np.maximum(weights_QL.sum(axis=1, keepdims=True), SMALLEST)
    common = _platt(logits_QL[known_QL], labels_QL[known_QL], shares_QL[known_QL], np.array([1.0, 0.0]), pull)
    fitted_L = [
        _platt(logits_QL[known, llm], labels_QL[known, llm], weights_QL[known, llm], common, pull) for llm, known in enumerate(known_QL.T)
    ]
    return Calibration(slope_L=np.array([slope for slope, _ in fitted_L]), intercept_L=np.array([start for _, start in fitted_L]))


def _platt(
    logits_N: NDArray[np.float64], labels_N: NDArray[np.float64], weights_N: NDArray[np.float64], prior: NDArray[np.float64], pull: float
) -> NDArray[np.float64]:
    """[slope, intercept] of least weighted cross-entropy plus pull / 8 times the squared way from `prior`.

    By 8: a label's curvature is at most 1/4.
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


@dataclass(frozen=True, slots=True)
class Reliability:
    """One bin of a reliability diagram: mean score, mean label, how many, and the labels' standard deviation."""

    score: float
    label: float
    count: int
    spread: float


def brier(scores_QL: Floats, labels_QL: Labels) -> float:
    """Mean squared distance between score and label, over known labels."""
    known_QL = ~np.isnan(labels_QL)
    return float(np.mean((scores_QL[known_QL] - labels_QL[known_QL]) ** 2))


def reliability(scores_QL: Floats, labels_QL: Labels, *, bins: int = 10) -> tuple[Reliability, ...]:
    """Equally filled bins by score, over known labels (equal widths leave bins empty where scores crowd); equal scores share one."""
    known_QL = ~np.isnan(labels_QL)
    order = np.argsort(scores_QL[known_QL], kind="stable")
    scores_N, labels_N = scores_QL[known_QL][order], labels_QL[known_QL][order]
    if not len(order):
        return ()
    cuts = np.searchsorted(scores_N, scores_N[np.arange(1, bins) * len(order) // bins])
    filled = [part for part in np.split(np.arange(len(order)), np.unique(cuts)) if len(part)]
    return tuple(
        Reliability(float(scores_N[part].mean()), float(labels_N[part].mean()), len(part), float(labels_N[part].std())) for part in filled
    )


def ece(scores_QL: Floats, labels_QL: Labels, *, bins: int = 10) -> float:
    """Expected calibration error: how far, on average, a bin's mean label is from its mean score."""
    found = reliability(scores_QL, labels_QL, bins=bins)
    return sum(row.count * abs(row.score - row.label) for row in found) / max(sum(row.count for row in found), 1)


def chance_ece(scores_QL: Floats, labels_QL: Labels, *, bins: int = 10) -> float:
    """What chance alone makes of the error of perfectly calibrated scores at this sample size: the mean of |N(0, s)| of each bin's mean."""
    found = reliability(scores_QL, labels_QL, bins=bins)
    return sum(float(np.sqrt(2 / np.pi * row.count)) * row.spread for row in found) / max(sum(row.count for row in found), 1)
