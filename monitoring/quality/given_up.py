"""What quality was given up: the mean quality of served answers less that of always asking one LLM, the baseline, estimated from audits.

Nothing is given up where the baseline's own answer was served. On the share m of other answers,

    change = m ( mean quality served - mean quality of the baseline there )

The first mean is estimated as `quality` says. The baseline was not asked there: its mean is that of its promises, put right by
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

from monitoring.quality import student
from monitoring.quality.answers import Audits, Bools, Doubles, Names, Sums
from monitoring.quality.quality import LEAST_AUDITS, estimate, variance_of_mean

STEPS = 30  # of bisection


@dataclass(frozen=True, slots=True)
class Moved:
    """Sums over served answers. known: those whose scorer knew the baseline; moved: of these, those that another LLM gave.

    forecast, promised: of the moved ones, the quality expected of them, and what the scorer promised of the baseline.
    """

    known: int = 0
    moved: int = 0
    forecast: float = 0.0
    promised: float = 0.0

    def __add__(self, other: "Moved") -> "Moved":
        return Moved(self.known + other.known, self.moved + other.moved, self.forecast + other.forecast, self.promised + other.promised)


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """Served answers beside one LLM: `all_of` them in sums, by name (of a day, key or domain) and domain, and the M that were audited.

    name_M: the name of each; own_M: whether the LLM gave it itself; promised_M: what the scorer promised of the LLM. read: how many
    graded answers were read, of `audited`: fewer where it is a random part of too many, and more than M where some scorer did not know it.
    """

    llm: str
    all_of: Mapping[tuple[str, str], Moved]
    audits: Audits
    name_M: Names
    own_M: Bools
    promised_M: Doubles
    read: int
    audited: int


@dataclass(frozen=True, slots=True)
class Change:
    """In quality, within [-1, 1], below 0 where quality was given up; low, high: its interval, None where it is not known, and `why`;
    where that stands beside an interval, it says which part of the audits was read.

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


def by_name(found: Beside, *, confidence: float = 0.95) -> dict[str | None, Change]:
    """The change for each day, key or domain of these answers, and for all of them under None; nothing without an answer."""
    if not found.all_of:
        return {}
    right = correction(found, confidence=confidence)
    names = sorted({name for name, _ in found.all_of})
    return {name: of_some(found, name, right, confidence=confidence) for name in (None, *names)}


def of_some(found: Beside, name: str | None, right: Correction, *, confidence: float) -> Change:
    """The change for the answers of that name, None for all of them; those whose scorer knew the baseline."""
    of_domain: dict[str, Moved] = {}
    for (called, domain), sums in found.all_of.items():
        if name in {None, called}:
            of_domain[domain] = of_domain.get(domain, Moved()) + sums
    total = sum(of_domain.values(), Moved())
    if not total.known:
        return Change(why="not known: no answer whose scorer knew the baseline")
    if not total.moved:
        return Change(0.0, 0.0, 0.0, 0, right.audits)
    share = total.moved / total.known
    domains = sorted(domain for domain, sums in of_domain.items() if sums.moved)
    rows_M = ~found.own_M & np.isin(found.audits.domain_M, domains) & (name is None or found.name_M == name)
    moved = Sums(
        domain_D=np.array(domains, dtype=np.str_),
        answers_D=np.array([of_domain[each].moved for each in domains]),
        forecast_D=np.array([of_domain[each].forecast for each in domains]),
    )
    served = estimate(moved, found.audits.of(rows_M), confidence=confidence)
    promised = total.promised / total.moved
    forecast = float(moved.forecast_D.sum()) / total.moved  # without an audit it is all that there is
    value = share * ((forecast if served.value is None else served.value) - float(np.clip(promised + (right.mean or 0.0), 0, 1)))
    if served.low is None or served.high is None or served.value is None:
        return Change(value, audits=served.audited, baseline_audits=right.audits, why=f"not known: {served.audited} audits")
    if right.mean is None or right.half is None:
        why = f"not known: {right.audits} audits of answers by {found.llm}"
        return Change(value, audits=served.audited, baseline_audits=right.audits, why=why)
    half = max(served.value - served.low, served.high - served.value)  # the side that 0 or 1 did not cut
    as_promised, put_right = served.value - promised, served.value - promised - right.mean
    wider = float(np.hypot(half, right.half))
    narrowed = _one_sided(abs(right.mean), wider, confidence)
    ends = [(as_promised, narrowed * half), (put_right, narrowed * wider)]
    low, high = share * min(end - wide for end, wide in ends), share * max(end + wide for end, wide in ends)
    why = f"from {found.read} of {found.audited} graded answers, taken by chance" if found.read < found.audited else ""
    return Change(value, max(-1.0, low), min(1.0, high), served.audited, right.audits, why)


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


def correction(found: Beside, *, confidence: float) -> Correction:
    """From the graded answers that the baseline gave itself."""
    own_M = found.own_M & ~np.isnan(found.audits.grade_M)
    if (n := int(own_M.sum())) < LEAST_AUDITS:
        return Correction(n)
    w: Doubles = 1 / np.maximum(found.audits.drawn_with_M[own_M], 1e-9)
    w = w / w.sum()
    away = found.audits.grade_M[own_M] - found.promised_M[own_M]
    mean = float(w @ away)
    degrees = max(1 / float(w @ w) - 1, 1.0)  # audits that an equal draw would need (Kish 1965)
    return Correction(n, mean, student.quantile((1 + confidence) / 2, degrees) * float(np.sqrt(variance_of_mean(w, away - mean))))
