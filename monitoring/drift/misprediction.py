"""Compares what the scorer promised with the outcomes of audited records, and estimates the quality of the others.

Estimated quality: the mean promise over all N records, corrected by the mean error on the M audited ones (difference estimator of survey
sampling; prediction-powered inference, Angelopoulos et al. 2023):

    quality = mean_N(promise) + mean_M(outcome - promise)

Where audits were drawn with unequal probabilities, each of the M counts 1 / (N probability) (Horvitz & Thompson 1952).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitoring.quality import student
from scorer import metrics

Doubles = NDArray[np.float64]
ADEQUATE = 0.5  # a promise or an outcome from here on says "adequate"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its confidence interval; both bounds are None where too few outcomes were reported for one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Mispredictions:
    """Promises against outcomes of n audited records.

    share: of records where one says adequate and the other does not. ece: in [0, 1], equal-mass bins. brier: mean squared error.
    auroc: of promises for adequate outcomes; None where all outcomes are alike. bias: mean of outcome - promise, with its interval.
    """

    n: int
    share: float
    ece: float
    brier: float
    auroc: float | None
    bias: Estimate


def mispredictions(promised_N: Doubles, outcome_N: Doubles, *, confidence: float) -> Mispredictions | None:
    """How wrong the scorer was on audited records; None where there are none."""
    if not len(promised_N):
        return None
    error_N = outcome_N - promised_N
    auroc = metrics.auroc(promised_N, outcome_N >= ADEQUATE)
    return Mispredictions(
        n=len(promised_N),
        share=float(((promised_N >= ADEQUATE) != (outcome_N >= ADEQUATE)).mean()),
        ece=metrics.calibration_error(promised_N, outcome_N),
        brier=float(np.square(error_N).mean()),
        auroc=None if np.isnan(auroc) else auroc,
        bias=_student(float(error_N.mean()), float(error_N.var()) / max(1, len(error_N) - 1), len(error_N), confidence),
    )


def estimated_quality(
    promised_all_N: Doubles, promised_M: Doubles, outcome_M: Doubles, *, confidence: float, drawn_with_M: Doubles | None = None
) -> Estimate | None:
    """Mean outcome of all N records, of which M were audited; None where nothing was promised.

    drawn_with_M: the probability of each audit; without it they are a random part of the N. Without an audit it is the mean promise, with
    no interval: nothing then says how far it is off. With weights w = 1 / (N probability) the variance in two-phase sampling
    (Särndal et al. 1992, §9) is

        var(outcome) / N + sum_M (1 - probability) (w error)²,  error = outcome - promise, less its mean where all w are equal
    """
    if not len(promised_all_N):
        return None
    value = float(promised_all_N.mean())
    audited, records = len(outcome_M), len(promised_all_N)
    if not audited:
        return Estimate(value)
    probability_M = np.full(audited, min(1.0, audited / records)) if drawn_with_M is None else drawn_with_M
    weight_M = 1 / (records * probability_M)
    error_M = outcome_M - promised_M
    mean_error, mean_outcome = float(weight_M @ error_M), float(weight_M @ outcome_M / weight_M.sum())
    around_M = error_M - mean_error if drawn_with_M is None else error_M
    spread = float(weight_M @ np.square(outcome_M - mean_outcome) / weight_M.sum()) / records
    drawn = float((1 - probability_M) @ np.square(weight_M * around_M))
    effective = float(weight_M.sum() ** 2 / np.square(weight_M).sum())  # audits that an equal draw would need (Kish 1965)
    variance = audited / max(1, audited - 1) * (spread + drawn)
    estimate = _student(value + mean_error, variance, effective, confidence)
    return Estimate(*(None if bound is None else float(np.clip(bound, 0, 1)) for bound in (estimate.value, estimate.low, estimate.high)))  # type: ignore[arg-type]


def _student(value: float, variance: float, n: float, confidence: float) -> Estimate:
    """Student's interval around a mean that has this variance; none below five records, too few for a mean to be normal."""
    if n < 5:
        return Estimate(value)
    half = student.quantile((1 + confidence) / 2, n - 1) * float(np.sqrt(variance))
    return Estimate(value, value - half, value + half)
