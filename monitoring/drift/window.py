"""Measures a window: the records a scorer version scored, compared with the queries it was trained and validated on.

The records of a scorer version, in the order they came, are cut into windows of `policy.window` records that share none. The open window
is judged at fixed sizes only, its looks (`policy.looks`), and each look may spend an equal part of `alpha`:

    alpha_per_look = alpha / number of looks

Holm's correction divides that among the tests of one look. So a window without shift raises a false alarm with a probability of at most
`alpha`, however often somebody asks. Whether promises are kept is judged on all audits of the version, whichever window they are of
(`monitoring.drift.promises`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.drift import drift_tests, misprediction, promises
from monitoring.drift.groups import Group, group
from monitoring.drift.misprediction import Doubles, Estimate, Mispredictions
from monitoring.drift.named_domains import NOTHING_NAMED, NamedDomains
from monitoring.drift.novelty import Novelty, neighbours, novelty
from monitoring.drift.policy import Policy
from monitoring.drift.profile import Floats, ReferenceProfile
from monitoring.drift.promises import Promises
from monitoring.quality import quality
from monitoring.quality.answers import of_records
from monitoring.records.record import AUDIT, Record, is_audited

UNKNOWN = "unlike any known domain"
LEAST_DRAWN = 10  # audits by a draw of ours, from which alone quality is then estimated
LEAST_HELD_OUT = 5  # held-out queries; the tests are exact at any size, but against fewer no shift could be significant


@dataclass(frozen=True, slots=True)
class Domain:
    """The records of one domain: `name` is the request's tag; without one it is `near X`, after the nearest training query's domain X,
    or, where the query is novel, what a person named its like (`monitoring.drift.named_domains`), else `UNKNOWN`.

    n: distinct queries. novel: how many of them are novel. novel_low: lower confidence bound of the novel share. promised: mean promise.
    mispredicted: share of its audited records, None without any.
    """

    name: str
    n: int
    novel: int
    novel_low: float
    promised: float
    audited: int
    mispredicted: float | None

    @property
    def novel_share(self) -> float:
        """Share of the domain's queries beyond the novelty threshold."""
        return self.novel / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class WindowStats:
    """The figures of a window at one look; what a verdict is decided on.

    index: which window of the scorer version, from 0. since, until: seconds since the epoch.
    size: records at this look, those left out included. foreign: how many those are, because their roster or embedding is not this
    scorer's (a version number used twice).
    distinct: queries without exact repetitions; a repeated query says nothing new about drift. held_out: held-out queries of the reference.
    alpha: what this look may spend. shift, mix: None where there are too few distinct queries to test.
    novel_low: lower confidence bound of the novel share at `alpha`. promised: mean promise of the answers served.
    mispredictions, quality: on the audits of this window; estimated mean outcome of every answer served. promises: what all audits of this
    version say. complaints: reports by users, and the mean of their scores; who reports is no sample, so they decide nothing.
    """

    scorer_version: str
    index: int
    since: float
    until: float
    size: int
    n: int
    foreign: int
    distinct: int
    held_out: int
    alpha: float
    shift: drift_tests.Shift | None
    mix: drift_tests.Mix | None
    novel_share: float
    novel_low: float
    novel_expected: float
    domains: tuple[Domain, ...]
    mispredictions: Mispredictions | None
    promised: float | None
    quality: Estimate | None
    promises: Promises
    complaints: tuple[int, float] | None
    failed: int
    cost_usd: float
    latency_p50_s: float
    latency_p95_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The N records of a window at one look, their domains and novelty (None without records), what the novel ones are, and the figures.

    named: domains that people named, of which some groups are.
    """

    records: tuple[Record, ...]
    domains: tuple[str, ...]
    novelty: Novelty | None
    groups: tuple[Group, ...]
    stats: WindowStats
    named: frozenset[str]


def window_to_judge(scored: int, policy: Policy) -> tuple[int, int]:
    """Index and size of the window to judge after `scored` records: the open one at its last look, else the last full one.

    Before the very first look it is the open one, whole.
    """
    index, rest = divmod(scored, policy.window)
    if rest >= policy.first_look:
        return index, max(size for size in policy.looks if size <= rest)
    return (index - 1, policy.window) if index else (0, rest)


def looks_after(last: tuple[int, int] | None, scored: int, policy: Policy) -> list[tuple[int, int]]:
    """Index and size of every look due after `scored` records, in order, those up to `last` left out; none is skipped."""
    index, rest = divmod(scored, policy.window)
    start = (0, 0) if last is None else last
    looks = [(at, size) for at in range(start[0], index + 1) for size in policy.looks if at < index or size <= rest]
    return [look for look in looks if look > start]


def measure(
    records: Sequence[Record],
    profile: ReferenceProfile,
    policy: Policy,
    *,
    scorer_version: str,
    index: int,
    audited: Sequence[Record] | None = None,
    named: NamedDomains = NOTHING_NAMED,
) -> Window:
    """The window number `index` of `scorer_version`, which scored all of `records`, compared with its reference `profile`.

    audited: the audited records of this version's whole life, where they are not all in `records`. named: the domains that people named.
    """
    ours = comparable(records, profile)
    queries_ND = embeddings(ours, profile)
    scores_NL = np.array([record.scores for record in ours], dtype=np.float32).reshape(len(ours), len(profile.roster))
    distinct_M = _first_occurrences(queries_ND)
    novelty = _novelty(queries_ND, profile, policy) if ours else None
    domains = domain_names(ours, profile, novelty, named)
    of_distinct = novelty and novelty.of(distinct_M)
    stats = WindowStats(
        scorer_version=scorer_version,
        index=index,
        since=min((record.created_at for record in ours), default=0.0),
        until=max((record.created_at for record in ours), default=0.0),
        size=len(records),
        n=len(ours),
        foreign=len(records) - len(ours),
        distinct=len(distinct_M),
        held_out=len(profile.held_queries_HD),
        alpha=policy.alpha_per_look,
        novel_expected=1 - policy.novel_quantile,
        domains=_by_domain(ours, domains, novelty, distinct_M, policy),
        **_drift(queries_ND[distinct_M], scores_NL[distinct_M], profile, of_distinct, policy),
        **_outcomes(ours, domains, policy),
        promises=_promises(ours if audited is None else comparable(audited, profile), profile),
        **_service(ours),
    )
    groups = group([ours[at] for at in distinct_M], queries_ND[distinct_M], of_distinct, profile, named) if of_distinct else ()
    return Window(tuple(ours), domains, novelty, groups, stats, frozenset(each.name for each in named.domains))


def lower_bound(count: int, n: int, alpha: float) -> float:
    """Exact one-sided lower confidence bound of the share count / n (Clopper & Pearson 1934)."""
    from scipy.stats import binomtest

    return float(binomtest(count, n, alternative="greater").proportion_ci(1 - alpha, method="exact").low) if n else 0.0


def _first_occurrences(queries_ND: Floats) -> NDArray[np.intp]:
    """Indices of the M distinct queries, in their order."""
    if not len(queries_ND):
        return np.zeros(0, dtype=np.intp)
    return np.sort(np.unique(queries_ND, axis=0, return_index=True)[1])


def comparable(records: Sequence[Record], profile: ReferenceProfile) -> list[Record]:
    """Those whose roster and embedding are this scorer's."""
    return [record for record in records if record.roster == profile.roster and len(record.embedding) == profile.queries_RD.shape[1]]


def embeddings(records: Sequence[Record], profile: ReferenceProfile) -> Floats:
    """Their queries' embeddings, N x D."""
    return np.array([record.embedding for record in records], dtype=np.float32).reshape(len(records), profile.queries_RD.shape[1])


def _drift(queries_MD: Floats, scores_ML: Floats, profile: ReferenceProfile, novelty: Novelty | None, policy: Policy) -> dict[str, Any]:
    """The novel share of distinct queries, and the tests where there are enough of them. novelty: of these queries."""
    if novelty is None:
        return {"shift": None, "mix": None, "novel_share": 0.0, "novel_low": 0.0}
    shift, mix = None, None
    if len(queries_MD) >= policy.first_look and len(profile.held_queries_HD) >= LEAST_HELD_OUT:
        count = _permutations(profile, policy)
        shift = drift_tests.compare(queries_MD, scores_ML, profile, novelty, count=count, seed=policy.seed)
        held_out = profile.domains_R[novelty.held_out_nearest_H]
        mix = drift_tests.mix(novelty.domains_N(profile), held_out, count=count, seed=policy.seed)
    novel_low = lower_bound(int(novelty.novel_N.sum()), len(queries_MD), policy.alpha_per_look)
    return {"shift": shift, "mix": mix, "novel_share": novelty.share, "novel_low": novel_low}


def _novelty(queries_ND: Floats, profile: ReferenceProfile, policy: Policy) -> Novelty:
    return novelty(queries_ND, profile, k=policy.neighbours, quantile=policy.novel_quantile)


def _permutations(profile: ReferenceProfile, policy: Policy) -> int:
    """Enough that the smallest p-value possible, times the number of tests, can pass below the look's alpha."""
    return max(policy.permutations, ceil(2 * (len(profile.roster) + 2) / policy.alpha_per_look))


def domain_names(
    records: Sequence[Record], profile: ReferenceProfile, novelty: Novelty | None, named: NamedDomains = NOTHING_NAMED
) -> tuple[str, ...]:
    """What each record's domain is called (`Domain.name`)."""
    if novelty is None:
        return ()
    called = named.names_N(embeddings(records, profile), profile, novelty.novel_N)
    rows = zip(records, novelty.domains_N(profile), novelty.novel_N, called, strict=True)
    return tuple(record.domain or name or (UNKNOWN if novel else f"near {nearest}") for record, nearest, novel, name in rows)


def _by_domain(
    records: Sequence[Record], domains: tuple[str, ...], novelty: Novelty | None, distinct_M: NDArray[np.intp], policy: Policy
) -> tuple[Domain, ...]:
    """Domains by their number of novel queries, most first; a repeated query counts once, its audits all count."""
    if novelty is None:
        return ()
    measured = []
    for name in set(domains):
        members = [record for record, domain in zip(records, domains, strict=True) if domain == name]
        distinct = [index for index in distinct_M if domains[index] == name]
        novel = int(novelty.novel_N[distinct].sum())
        wrong = misprediction.mispredictions(*_audited(members), confidence=1 - policy.alpha)
        measured.append(
            Domain(
                name=name,
                n=len(distinct),
                novel=novel,
                novel_low=lower_bound(novel, len(distinct), policy.alpha_per_look),
                promised=float(np.mean([record.predicted for record in members])),
                audited=wrong.n if wrong else 0,
                mispredicted=wrong.share if wrong else None,
            )
        )
    return tuple(sorted(measured, key=lambda domain: (-domain.novel, domain.name)))


def _audited(records: Sequence[Record]) -> tuple[Doubles, Doubles]:
    """Promise and outcome of every audited answer. A failed request has no answer whose quality was promised."""
    pairs = [(record.predicted, record.outcome.score) for record in records if is_audited(record) and record.outcome is not None]
    table: Doubles = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _outcomes(records: Sequence[Record], domains: Sequence[str], policy: Policy) -> dict[str, Any]:
    promised_M, outcome_M = _audited(records)
    promised_N = np.array([record.predicted for record in records if record.status == "ok" and record.predicted is not None])
    reported = [record.outcome.score for record in records if record.outcome is not None and record.outcome.source != AUDIT]
    return {
        "mispredictions": misprediction.mispredictions(promised_M, outcome_M, confidence=1 - policy.alpha_per_look),
        "promised": float(promised_N.mean()) if len(promised_N) else None,
        "quality": _quality(records, domains, promised_N, policy),
        "complaints": (len(reported), float(np.mean(reported))) if reported else None,
    }


def _quality(records: Sequence[Record], domains: Sequence[str], promised_N: Doubles, policy: Policy) -> Estimate | None:
    """From the audits that were drawn, where there are enough of them; else from all audits, as if they had been drawn at random."""
    served = [(record, domain) for record, domain in zip(records, domains, strict=True) if record.status == "ok" and record.scores]
    if sum(record.drawn_with is not None and is_audited(record) for record, _ in served) < LEAST_DRAWN:
        return misprediction.estimated_quality(promised_N, *_audited(records), confidence=1 - policy.alpha)
    found = quality.estimate(*of_records(*zip(*served, strict=True)).summed(), confidence=1 - policy.alpha)
    return None if found.value is None else Estimate(found.value, found.low, found.high)


def _promises(records: Sequence[Record], profile: ReferenceProfile) -> Promises:
    """What the audits among `records` say of the promises, by tag or, without one, by the domain of the nearest training query."""
    audits = sorted((record for record in records if is_audited(record)), key=_reported_at)
    _, nearest_M = neighbours(embeddings(audits, profile), profile.queries_RD, 1)
    domains = [record.domain or str(name) for record, name in zip(audits, profile.domains_R[nearest_M], strict=True)]
    known = frozenset(map(str, profile.domains_R))
    return promises.bet(*_audited(audits), domains, known)


def _reported_at(record: Record) -> tuple[float, str]:
    return (record.outcome.reported_at if record.outcome else 0.0, record.id)


def _service(records: Sequence[Record]) -> dict[str, Any]:
    served = [record for record in records if record.status == "ok"]
    latencies = [record.latency_s for record in served] or [0.0]
    return {
        "failed": len(records) - len(served),
        "cost_usd": float(sum(record.cost_usd for record in records)),
        "latency_p50_s": float(np.quantile(latencies, 0.5)),
        "latency_p95_s": float(np.quantile(latencies, 0.95)),
    }
