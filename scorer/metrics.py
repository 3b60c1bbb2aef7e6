"""How good choices and scores are: realised quality, regret, hits, cost; calibration error and AUROC; paired bootstrap intervals.

Labels may be missing (NaN). A choice is then made only among the LLMs labelled for that query: what an unlabelled answer was
worth is unknown. A value that is undefined is NaN, and means leave it out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.initialisation import Labels
from scorer.types import Floats

Values = NDArray[np.float64]  # [Q], NaN where undefined
DRAWS_AT_ONCE = 1_000_000  # of a bootstrap: bounds what it holds in memory, 16 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def choices(scores_QL: NDArray[np.floating], labels_QL: Labels) -> NDArray[np.int64]:
    """chosen_Q: column of the best-scored labelled LLM (the first where scores tie), -1 where none is labelled."""
    labelled_QL = ~np.isnan(labels_QL)
    chosen_Q = np.where(labelled_QL, scores_QL, -np.inf).argmax(axis=1)
    return np.where(labelled_QL.any(axis=1), chosen_Q, -1)


def at_choice(values_QL: NDArray[np.float64], chosen_Q: NDArray[np.int64]) -> Values:
    """The value (label, cost, latency) of each query's chosen LLM."""
    picked_Q = np.take_along_axis(values_QL, np.maximum(chosen_Q, 0)[:, None], axis=1)[:, 0]
    return np.where(chosen_Q >= 0, picked_Q, np.nan)


def quality(scores_QL: NDArray[np.floating], labels_QL: Labels) -> Values:
    """Realised quality: the label of the chosen LLM's answer."""
    return at_choice(labels_QL, choices(scores_QL, labels_QL))


def regret(scores_QL: NDArray[np.floating], labels_QL: Labels) -> Values:
    """What the best labelled LLM would have gained over the chosen one."""
    best_Q = np.where(np.isnan(labels_QL), -np.inf, labels_QL).max(axis=1)
    return np.where(np.isfinite(best_Q), best_Q, np.nan) - quality(scores_QL, labels_QL)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Share of the true best LLMs among the predicted ones, by two conventions for LLMs that tie for the last true place.

    any_Q: whichever of them was predicted counts. split_Q: each counts in part, as if the tie were broken by lot.
    """

    any_Q: Values
    split_Q: Values


def overlap(scores_QL: NDArray[np.floating], labels_QL: Labels, *, predicted: int, true: int) -> Overlap:
    """How many of the `true` best LLMs are among the `predicted` best-scored: Hit@k is (k, 1), Agree@3 is (3, 3).

    Defined for queries with more labelled LLMs than are predicted: with fewer, every scorer is right.
    """
    labelled_QL = ~np.isnan(labels_QL)
    predicted_QL = _top(np.where(labelled_QL, scores_QL, -np.inf), predicted) & labelled_QL
    filled_QL = np.where(labelled_QL, labels_QL, -np.inf)
    last_Q1 = -np.sort(-filled_QL, axis=1)[:, [min(true, labels_QL.shape[1]) - 1]]
    certain_QL, tied_QL = filled_QL > last_Q1, (filled_QL == last_Q1) & labelled_QL
    places_Q = true - certain_QL.sum(axis=1)
    sure_Q, tied_Q = (predicted_QL & certain_QL).sum(axis=1), (predicted_QL & tied_QL).sum(axis=1)
    defined_Q = labelled_QL.sum(axis=1) > predicted
    any_Q = (sure_Q + np.minimum(places_Q, tied_Q)) / true
    split_Q = (sure_Q + places_Q * tied_Q / np.maximum(tied_QL.sum(axis=1), 1)) / true
    return Overlap(np.where(defined_Q, any_Q, np.nan), np.where(defined_Q, split_Q, np.nan))


def _top(values_QL: NDArray[np.floating], count: int) -> NDArray[np.bool_]:
    """Mask of each row's `count` largest values, the first of equals."""
    order_QL = np.argsort(-values_QL, axis=1, kind="stable")
    mask_QL = np.zeros(values_QL.shape, dtype=bool)
    np.put_along_axis(mask_QL, order_QL[:, :count], values=True, axis=1)
    return mask_QL


def mean(values_Q: Values) -> float:
    """Over the queries for which there is a value; NaN where there is none."""
    labelled_Q = values_Q[~np.isnan(values_Q)]
    return float(labelled_Q.mean()) if len(labelled_Q) else float("nan")


def interval(values_Q: Values, *, resamples: int, seed: int = 0, level: float = 0.95) -> Interval:
    """Mean over queries and its percentile bootstrap interval (queries resampled)."""
    values_N = values_Q[~np.isnan(values_Q)]
    if not len(values_N):
        return Interval(float("nan"), float("nan"), float("nan"))
    dice = np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE // len(values_N))
    sizes = [min(at_once, resamples - first) for first in range(0, resamples, at_once)]
    means = np.concatenate([values_N[dice.integers(len(values_N), size=(size, len(values_N)))].mean(axis=1) for size in sizes])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values_N.mean()), float(low), float(high))


def difference(ours_Q: Values, theirs_Q: Values, *, resamples: int, seed: int = 0, level: float = 0.95) -> Interval:
    """Mean of ours minus theirs on the same queries: paired, so what makes a query hard cancels."""
    return interval(ours_Q - theirs_Q, resamples=resamples, seed=seed, level=level)


@dataclass(frozen=True, slots=True)
class Point:
    """Where a trade of quality for cost ends: mean USD per query and mean label."""

    cost: float
    quality: float


def frontier(
    scores_QL: Floats, labels_QL: Labels, cost_QL: NDArray[np.float64], expected_cost_L: NDArray[np.float64], *, points: int = 25
) -> tuple[Point, ...]:
    """Quality and cost when the choice is the best score minus w times the LLM's expected cost, for w from 0 to "always the cheapest".

    An LLM whose cost nobody knows (infinite) is not chosen.
    """
    priced_L = np.isfinite(expected_cost_L)
    labels_QL, cost_L = np.where(priced_L, labels_QL, np.nan), np.where(priced_L, expected_cost_L, 0.0)
    dearest = max(float(np.ptp(cost_L[priced_L])), 1e-12) if priced_L.any() else 1.0
    weights = [0.0, *np.geomspace(0.001, 2.0, points - 1) / dearest]
    chosen = [choices(scores_QL - weight * cost_L, labels_QL) for weight in weights]
    return tuple(Point(mean(at_choice(cost_QL, chosen_Q)), mean(at_choice(labels_QL, chosen_Q))) for chosen_Q in chosen)


@dataclass(frozen=True, slots=True)
class Reliability:
    """One bin of a reliability diagram: mean score, mean label, how many, and the labels' standard deviation."""

    score: float
    label: float
    count: int
    spread: float


def brier(scores_QL: NDArray[np.floating], labels_QL: Labels) -> float:
    """Mean squared distance between score and label, over labels that are not missing."""
    labelled_QL = ~np.isnan(labels_QL)
    return float(np.mean((scores_QL[labelled_QL] - labels_QL[labelled_QL]) ** 2))


def reliability(scores_QL: NDArray[np.floating], labels_QL: Labels, *, bins: int = 10) -> tuple[Reliability, ...]:
    """At most `bins` bins by score with as many labels each (equal widths leave bins empty where scores crowd); equal scores share one."""
    labelled_QL = ~np.isnan(labels_QL)
    order = np.argsort(scores_QL[labelled_QL], kind="stable")
    scores_N, labels_N = scores_QL[labelled_QL][order], labels_QL[labelled_QL][order]
    if not len(order):
        return ()
    cuts = np.searchsorted(scores_N, scores_N[np.arange(1, bins) * len(order) // bins])
    filled = [part for part in np.split(np.arange(len(order)), np.unique(cuts)) if len(part)]
    return tuple(
        Reliability(float(scores_N[part].mean()), float(labels_N[part].mean()), len(part), float(labels_N[part].std())) for part in filled
    )


def calibration_error(scores_QL: NDArray[np.floating], labels_QL: Labels, *, bins: int = 10) -> float:
    """Expected calibration error over bins of equal mass (Nguyen and O'Connor 2015): the mean |mean score - mean label| of a bin.

    Equal scores share a bin. Split over several bins they would be told apart by nothing but the order of the records: a constant score
    at the true rate is calibrated, yet each of its bins would show the noise, or the order, of the labels that fell into it.
    Few labels bias it upwards; `chance_calibration_error` says by how much. 0 where no label is known.
    """
    rows = reliability(scores_QL, labels_QL, bins=bins)
    return sum(row.count * abs(row.score - row.label) for row in rows) / max(sum(row.count for row in rows), 1)


def chance_calibration_error(scores_QL: NDArray[np.floating], labels_QL: Labels, *, bins: int = 10) -> float:
    """The calibration error that perfectly calibrated scores would show by chance: the mean of |N(0, s)| of each bin's mean label."""
    rows = reliability(scores_QL, labels_QL, bins=bins)
    return sum(float(np.sqrt(2 / np.pi * row.count)) * row.spread for row in rows) / max(sum(row.count for row in rows), 1)


def auroc(scores_N: NDArray[np.floating], positive_N: NDArray[np.bool_]) -> float:
    """The chance that a positive scores above a negative, ties counting half (Mann-Whitney U); NaN where one of the two is missing."""
    from scipy.stats import rankdata

    positives, negatives = int(positive_N.sum()), int((~positive_N).sum())
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(scores_N)[positive_N].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))
