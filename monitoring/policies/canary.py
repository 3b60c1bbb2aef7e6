"""Whether a canary is surely worse than the champion, or surely not worse by a floor: a test that may be looked at after every audit.

Sessions (or keys) are divided between the versions by chance, so the answers of either are a sample of what it would answer everybody.
Where both versions choose the same LLM nothing differs. What counts is the first answer of each session on which they choose differently,
where it was audited. With y its grade, pi the probability of the audit and w = least pi / pi, somebody bets at every possible mean c of
the champion that the champion's mean is above c and the canary's below c - harm:

    wealth(c) = mean over bets a of  prod over the champion's audits (1 + a w (y - c) / c)
              * mean over bets b of  prod over the canary's audits   (1 + b w (c - harm - y) / (1 - c + harm))

Where the canary is not worse by more than `harm`, wealth(true mean) is 1 on average at any time, so the chance that the least of
wealth(c) over all c ever reaches 1 / alpha is at most alpha (Ville 1939; betting: Waudby-Smith & Ramdas, arXiv 2010.09686). The same the
other way round says that it is surely not worse by the floor. The bets in (0, 1) do not change with what was seen, so an audit that is
reported late counts like any.
harm and floor are of all answers: among those that differ they are larger by the share of requests on which the choices differ, of which
bounds are taken that hold at all times (Howard et al., arXiv 1810.08240, equation 2).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from monitoring.records.record import AUDIT
from monitoring.records.store import RecordStore
from registry.canary_plan import CanaryPlan
from registry.current_version import PublishedCanary

Doubles = NDArray[np.float64]
State = Literal["goes on", "worse", "not worse"]
BETS = np.array([0.15, 0.5])  # shares of what would ruin, were the worst audit to come
MEANS = np.linspace(0.0, 1.0, 201)
STEP = float(MEANS[1])
MOST_LOG = 700.0
POINTS = 100
BOUNDED = 0.1  # of alpha, that the bounds of the differing share may spend
SLOWEST_S = 60.0  # after its record's append that a shadow is scored at the latest
PAIRS = "((served_version = ? AND shadows.scorer_version = ?) OR (served_version = ? AND shadows.scorer_version = ?))"
FIRST = f"""shadows.record_id = records.id AND unit <> '' AND alike = 0 AND {PAIRS} AND scored_at >= ? AND NOT EXISTS (
    SELECT 1 FROM shadows AS earlier JOIN records AS before ON before.id = earlier.record_id
    WHERE earlier.served_version = shadows.served_version AND earlier.scorer_version = shadows.scorer_version
    AND earlier.unit = shadows.unit AND earlier.unit <> '' AND earlier.alike = 0 AND earlier.scored_at >= ?
    AND earlier.scored_at <= shadows.scored_at + {SLOWEST_S} AND before.number < records.number)"""  # noqa: S608  all text is ours
AUDITED = f"""SELECT served_version, outcomes.score, probability FROM draws CROSS JOIN records CROSS JOIN outcomes CROSS JOIN shadows
    WHERE draws.drawn = 1 AND records.number = draws.number AND outcomes.record_id = records.id AND source = '{AUDIT}' AND {FIRST}"""  # noqa: S608
DIFFERING = """SELECT count(*), coalesce(sum(1 - alike), 0) FROM shadows
    WHERE served_version = ? AND scorer_version = ? AND unit <> '' AND scored_at >= ?"""
UNDECIDED = f"""SELECT served_version, records.id FROM records CROSS JOIN shadows
    WHERE records.number > (SELECT coalesce(max(number), 0) FROM draws) AND {FIRST}"""  # noqa: S608
SERVED = """SELECT scorer_version, count(*), sum(CASE WHEN status = 'ok' THEN 0 ELSE 1 END), sum(cost_usd) FROM records
    WHERE length(embedding) > 0 AND created_at >= ? AND scorer_version IN (?, ?) GROUP BY scorer_version"""


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """The N audits of one version that count. grade_N in [0, 1]; weight_N in (0, 1]: least probability over the audit's own."""

    grade_N: Doubles
    weight_N: Doubles

    @classmethod
    def of(cls, audits: Sequence[tuple[float, float]], least: float) -> "Arm":
        """Of grades and the probabilities they were drawn with; those below `least` do not count: they were drawn by another rule."""
        kept = np.array([audit for audit in audits if audit[1] >= least * (1 - 1e-9)], dtype=np.float64).reshape(-1, 2)
        return cls(kept[:, 0], np.minimum(1.0, least / kept[:, 1]))

    @property
    def mean(self) -> float | None:
        """Of the grades, weighed; None without any."""
        return float(np.average(self.grade_N, weights=self.weight_N)) if len(self.grade_N) else None

    def above(self, means_C: Doubles) -> Doubles:
        """Log wealth of who bets that the mean is above each of `means_C`."""
        return _log_wealth(self.weight_N, self.grade_N[:, None] - means_C, 1 / np.maximum(means_C, STEP))

    def below(self, means_C: Doubles) -> Doubles:
        """Log wealth of who bets that it is below."""
        return _log_wealth(self.weight_N, means_C - self.grade_N[:, None], 1 / np.maximum(1 - means_C, STEP))


@dataclass(frozen=True, slots=True)
class Odds:
    """Against the canary being not worse than it may, and against its being worse than the floor; 1 / alpha is beyond doubt."""

    worse: float
    not_worse: float


def odds(champion: Arm, canary: Arm, *, harm: float, floor: float) -> Odds:
    """harm, floor: among the answers on which the versions differ; 1 and more is more than any answers can differ."""
    low_C, high_C = MEANS[:-1], MEANS[1:]  # the champion's mean is in one of these; the bound is the least over each
    worse, not_worse = -MOST_LOG, MOST_LOG
    if harm < 1:
        worse = float((champion.above(high_C) + canary.below(np.maximum(low_C - harm, 0.0))).min())
    if floor < 1:
        able_C = high_C > floor  # a champion below the floor cannot be missed by as much
        not_worse = float((champion.below(low_C[able_C]) + canary.above(high_C[able_C] - floor)).min())
    return Odds(math.exp(np.clip(worse, -MOST_LOG, MOST_LOG)), math.exp(np.clip(not_worse, -MOST_LOG, MOST_LOG)))


def differing(differ: int, requests: int, alpha: float) -> tuple[float, float]:
    """Bounds of a share, at all times at once, of which `differ` of `requests` were seen; either holds with 1 - alpha."""
    if requests < 1:
        return 0.0, 1.0
    width = 0.85 * math.sqrt((math.log(math.log(2 * requests)) + 0.72 * math.log(5.2 / alpha)) / requests)
    return max(0.0, differ / requests - width), min(1.0, differ / requests + width)


@dataclass(frozen=True, slots=True)
class Requests:
    """What one version was asked since the canary began. failed: without an answer. usd: of all together."""

    requests: int = 0
    failed: int = 0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Looked:
    """All that is known of a canary now. compared: requests that both versions scored while chance drew between them; differ: of these."""

    version: str
    against: str
    published: PublishedCanary
    of_champion: Requests
    of_canary: Requests
    champion: Arm
    canary: Arm
    odds: Odds
    compared: int
    differ: int

    @property
    def plan(self) -> CanaryPlan:
        """How it is run."""
        return self.published.plan

    @property
    def needed(self) -> float:
        """The odds at which it ends."""
        return 1 / (1 - self.plan.confidence)

    @property
    def state(self) -> State:
        """What comes of it now."""
        if self.odds.worse >= self.needed and self.odds.worse >= self.odds.not_worse:
            return "worse"
        return "not worse" if self.odds.not_worse >= self.needed else "goes on"

    @property
    def share(self) -> float | None:
        """Of the requests that both versions scored while chance drew between them, on which they choose differently; None without any."""
        return self.differ / self.compared if self.compared else None

    @property
    def difference(self) -> float | None:
        """The canary's quality minus the champion's over all requests, as far as the audits tell; None before there are any of both."""
        ours, theirs = self.canary.mean, self.champion.mean
        return None if ours is None or theirs is None or self.share is None else self.share * (ours - theirs)

    def sentence(self) -> str:
        """For a person."""
        plan, audits = self.plan, (len(self.canary.grade_N), len(self.champion.grade_N))
        seen = f"{audits[0]} and {audits[1]} audits of answers on which they choose differently"
        measured = "" if self.difference is None else f" ({POINTS * self.difference:+.1f} points measured)"
        sure = f"{POINTS * plan.confidence:g} % confidence"
        than = f"more than {POINTS * plan.harm:g} points worse" if plan.harm else "worse"
        if self.state == "worse":
            return f"With {sure} version {self.version} is {than} than version {self.against}{measured}, by {seen}."
        if self.state == "not worse":
            floor = f"at most {POINTS * plan.floor:g} points below"
            return f"With {sure} version {self.version} is {floor} version {self.against}{measured}, by {seen}: it may be promoted."
        few = "" if plan.by == "session" or min(audits) >= 20 else " A key counts once: keys alone are too few to tell soon."
        odds = (
            f"odds {self.odds.worse:.2g} that it is {than}, {self.odds.not_worse:.2g} that it is not by the floor; {self.needed:g} decide"
        )
        return f"Version {self.version} goes on beside version {self.against}{measured}: {seen}; {odds}.{few}"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        arms = {"champion": self.of_champion, "canary": self.of_canary}
        answered = {name: each.requests - each.failed for name, each in arms.items()}
        return {
            "plan": self.plan.model_dump(),
            "since": self.published.since,
            "state": self.state,
            "sentence": self.sentence(),
            "requests": {name: each.requests for name, each in arms.items()},
            "failed": {name: each.failed / each.requests if each.requests else None for name, each in arms.items()},
            "cost_usd": {name: each.usd / answered[name] if answered[name] else None for name, each in arms.items()},
            "compared": self.compared,
            "differ": self.share,
            "audits": {"champion": len(self.champion.grade_N), "canary": len(self.canary.grade_N)},
            "mean": {"champion": self.champion.mean, "canary": self.canary.mean},
            "difference": self.difference,
            "odds": asdict(self.odds),
            "needed": self.needed,
        }


def look(store: RecordStore, against: str, published: PublishedCanary) -> Looked:
    """What records and audits say of a canary beside the champion `against`. Blocks: for people. Raises RecordsRefused."""
    version = published.version
    rows = store.ask(SERVED, (_since(published), against, version))
    served = {row[0]: Requests(int(row[1]), int(row[2]), float(row[3])) for row in rows}
    found = tested(store, against, published)
    return replace(found, of_champion=served.get(against, Requests()), of_canary=served.get(version, Requests()))


def tested(store: RecordStore, against: str, published: PublishedCanary) -> Looked:
    """The same without what either version was asked, which takes reading every record. Blocks: for the monitor."""
    version, plan, since = published.version, published.plan, _since(published)
    audits: dict[str, list[tuple[float, float]]] = {against: [], version: []}
    for served, grade, probability in store.ask(AUDITED, _values(against, published)):
        audits[served].append((grade, probability))
    champion, canary = Arm.of(audits[against], plan.champion_audited), Arm.of(audits[version], plan.audited)
    counts = [store.ask(DIFFERING, (*pair, since))[0] for pair in ((against, version), (version, against))]
    compared, differ = (sum(map(int, column)) for column in zip(*counts, strict=True))
    alpha = 1 - plan.confidence
    least, most = differing(differ, compared, BOUNDED * alpha)
    found = odds(champion, canary, harm=_among(plan.harm, least), floor=_among(plan.floor, most))
    found = Odds(found.worse * (1 - BOUNDED), found.not_worse * (1 - BOUNDED))
    return Looked(version, against, published, Requests(), Requests(), champion, canary, found, compared, differ)


def chances(store: RecordStore, against: str, published: PublishedCanary) -> dict[str, float]:
    """Records that are to be drawn for an audit with at least this probability, of those that no draw was decided on yet. Blocks."""
    plan = published.plan
    wanted = {against: plan.champion_audited, published.version: plan.audited}
    return {record_id: wanted[served] for served, record_id in store.ask(UNDECIDED, _values(against, published))}


def _values(against: str, published: PublishedCanary) -> tuple[str, str, str, str, float, float]:
    """Those of FIRST."""
    since = _since(published)
    return against, published.version, published.version, against, since, since


def _since(published: PublishedCanary) -> float:
    return datetime.fromisoformat(published.since).timestamp()


def _among(points: float, share: float) -> float:
    """What a difference over all answers is among a share of them."""
    return 0.0 if points == 0 else points / share if share > 0 else math.inf


def _log_wealth(weight_N: Doubles, gain_NC: Doubles, most_C: Doubles) -> Doubles:
    """Log of the mean over bets of the wealth, at each of C means. gain_NC in [-1, 1]; most_C: what ruins whoever stakes it."""
    scaled_NC = weight_N[:, None] * gain_NC * most_C
    log_C: Doubles = np.logaddexp.reduce([np.log1p(share * scaled_NC).sum(axis=0) for share in BETS]) - math.log(len(BETS))
    return log_C
