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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring import student
from monitoring.record import Record, is_audited

Doubles = NDArray[np.float64]
Names = NDArray[np.str_]
Rows = NDArray[np.intp]
LEAST_AUDITS = 5  # for an interval
LEAST_IN_STRATUM = 10  # a domain with fewer is put together with others: what each costs in certainty, it has to explain first
LEAST_CHECKED = 10  # answers that people and machine graded, from which on the machine's grades count
SEVERAL, NOBODY = "several", "(no key)"  # stand for the LLM of a synthesis, and for who asked before keys were recorded
GUARD = 0.25  # added to a sum of squared errors: five like grades make nothing certain


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """N served answers. forecast_N in [0, 1]; drawn_with_N: the probability of the draw, NaN where not drawn.

    grade_N: by a person or by code, NaN where none; opinion_N: by a judge or reward model. usd_N: what the answers cost.
    """

    version_N: Names
    domain_N: Names
    llm_N: Names
    key_N: Names
    forecast_N: Doubles
    promised_N: Doubles
    drawn_with_N: Doubles
    grade_N: Doubles
    opinion_N: Doubles
    usd_N: Doubles

    def of(self, rows: NDArray[np.bool_] | Rows) -> "Answers":
        """Some of them."""
        return Answers(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    def __len__(self) -> int:
        return len(self.forecast_N)


def of_records(records: Sequence[Record], domains: Sequence[str]) -> Answers:
    """Served answers with what their records say of them; machines' opinions are not among it."""
    drawn = [np.nan if record.drawn_with is None else record.drawn_with for record in records]
    grades = [record.outcome.score if is_audited(record) and record.outcome is not None else np.nan for record in records]
    return Answers(
        version_N=np.array([record.scorer_version for record in records], dtype=np.str_),
        domain_N=np.array(domains, dtype=np.str_),
        llm_N=np.array([record.llm or SEVERAL for record in records], dtype=np.str_),
        key_N=np.array([record.asked_by or NOBODY for record in records], dtype=np.str_),
        forecast_N=np.array([record.expected for record in records], dtype=np.float64),
        promised_N=np.array([record.predicted for record in records], dtype=np.float64),
        drawn_with_N=np.array(drawn, dtype=np.float64),
        grade_N=np.array(grades, dtype=np.float64),
        opinion_N=np.full(len(records), np.nan),
        usd_N=np.array([record.cost_usd for record in records], dtype=np.float64),
    )


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
    """Estimates for all answers between two times (seconds since the epoch), and for each version, domain, LLM and key."""

    since: float
    until: float
    confidence: float
    everything: Estimated
    by: Mapping[str, Mapping[str, Estimated]]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: since, until, confidence, all, by: {version|domain|llm|key: {name: estimate}}."""
        return {
            "since": self.since,
            "until": self.until,
            "confidence": self.confidence,
            "all": asdict(self.everything),
            "by": {kind: {name: asdict(each) for name, each in found.items()} for kind, found in self.by.items()},
        }


def by_group(answers: Answers, *, since: float, until: float, confidence: float) -> Quality:
    """The estimates of `answers`; the groups with most answers first."""
    by = {}
    for kind in ("version", "domain", "llm", "key"):
        names_N: Names = getattr(answers, f"{kind}_N")
        names, counts = np.unique(names_N, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        by[kind] = {str(names[at]): estimate(answers.of(names_N == names[at]), confidence=confidence) for at in order}
    return Quality(since, until, confidence, estimate(answers, confidence=confidence), by)


def estimate(answers: Answers, *, confidence: float) -> Estimated:
    """Mean quality of these answers. Says in `why` what is missing where it cannot be made or has no interval."""
    drawn_N = ~np.isnan(answers.drawn_with_N)
    graded_N, judged_N = drawn_N & ~np.isnan(answers.grade_N), drawn_N & ~np.isnan(answers.opinion_N)
    count = len(answers)
    nothing = Estimated(
        answers=count,
        audited=int(graded_N.sum()),
        judged=int(judged_N.sum()),
        promised=float(answers.promised_N.mean()) if count else None,
        value=None,
        low=None,
        high=None,
        cost_usd=float(answers.usd_N.sum()),
    )
    if not count:
        return replace(nothing, why="no answer was served")
    both_N = graded_N & judged_N
    if both_N.sum() >= LEAST_CHECKED:
        best = _with_machine(answers, graded_N, judged_N)
    elif graded_N.any():
        best = _of_grades(answers, answers.grade_N, graded_N)
    else:
        unchecked = (
            f"; the machine's {nothing.judged} grades count once people have graded {LEAST_CHECKED} of them" if judged_N.any() else ""
        )
        return replace(nothing, value=float(answers.forecast_N.mean()), why=f"no audit: this is what was forecast{unchecked}")
    value, audits = float(np.clip(best.value, 0, 1)), best.audits
    if audits < LEAST_AUDITS:
        return replace(nothing, value=value, weight=best.weight, why=f"{audits} audits; an interval takes {LEAST_AUDITS}")
    half = student.quantile((1 + confidence) / 2, best.degrees) * float(np.sqrt(best.variance))
    return replace(nothing, value=value, low=max(0.0, best.value - half), high=min(1.0, best.value + half), weight=best.weight)


@dataclass(frozen=True, slots=True)
class _Mean:
    value: float
    variance: float
    degrees: float
    audits: int
    weight: float


def _of_grades(answers: Answers, grade_N: Doubles, graded_N: NDArray[np.bool_]) -> _Mean:
    """The stratified estimate. grade_N is read where graded_N."""
    strata = list(_strata(answers.domain_N, graded_N))
    weight_N = np.where(graded_N, 1 / np.where(graded_N, np.maximum(answers.drawn_with_N, 1e-9), 1.0), 0.0)
    b = confirmed(answers.forecast_N, grade_N, weight_N, [rows[graded_N[rows]] for rows in strata])
    value, variance, spreads, parts = 0.0, 0.0, 0.0, []
    for rows in strata:
        share, seen = len(rows) / len(answers), rows[graded_N[rows]]
        w = weight_N[seen] / weight_N[seen].sum()
        errors = grade_N[seen] - b * answers.forecast_N[seen]
        mean = float(w @ errors)
        n = len(seen)
        part = share**2 * variance_of_mean(w, errors - mean) * (1 - n / len(rows))  # what was audited is known, not estimated
        value += share * (b * float(answers.forecast_N[rows].mean()) + mean)
        variance += part
        spreads += share * float(w @ np.square(grade_N[seen] - w @ grade_N[seen]))
        parts.append((part, max(1 / float(w @ w) - 1, 1.0)))  # audits that an equal draw would need (Kish 1965)
    degrees = variance**2 / max(sum(part**2 / each for part, each in parts), 1e-300) if variance > 0 else 1e6
    audits = int(graded_N.sum())
    variance += spreads / len(answers)  # the answers themselves are some of those that this traffic brings
    return _Mean(value, variance, degrees, audits, b)


def _with_machine(answers: Answers, graded_N: NDArray[np.bool_], judged_N: NDArray[np.bool_]) -> _Mean:
    """Machine's grades, on the line that people's follow where both graded; how far people are from that line is part of the variance."""
    any_N, both_N = graded_N | judged_N, graded_N & judged_N
    inverse_N = np.where(any_N, 1 / np.where(any_N, np.maximum(answers.drawn_with_N, 1e-9), 1.0), 0.0)
    w = inverse_N[both_N] / inverse_N[both_N].sum()
    graded, opined = answers.grade_N[both_N], answers.opinion_N[both_N]
    mean, away = float(w @ graded), opined - w @ opined
    along = float(w @ np.square(away))
    slope = float(np.clip(w @ (away * (graded - mean)) / along, 0.0, 1.0)) if along > 1e-12 else 0.0
    line_N = mean + slope * (answers.opinion_N - float(w @ opined))
    found = _of_grades(answers, np.where(judged_N, line_N, answers.grade_N), any_N)
    share = float(inverse_N[judged_N].sum() / inverse_N[any_N].sum())
    part = share**2 * variance_of_mean(w, graded - mean - slope * away)
    variance = found.variance + part
    degrees = variance**2 / (found.variance**2 / found.degrees + part**2 / (len(w) - 2))
    return replace(found, variance=variance, degrees=degrees)


def variance_of_mean(w_M: Doubles, away_M: Doubles) -> float:
    """Of the mean of M errors that are `away_M` from it, with weights w that sum to 1."""
    n, squares_M = len(w_M), np.square(w_M)
    return float(squares_M @ (n * np.square(away_M) + GUARD)) / max(n - 1, 1)


def _strata(domain_N: Names, graded_N: NDArray[np.bool_]) -> Iterable[Rows]:
    """Rows of each domain; those with fewer than LEAST_IN_STRATUM audits together, and with the smallest other one if they are too few."""
    names, place_N = np.unique(domain_N, return_inverse=True)
    rows = [np.flatnonzero(place_N == at) for at in range(len(names))]
    large = sorted((each for each in rows if graded_N[each].sum() >= LEAST_IN_STRATUM), key=len)
    small = [each for each in rows if graded_N[each].sum() < LEAST_IN_STRATUM]
    if small:
        rest = np.concatenate(small)
        if graded_N[rest].sum() < LEAST_IN_STRATUM and large:
            large[0] = np.concatenate([large[0], rest])
        else:
            large.append(rest)
    return large


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
