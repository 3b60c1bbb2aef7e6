"""How good served answers are, estimated from a forecast for each and audits of a few: for all, and by version, domain, LLM and key.

The forecast is the quality expected after answering. Audits were drawn by recorded probabilities pi, more in some domains than in others:
each domain d is a stratum. With weights w ~ 1 / pi that sum to 1 among the audits of a domain (Hájek 1971),

    quality = sum over domains of  W_d ( b mean(forecast) + sum of w (grade - b forecast) )

where b in [0, 1] is how much of the forecast the audits confirm (power tuning, PPI++, Angelopoulos et al. 2023): a broken forecast counts
for nothing and widens the interval to that of the audits alone. Where people and a machine both graded at least LEAST_CHECKED answers, the
machine's grades stand in for people's, on the line that these follow (prediction-powered inference; judges: 2601.05420):

    grade = mean(person's) + slope (machine's - mean(machine's)),  slope in [0, 1]

so its own error is taken off, and what that line does not explain is part of the interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from monitoring.quality import student
from monitoring.quality.answers import Answers, Audits, Bools, Doubles, Names, Rows, Sums

LEAST_AUDITS = 5  # for an interval
LEAST_IN_STRATUM = 10  # a domain with fewer is put together with others: what each costs in certainty, it has to explain first
LEAST_CHECKED = 10  # answers that people and machine graded, from which on the machine's grades count
GUARD = 0.25  # added to a sum of squared errors: five like grades make nothing certain


@dataclass(frozen=True, slots=True)
class Estimated:
    """Mean quality of some answers.

    promised: mean promise. value, low, high: the estimate and its interval; None where it cannot be made, and `why` says why.
    audited: answers graded by a person or by code; judged: those with a machine's grade; weight: b, how far the forecast is confirmed.
    """

    answers: int
    audited: int
    judged: int
    promised: float | None
    value: float | None
    low: float | None
    high: float | None
    cost_usd: float
    weight: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """Estimates for all answers between two times (seconds since the epoch), and for each version, domain, LLM and key.

    newest: of so many, the newest, alone; None where it is all of them.
    """

    since: float
    until: float
    confidence: float
    newest: int | None
    everything: Estimated
    by: Mapping[str, Mapping[str, Estimated]]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: since, until, confidence, newest, all, by: {version|domain|llm|key: {name: estimate}}."""
        return {
            "since": self.since,
            "until": self.until,
            "confidence": self.confidence,
            "newest": self.newest,
            "all": asdict(self.everything),
            "by": {kind: {name: asdict(each) for name, each in found.items()} for kind, found in self.by.items()},
        }


def by_group(answers: Answers, *, since: float, until: float, confidence: float, newest: int | None = None) -> Quality:
    """The estimates of `answers`; the groups with most answers first."""
    by = {}
    for kind in ("version", "domain", "llm", "key"):
        names_N: Names = getattr(answers, f"{kind}_N")
        names, counts = np.unique(names_N, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        by[kind] = {str(names[at]): estimate(*answers.of(names_N == names[at]).summed(), confidence=confidence) for at in order}
    return Quality(since, until, confidence, newest, estimate(*answers.summed(), confidence=confidence), by)


def estimate(sums: Sums, audits: Audits, *, confidence: float) -> Estimated:
    """Mean quality of these answers. Says in `why` what is missing where it cannot be made or has no interval."""
    graded_M, judged_M = ~np.isnan(audits.grade_M), ~np.isnan(audits.opinion_M)
    count = sums.answers
    nothing = Estimated(
        answers=count,
        audited=int(graded_M.sum()),
        judged=int(judged_M.sum()),
        promised=sums.promised / count if count else None,
        value=None,
        low=None,
        high=None,
        cost_usd=sums.cost_usd,
    )
    if not count:
        return replace(nothing, why="no answer was served")
    both_M = graded_M & judged_M
    if both_M.sum() >= LEAST_CHECKED:
        best = _with_machine(sums, audits, graded_M, judged_M)
    elif graded_M.any():
        best = _of_grades(sums, audits.of(graded_M))
    else:
        unchecked = (
            f"; the machine's {nothing.judged} grades count once people have graded {LEAST_CHECKED} of them" if judged_M.any() else ""
        )
        return replace(nothing, why=f"no audit{unchecked}")
    value, seen = float(np.clip(best.value, 0, 1)), best.audits
    if seen < LEAST_AUDITS:
        return replace(nothing, value=value, weight=best.weight, why=f"{seen} audits; an interval takes {LEAST_AUDITS}")
    half = student.quantile((1 + confidence) / 2, best.degrees) * float(np.sqrt(best.variance))
    return replace(nothing, value=value, low=max(0.0, best.value - half), high=min(1.0, best.value + half), weight=best.weight)


@dataclass(frozen=True, slots=True)
class _Mean:
    value: float
    variance: float
    degrees: float
    audits: int
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class _Stratum:
    """Some domains together: how many answers, their forecasts added up, and which audits are theirs."""

    answers: int
    forecast: float
    rows: Rows


def _of_grades(sums: Sums, audits: Audits) -> _Mean:
    """The stratified estimate; every audit has a grade here."""
    strata = _strata(sums, audits.domain_M)
    weight_M = 1 / np.maximum(audits.drawn_with_M, 1e-9)
    b = confirmed(audits.forecast_M, audits.grade_M, weight_M, [each.rows for each in strata])
    value, variance, spreads, parts = 0.0, 0.0, 0.0, []
    for each in strata:
        share, seen = each.answers / sums.answers, each.rows
        w = weight_M[seen] / weight_M[seen].sum()
        errors = audits.grade_M[seen] - b * audits.forecast_M[seen]
        mean = float(w @ errors)
        unseen = max(0.0, 1 - len(seen) / each.answers)  # what was audited is known, not estimated
        part = share**2 * variance_of_mean(w, errors - mean) * unseen
        value += share * (b * each.forecast / each.answers + mean)
        variance += part
        spreads += share * float(w @ np.square(audits.grade_M[seen] - w @ audits.grade_M[seen]))
        parts.append((part, max(1 / float(w @ w) - 1, 1.0)))  # audits that an equal draw would need (Kish 1965)
    degrees = variance**2 / max(sum(part**2 / each for part, each in parts), 1e-300) if variance > 0 else 1e6
    variance += spreads / sums.answers  # the answers themselves are some of those that this traffic brings
    return _Mean(value, variance, degrees, len(audits.grade_M), b)


def _with_machine(sums: Sums, audits: Audits, graded_M: Bools, judged_M: Bools) -> _Mean:
    """Machine's grades, on the line that people's follow where both graded; how far people are from that line is part of the variance."""
    both_M = graded_M & judged_M
    inverse_M = 1 / np.maximum(audits.drawn_with_M, 1e-9)
    w = inverse_M[both_M] / inverse_M[both_M].sum()
    graded, opined = audits.grade_M[both_M], audits.opinion_M[both_M]
    mean, away = float(w @ graded), opined - w @ opined
    along = float(w @ np.square(away))
    slope = float(np.clip(w @ (away * (graded - mean)) / along, 0.0, 1.0)) if along > 1e-12 else 0.0
    line_M = mean + slope * (audits.opinion_M - float(w @ opined))
    found = _of_grades(sums, replace(audits, grade_M=np.where(judged_M, line_M, audits.grade_M)))
    share = float(inverse_M[judged_M].sum() / inverse_M.sum())
    part = share**2 * variance_of_mean(w, graded - mean - slope * away)
    variance = found.variance + part
    degrees = variance**2 / (found.variance**2 / found.degrees + part**2 / (len(w) - 2))
    return replace(found, variance=variance, degrees=degrees)


def variance_of_mean(w_M: Doubles, away_M: Doubles) -> float:
    """Of the mean of M errors that are `away_M` from it, with weights w that sum to 1."""
    n, squares_M = len(w_M), np.square(w_M)
    return float(squares_M @ (n * np.square(away_M) + GUARD)) / max(n - 1, 1)


def _strata(sums: Sums, domain_M: Names) -> list[_Stratum]:
    """Each domain; those with fewer than LEAST_IN_STRATUM audits together, and with the smallest other one if they are too few."""
    rows = [np.flatnonzero(domain_M == name) for name in sums.domain_D]
    each_D = [_Stratum(*of) for of in zip(map(int, sums.answers_D), map(float, sums.forecast_D), rows, strict=True)]
    large = sorted((each for each in each_D if len(each.rows) >= LEAST_IN_STRATUM), key=lambda each: each.answers)
    small = [each for each in each_D if len(each.rows) < LEAST_IN_STRATUM]
    if small:
        rest = _together(small)
        if len(rest.rows) < LEAST_IN_STRATUM and large:
            large[0] = _together([large[0], rest])
        else:
            large.append(rest)
    return large


def _together(strata: Sequence[_Stratum]) -> _Stratum:
    answers, forecast = sum(each.answers for each in strata), sum(each.forecast for each in strata)
    return _Stratum(answers, forecast, np.concatenate([each.rows for each in strata]))


def confirmed(forecast_N: Doubles, grade_N: Doubles, weight_N: Doubles, strata: Sequence[Rows]) -> float:
    """b: the slope of grades on forecasts within the strata, kept in [0, 1]."""
    across, along = 0.0, 0.0
    for seen in strata:
        w = weight_N[seen] / weight_N[seen].sum()
        away = forecast_N[seen] - w @ forecast_N[seen]
        size = len(seen) * w
        across += float(size @ (away * (grade_N[seen] - w @ grade_N[seen])))
        along += float(size @ np.square(away))
    return float(np.clip(across / along, 0.0, 1.0)) if along > 1e-12 else 0.0
