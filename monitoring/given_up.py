"""What quality was given up: the mean quality of served answers less that of always asking one LLM, the baseline, estimated from audits.

Nothing is given up where the baseline's own answer was served. On the share m of other answers,

    change = m ( mean quality served - mean quality of the baseline there )

The first mean is estimated as `monitoring.quality` says. The baseline was not asked there: its mean is that of its promises, put right by
how far audits of answers that it did give are from theirs. That correction is of queries that it was chosen for; elsewhere it may hold in
part. So the truth lies somewhere from the promises as they are to those put right, and the interval holds it wherever that is (Imbens and
Manski 2004): at each end as wide as that end is unsure, by the quantile c for which, with `apart` between the ends and sigma the larger
standard deviation,

    P(Z < c + apart / sigma) - P(Z < -c) = confidence
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from monitoring import student
from monitoring.quality import LEAST_AUDITS, Answers, Doubles, estimate, variance_of_mean
from monitoring.served_answers import Beside

STEPS = 30  # of bisection
BY: Mapping[str, str] = {"key": "key_N", "domain": "domain_N"}


@dataclass(frozen=True, slots=True)
class Change:
    """In quality, within [-1, 1], below 0 where quality was given up; low, high: its interval, None where it is not known, and `why`.

    audits: graded answers of other LLMs; baseline_audits: graded answers of the baseline's own.
    """

    change: float | None = None
    low: float | None = None
    high: float | None = None
    audits: int = 0
    baseline_audits: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """How far the baseline's answers are from their promises, on average, with half an interval; None where too few are graded."""

    audits: int
    mean: float | None = None
    half: float | None = None


def by_name(found: Beside, llm: str, by: str, *, confidence: float = 0.95) -> dict[str | None, Change]:
    """The change for each day, key or domain (`by`) of these answers, and for all of them under None."""
    name_N = found.day_N if by == "day" else getattr(found.answers, BY[by])
    right = correction(found, llm, confidence=confidence)
    changes: dict[str | None, Change] = {None: of_some(found, llm, np.ones(len(name_N), dtype=np.bool_), right, confidence=confidence)}
    return changes | {str(name): of_some(found, llm, name_N == name, right, confidence=confidence) for name in np.unique(name_N)}


def of_some(found: Beside, llm: str, rows_N: NDArray[np.bool_], right: Correction, *, confidence: float) -> Change:
    """The change for some of the answers, those whose scorer knew the baseline."""
    known_N = rows_N & ~np.isnan(found.score_N)
    if not known_N.any():
        return Change(why="not known: no answer whose scorer knew the baseline")
    moved_N = known_N & (found.answers.llm_N != llm)
    share = float(moved_N.sum() / known_N.sum())
    if not share:
        return Change(0.0, 0.0, 0.0, 0, right.audits)
    served = estimate(found.answers.of(moved_N), confidence=confidence)
    promised = float(found.score_N[moved_N].mean())
    value = share * ((served.value or 0.0) - float(np.clip(promised + (right.mean or 0.0), 0, 1)))
    if served.low is None or served.high is None or served.value is None:
        return Change(value, audits=served.audited, baseline_audits=right.audits, why=f"not known: {served.audited} audits")
    if right.mean is None or right.half is None:
        why = f"not known: {right.audits} audits of answers by {llm}"
        return Change(value, audits=served.audited, baseline_audits=right.audits, why=why)
    half = max(served.value - served.low, served.high - served.value)  # the side that 0 or 1 did not cut
    as_promised, put_right = served.value - promised, served.value - promised - right.mean
    wider = float(np.hypot(half, right.half))
    narrowed = _one_sided(abs(right.mean), wider, confidence)
    ends = [(as_promised, narrowed * half), (put_right, narrowed * wider)]
    low, high = share * min(end - wide for end, wide in ends), share * max(end + wide for end, wide in ends)
    return Change(value, max(-1.0, low), min(1.0, high), served.audited, right.audits)


def _one_sided(apart: float, half: float, confidence: float) -> float:
    """The quantile c over the usual one: 1 where the ends are one point, that of a one-sided bound where they are far apart."""
    normal = NormalDist()
    usual = normal.inv_cdf((1 + confidence) / 2)
    least, most = normal.inv_cdf(confidence), usual
    for _ in range(STEPS):
        middle = (least + most) / 2
        enough = normal.cdf(middle + apart * usual / half) - normal.cdf(-middle) >= confidence if half else True
        least, most = (least, middle) if enough else (middle, most)
    return most / usual


def correction(found: Beside, llm: str, *, confidence: float) -> Correction:
    """From the graded answers that the baseline gave itself."""
    answers: Answers = found.answers
    own_N = (answers.llm_N == llm) & ~np.isnan(answers.drawn_with_N) & ~np.isnan(answers.grade_N) & ~np.isnan(found.score_N)
    if (n := int(own_N.sum())) < LEAST_AUDITS:
        return Correction(n)
    w: Doubles = 1 / np.maximum(answers.drawn_with_N[own_N], 1e-9)
    w = w / w.sum()
    away = answers.grade_N[own_N] - found.score_N[own_N]
    mean = float(w @ away)
    degrees = max(1 / float(w @ w) - 1, 1.0)  # audits that an equal draw would need (Kish 1965)
    return Correction(n, mean, student.quantile((1 + confidence) / 2, degrees) * float(np.sqrt(variance_of_mean(w, away - mean))))
