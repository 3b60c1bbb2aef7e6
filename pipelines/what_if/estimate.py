"""Means with intervals: of what a scorer forecasts for a log, put right by labelled queries, or by graded requests of the log itself.

Without labels of the log (prediction-powered inference, arXiv 2301.09633, for the log's own calls):

    estimate = mean(forecast over the log) + mean(truth - forecast over held-out labelled queries)

With graded requests, each drawn with a probability pi that was written down before it was graded (active inference, arXiv 2403.03208):

    estimate = mean(forecast over the log) + 1/N * sum((truth - forecast) / pi over the graded)

A forecast that is wrong makes the errors large, and the interval wide.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from scorer.metrics import Interval

Values = NDArray[np.float64]
LEVEL = 0.95
FEWEST = 10  # errors, below which nothing is said of their spread


@dataclass(frozen=True, slots=True)
class Errors:
    """Truth minus forecast on M held-out labelled queries, of a difference of qualities in [-1, 1]; weights_M make their mix the log's."""

    errors_M: Values
    weights_M: Values | None = None

    @property
    def effective(self) -> float:
        """How many equally weighted ones they are worth."""
        if self.weights_M is None:
            return float(len(self.errors_M))
        return float(self.weights_M.sum() ** 2 / (self.weights_M**2).sum())

    @property
    def enough(self) -> bool:
        """Whether their spread says anything."""
        return len(self.errors_M) > 0 and self.effective >= FEWEST

    @property
    def mean(self) -> float:
        """By how much the truth is above the forecast."""
        return float(np.average(self.errors_M, weights=self.weights_M))

    @property
    def spread(self) -> float:
        """Their standard deviation."""
        variance = float(np.average((self.errors_M - self.mean) ** 2, weights=self.weights_M))
        return float(np.sqrt(variance * self.effective / (self.effective - 1)))


def by_held_out(forecast_N: Values, units: float, errors: Errors) -> Interval:
    """The mean over the log's calls. units: how many independent ones they are worth. All of [-1, 1] where errors are too few."""
    value = float(forecast_N.mean()) if len(forecast_N) else float("nan")
    if not errors.enough or units < 1:
        return Interval(value, -1.0, 1.0)
    spread = errors.spread * float(np.sqrt(1 / errors.effective + 1 / units))
    return _around(value + errors.mean, spread, int(min(errors.effective, max(units, 2))) - 1)


def beside_unchecked(checked: Interval, share: float, unchecked: float, can_differ: float) -> Interval:
    """The mean over calls of which only a `share` is like labelled ones, as `checked` has it. unchecked: the forecast for the others.

    can_differ: the share of all calls that change their LLM and are like nothing labelled: each may differ by a whole answer.
    """
    if not share:
        return Interval(unchecked, max(-can_differ, -1.0), min(can_differ, 1.0))
    mean, low, high = (share * bound for bound in (checked.mean, checked.low, checked.high))
    return Interval(mean + (1 - share) * unchecked, max(low - can_differ, -1.0), min(high + can_differ, 1.0))


def by_graded(forecast_N: Values, graded: NDArray[np.intp], truth_G: Values, chances_G: Values) -> Interval:
    """The mean over the log's calls. graded: places of the G graded ones, drawn independently with these chances."""
    errors_G = (truth_G - forecast_N[graded]) / chances_G
    value = float(forecast_N.mean() + errors_G.sum() / len(forecast_N))
    if len(graded) < FEWEST:
        return Interval(value, -1.0, 1.0)
    variance = float(((1 - chances_G) * errors_G**2).sum()) / len(forecast_N) ** 2
    return _around(value, float(np.sqrt(variance)), len(graded) - 1)


def chances(uncertain_N: Values, wanted: int) -> Values:
    """pi_N: with which chance each call is drawn so that about `wanted` are; half evenly, half in proportion to how unsure its forecast is.

    A call of which nothing is unsure (0: both policies gave it to the same LLM) is not drawn: it cannot differ.
    """
    unsure_N = uncertain_N > 0
    if not unsure_N.any() or wanted < 1:
        return np.zeros(len(uncertain_N))
    even_N = unsure_N / unsure_N.sum()
    weight_N = 0.5 * even_N + 0.5 * uncertain_N / uncertain_N.sum()
    low, high = 0.0, float(len(uncertain_N)) * wanted / float(weight_N[unsure_N].min())
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(1.0, middle * weight_N).sum() < wanted else (low, middle)
    return np.asarray(np.minimum(1.0, high * weight_N), dtype=np.float64)


def ratio(actual_M: Values, expected_M: Values, weights_M: Values, units: float) -> Interval:
    """Sum of what answers cost over the sum of what they were expected to, weighted; for `units` further ones like them."""
    known_M = np.isfinite(actual_M) & np.isfinite(expected_M) & (expected_M > 0) & (weights_M > 0)
    actual_M, expected_M, weights_M = actual_M[known_M], expected_M[known_M], weights_M[known_M]
    if len(actual_M) < FEWEST:
        return Interval(1.0, float("nan"), float("nan"))
    value = float(weights_M @ actual_M / (weights_M @ expected_M))
    residuals = Errors((actual_M - value * expected_M) / np.average(expected_M, weights=weights_M), weights_M)
    if not residuals.enough:
        return Interval(value, float("nan"), float("nan"))
    spread = residuals.spread * float(np.sqrt(1 / residuals.effective + 1 / max(units, 1)))
    margin = spread * _quantile(int(residuals.effective) - 1)
    return Interval(value, max(value - margin, 0.0), value + margin)


def _around(value: float, spread: float, freedom: int) -> Interval:
    margin = spread * _quantile(freedom)
    return Interval(value, max(value - margin, -1.0), min(value + margin, 1.0))


def _quantile(freedom: int) -> float:
    return float(t.ppf((1 + LEVEL) / 2, max(freedom, 1)))
