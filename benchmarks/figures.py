"""Figures as the benchmarks show and write them, and intervals of those that are no means."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring import misprediction
from scorer import metrics

RESAMPLES = 2000
Values = NDArray[np.float64]
Bools = NDArray[np.bool_]


def auroc(scores_N: Values, positive_N: Bools) -> float:
    """`monitoring.misprediction.auroc`, NaN where it is undefined."""
    found = misprediction.auroc(scores_N, positive_N)
    return float("nan") if found is None else found


def bootstrapped(figure: Callable[[Values, Bools], float], scores_N: Values, truth_N: Bools) -> metrics.Interval:
    """A figure and its 95 % percentile bootstrap interval over answers; resamples in which it is undefined are left out."""
    if not len(scores_N):
        return metrics.Interval(float("nan"), float("nan"), float("nan"))
    dice = np.random.default_rng(0)
    drawn = (dice.integers(len(scores_N), size=len(scores_N)) for _ in range(RESAMPLES))
    found = np.array([figure(scores_N[places], truth_N[places]) for places in drawn])
    found = found[~np.isnan(found)]
    low, high = np.quantile(found, [0.025, 0.975]) if len(found) else (float("nan"), float("nan"))
    return metrics.Interval(figure(scores_N, truth_N), float(low), float(high))


def cell(value: Any) -> str:
    """A table's cell: three digits, nothing for a figure that is undefined."""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.3f}"
    return str(value)


def table(head: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Figures as Markdown, one row a line; `head` says what the rows are."""
    columns = list(next(iter(rows.values())))
    lines = [f"| {head} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cell(row[column]) for column in columns)} |" for name, row in rows.items())])


def as_json(value: Any) -> Any:
    """Intervals as lists; None for a figure that is undefined here (Agree@3 of three LLMs)."""
    if isinstance(value, metrics.Interval):
        return [as_json(part) for part in (value.mean, value.low, value.high)]
    if isinstance(value, Mapping):
        return {name: as_json(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value
