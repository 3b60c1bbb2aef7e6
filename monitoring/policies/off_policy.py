"""What another way of choosing would have brought, told from traffic of which chance chose some: value, interval, or why there is none.

Of each request the log knows the LLM a that was asked first, the propensity p(a) with which it might have been, and for some requests an
outcome y, each looked at with a probability rho that was written down before. A target asks a with probability pi(a); w = pi(a) / p(a).

    value = b mean(m(pi)) + sum of v (y - b m(a)),   v ~ w / rho, normalised to sum to 1 over the outcomes of a stratum

(doubly robust: Dudik et al. 2011, arXiv 1103.4601; self-normalised: Swaminathan & Joachims 2015). m is a forecast: the promise of the
scorer that served, for money the expected cost; b in [0, 1] is how much of it outcomes confirm (as in `monitoring.quality.quality`), so
a broken forecast counts for nothing. The strata are the requests where the target does what the log does without chance, and those where
it differs: there only draws of chance say anything. Where too few do, nothing is estimated: a small share is bounded by the worst case,
with a larger one the estimate is refused. The variance is that of the influences of single requests, with Student's quantile at the
degrees of freedom that the weights leave.

Money has a long tail: a few dozen draws seldom hold one of the longest answers, and without one both their mean and their variance are too
low. What was paid beside what was expected is known of every request of the log, and what the target is expected to cost, of every request
of a stratum, so its variance is never less than

    sum of v^2 * spread * mean(m(pi)^2),   spread = sum of (y - r m(a))^2 / sum of m(a)^2 over the log,   r = sum of y / sum of m(a)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitoring.quality import student
from monitoring.quality.quality import GUARD, confirmed
from registry import intervals

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
LEAST_OUTCOMES = 10  # that chance has to bring where the target differs; as many as a domain needs to count by itself in an audit
MOST_UNJUDGED = 0.05  # share of requests that is bounded by the worst case; with more the estimate is refused
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """N requests as a target sees them. What has a mean is a quality in [0, 1], or USD.

    propensity_N: of the LLM that was asked first, in (0, 1]. target_N: with which probability the target asks that one. supported_N: how
    much of the target's probability is on LLMs that the log might have asked. differs_N: whether it is not what the log does without
    chance. forecast_N: of what the target asks; logged_N: of what was asked. outcome_N: NaN where nobody looked. observed_N: the
    probability with which it was looked at, read where there is an outcome.
    """

    propensity_N: Doubles
    target_N: Doubles
    supported_N: Doubles
    differs_N: Flags
    forecast_N: Doubles
    logged_N: Doubles
    outcome_N: Doubles
    observed_N: Doubles

    def __len__(self) -> int:
        return len(self.propensity_N)

    def of(self, rows_N: Flags) -> "Logged":
        """Some of them."""
        return Logged(**{name: getattr(self, name)[rows_N] for name in self.__dataclass_fields__})

    @property
    def weight_N(self) -> Doubles:
        """The weight w / rho: for how many requests each one's outcome stands; 0 where there is none."""
        seen_N = ~np.isnan(self.outcome_N)
        observed_N = np.where(seen_N, self.observed_N, 1.0)
        return np.where(seen_N, self.target_N / (self.propensity_N * observed_N), 0.0)


@dataclass(frozen=True, slots=True)
class Value:
    """The mean under the target. value, low, high: None where it is refused, and `why` says why.

    outcomes: that count; effective: how many equally weighted ones they are worth (Kish 1965). differs: share of requests where the target
    does otherwise than the log; unjudged: share that is bounded by the worst case. direct: by the forecast alone.
    """

    requests: int
    outcomes: int
    effective: float
    differs: float
    unjudged: float
    value: float | None = None
    low: float | None = None
    high: float | None = None
    direct: float | None = None
    why: str = ""

    def points(self, *, signed: bool = False) -> str:
        """A quality with its interval, as people read it. signed: a difference."""
        return intervals.points(self.value, self.low, self.high, signed=signed)

    def usd(self, *, signed: bool = False) -> str:
        """Money with its interval, likewise."""
        return intervals.usd(self.value, self.low, self.high, signed=signed)


@dataclass(frozen=True, slots=True, eq=False)
class _Mean:
    """A mean with the influence of each of its requests, and the parts of its variance with the degrees of freedom of each."""

    value: float
    influence_N: Doubles
    guard: float
    parts: Sequence[tuple[float, float]]

    def half(self, confidence: float) -> float:
        variance = float(np.square(self.influence_N - self.value).sum()) / len(self.influence_N) ** 2 + self.guard
        total = sum(part for part, _ in self.parts)
        degrees = total**2 / max(sum(part**2 / each for part, each in self.parts), 1e-300) if total > 0 else 1e6
        return student.quantile((1 + confidence) / 2, degrees) * float(np.sqrt(variance))


def value(logged: Logged, *, confidence: float = CONFIDENCE, most: float | None = 1.0) -> Value:
    """The mean under the target. most: the largest there can be (1 for a quality); None: twice the forecast, for money."""
    count = len(logged)
    if not count:
        return Value(0, 0, 0.0, 0.0, 0.0, why="There is no request.")
    judged_N = judged(logged)
    weight_N = logged.weight_N
    nothing = Value(
        requests=count,
        outcomes=int((weight_N > 0).sum()),
        effective=effective(weight_N),
        differs=float(logged.differs_N.mean()),
        unjudged=float(1 - judged_N.mean()),
        direct=float(logged.forecast_N.mean()),
    )
    if (why := refusal(logged, judged_N)) is not None:
        return replace(nothing, why=why)
    found = _doubly_robust(logged.of(judged_N), most, spread(logged, most))
    share, half = float(judged_N.mean()), found.half(confidence)
    left_N = logged.forecast_N[~judged_N]
    left = float(left_N.sum()) / count
    most_left = (1 - share) * most if most is not None else 2 * left
    return replace(
        nothing,
        value=_within(share * found.value + left, most),
        low=_within(share * (found.value - half), most),
        high=_within(share * (found.value + half) + most_left, most),
    )


def difference(target: Logged, other: Logged, *, confidence: float = CONFIDENCE, most: float | None = 1.0) -> Value:
    """The target's mean less another's on the same requests, paired: where both do the same nothing is uncertain.

    `other` is what the log does without chance, or another target of it. Differences of single requests lie in [-most, most].
    """
    differs_N = target.differs_N | other.differs_N
    judged_N = judged(target) & judged(other)
    count = len(target)
    weights = target.weight_N * differs_N
    nothing = Value(
        requests=count,
        outcomes=int((weights > 0).sum()),
        effective=effective(weights),
        differs=float(differs_N.mean()) if count else 0.0,
        unjudged=float(1 - judged_N.mean()) if count else 0.0,
        direct=float((target.forecast_N - other.forecast_N).mean()) if count else None,
    )
    for each in (target, other):
        if (why := refusal(each, judged_N)) is not None:
            return replace(nothing, why=why)
    left_N = (target.forecast_N - other.forecast_N)[~judged_N]
    left, bound = float(left_N.sum()) / count, _bound(target, other, ~judged_N, most)
    rows_N = differs_N & judged_N
    if not rows_N.any():
        return replace(nothing, value=left, low=left - bound, high=left + bound)
    one, two = (_doubly_robust(each.of(rows_N), most, spread(each, most), stratified=False) for each in (target, other))
    influence_N = np.zeros(count)
    influence_N[rows_N] = one.influence_N - two.influence_N
    share = float(rows_N.mean())
    of_both = _Mean(share * (one.value - two.value), influence_N, share**2 * (one.guard + two.guard), (*one.parts, *two.parts))
    half = of_both.half(confidence)
    return replace(nothing, value=of_both.value + left, low=of_both.value - half - bound, high=of_both.value + half + bound)


def judged(logged: Logged) -> Flags:
    """The requests that outcomes say something of: the log might have done what the target does, and chance did often enough."""
    able_N = logged.supported_N > 1 - 1e-9
    differing_N = able_N & logged.differs_N
    enough = effective(logged.weight_N[differing_N]) >= LEAST_OUTCOMES
    return able_N if enough else np.asarray(able_N & ~logged.differs_N)


def refusal(logged: Logged, judged_N: Flags) -> str | None:
    """Why nothing can be said of the mean, None where something can."""
    unjudged = float(1 - judged_N.mean()) if len(judged_N) else 0.0
    if unjudged > MOST_UNJUDGED:
        never = float((logged.supported_N < 1 - 1e-9).mean())
        brought = effective(logged.weight_N[logged.differs_N & (logged.supported_N > 1 - 1e-9)])
        if never > MOST_UNJUDGED:
            return f"No overlap: in {never:.0%} of the requests it asks an LLM that could not have been asked."
        return (
            f"Too little overlap: in {unjudged:.0%} of the requests it asks another LLM, and what chance brought there is worth"
            f" {brought:.0f} outcomes of the {LEAST_OUTCOMES} that it takes."
        )
    common = effective(logged.weight_N[judged_N])
    if common < LEAST_OUTCOMES:
        return f"Too few outcomes: they are worth {common:.0f} of the {LEAST_OUTCOMES} that it takes."
    return None


def effective(weight_N: Doubles) -> float:
    """How many equally weighted outcomes these are worth: (sum w)^2 / sum w^2 (Kish 1965)."""
    squares = float(weight_N @ weight_N)
    return float(weight_N.sum()) ** 2 / squares if squares > 0 else 0.0


def spread(logged: Logged, most: float | None) -> float:
    """How far outcomes lie from what was expected of them, squared, as a share of that squared; 0 for a quality: that has no tail."""
    if most is not None:
        return 0.0
    known_N = ~np.isnan(logged.outcome_N)
    outcome_N, expected_N = logged.outcome_N[known_N], logged.logged_N[known_N]
    along = float(expected_N @ expected_N)
    if along <= 0:
        return 0.0
    ratio = float(outcome_N.sum() / expected_N.sum())
    return float(np.square(outcome_N - ratio * expected_N).sum()) / along


def share_needed(logged: Logged, chance_N: Doubles, observed: float) -> float | None:
    """The share of exploration with which as many requests again would bring enough outcomes where the target differs; None: none would.

    chance_N: the propensity, per unit of that share, of the LLM that the target asks: 1 / LLMs within delta; 0 where it is none of them.
    observed: the probability with which an outcome of theirs is looked at.
    """
    brought = float(chance_N[logged.differs_N].sum()) * observed
    share = 2 * LEAST_OUTCOMES / brought if brought > 0 else float("inf")  # twice: weights are unequal, and chance has its off days
    return share if share <= 1 else None


def _doubly_robust(logged: Logged, most: float | None, spread: float = 0.0, *, stratified: bool = True) -> _Mean:
    """The estimate and the influences of its requests. most: as for `value`."""
    count, weight_N = len(logged), logged.weight_N
    outcome_N = np.where(weight_N > 0, logged.outcome_N, 0.0)
    strata = [rows for rows in _strata(logged, weight_N, stratified=stratified) if len(rows)]
    seen = [rows[weight_N[rows] > 0] for rows in strata]
    b = confirmed(logged.logged_N, outcome_N, weight_N, seen)
    influence_N, guard, parts = np.zeros(count), 0.0, []
    for rows, inside in zip(strata, seen, strict=True):
        v, share = weight_N[inside] / weight_N[inside].sum(), len(rows) / count
        errors = outcome_N[inside] - b * logged.logged_N[inside]
        mean, n = float(v @ errors), len(inside)
        influence_N[rows] = b * logged.forecast_N[rows] + mean
        influence_N[inside] += len(rows) * v * (errors - mean) * np.sqrt(n / max(n - 1, 1))
        scale = most if most is not None else float(v @ np.abs(outcome_N[inside]))
        own = share**2 * float(np.square(v) @ np.square(errors - mean))
        usual = share**2 * spread * float(v @ v) * float(np.square(logged.forecast_N[rows]).mean())
        guarded = max(GUARD * scale**2 * float(v @ v) / max(n - 1, 1) * share**2, usual - own * n / max(n - 1, 1))
        guard += guarded
        parts.append((own + guarded, max(1 / float(v @ v) - 1, 1.0)))
    mean = float(influence_N.mean())
    parts.append((float(np.square(b * logged.forecast_N - b * logged.forecast_N.mean()).sum()) / count**2, max(count - 1.0, 1.0)))
    return _Mean(mean, influence_N, guard, parts)


def _strata(logged: Logged, weight_N: Doubles, *, stratified: bool) -> Sequence[NDArray[np.intp]]:
    """Rows where the target differs and where it does not; one stratum where either has no outcome."""
    both = [np.flatnonzero(logged.differs_N), np.flatnonzero(~logged.differs_N)]
    apart = stratified and all(not len(rows) or weight_N[rows].sum() > 0 for rows in both)
    return both if apart else [np.arange(len(logged))]


def _bound(target: Logged, other: Logged, left_N: Flags, most: float | None) -> float:
    """How far the difference of the requests that nobody can judge may be from its forecast."""
    apart_N = left_N & (target.differs_N | other.differs_N)
    if most is not None:
        return float(apart_N.mean()) * most
    return float(np.maximum(target.forecast_N, other.forecast_N)[apart_N].sum()) / len(target)


def _within(mean: float, most: float | None) -> float:
    return max(0.0, mean if most is None else min(most, mean))


def as_served(forecast_N: Doubles, outcome_N: Doubles, observed_N: Doubles) -> Logged:
    """The log itself as a target, its draws included. forecast_N: of what was asked."""
    one_N = np.ones(len(forecast_N))
    return Logged(one_N, one_N, one_N, np.zeros(len(one_N), dtype=bool), forecast_N, forecast_N, outcome_N, observed_N)
