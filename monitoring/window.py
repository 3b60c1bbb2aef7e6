"""Measures a window: the records a scorer version scored, compared with the queries it was trained and validated on.

The records of a scorer version, in the order they came, are cut into windows of `policy.window` records that share none. The open window
is judged at fixed sizes only, its looks (`policy.looks`), and each look may spend an equal part of `alpha`:

    alpha_per_look = alpha / number of looks

Holm's correction divides that among the tests of one look. So a window without shift raises a false alarm with a probability of at most
`alpha`, however often somebody asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring import drift_tests, misprediction
from monitoring.drift_tests import Novelty
from monitoring.misprediction import Estimate, Mispredictions
from monitoring.policy import Policy
from monitoring.profile import ReferenceProfile
from monitoring.record import Record

LEAST_HELD_OUT = 5  # held-out queries; the tests are exact at any size, but against fewer no shift could be significant


@dataclass(frozen=True, slots=True)
class Domain:
    """The records of one domain: `name` is the request's tag, or `near X` after the domain X of the nearest training query.

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
    foreign: records left out because their roster or embedding is not this scorer's (a version number used twice).
    distinct: queries without exact repetitions; a repeated query says nothing new about drift. held_out: held-out queries of the reference.
    alpha: what this look may spend. shift: None where there are too few distinct queries to test.
    novel_low: lower confidence bound of the novel share at `alpha`. promised: mean promise of the answers served.
    quality: estimated mean outcome of every answer served.
    """

    scorer_version: str
    index: int
    since: float
    until: float
    n: int
    foreign: int
    distinct: int
    held_out: int
    alpha: float
    shift: drift_tests.Shift | None
    novel_share: float
    novel_low: float
    novel_expected: float
    domains: tuple[Domain, ...]
    mispredictions: Mispredictions | None
    promised: float | None
    quality: Estimate | None
    failed: int
    cost_usd: float
    latency_p50_s: float
    latency_p95_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The N records of a window at one look, the domain of each, their novelty (None without records), and their figures."""

    records: tuple[Record, ...]
    domains: tuple[str, ...]
    novelty: Novelty | None
    stats: WindowStats


def window_to_judge(scored: int, policy: Policy) -> tuple[int, int]:
    """Index and size of the window to judge after `scored` records: the open one at its last look, else the last full one.

    Before the very first look it is the open one, whole.
    """
    index, rest = divmod(scored, policy.window)
    if rest >= policy.first_look:
        return index, max(size for size in policy.looks if size <= rest)
    return (index - 1, policy.window) if index else (0, rest)


def measure(records: Sequence[Record], profile: ReferenceProfile, policy: Policy, *, scorer_version: str, index: int) -> Window:
    """The window number `index` of `scorer_version`, which scored all of `records`, compared with its reference `profile`."""
    comparable = [record for record in records if record.roster == profile.roster and len(record.embedding) == profile.queries_RD.shape[1]]
    queries_ND = np.array([record.embedding for record in comparable], dtype=np.float32).reshape(
        len(comparable), profile.queries_RD.shape[1]
    )
    scores_NL = np.array([record.scores for record in comparable], dtype=np.float32).reshape(len(comparable), len(profile.roster))
    distinct_M = _first_occurrences(queries_ND)
    novelty = _novelty(queries_ND, profile, policy) if comparable else None
    domains = _domain_names(comparable, profile, novelty)
    stats = WindowStats(
        scorer_version=scorer_version,
        index=index,
        since=min((record.created_at for record in comparable), default=0.0),
        until=max((record.created_at for record in comparable), default=0.0),
        n=len(comparable),
        foreign=len(records) - len(comparable),
        distinct=len(distinct_M),
        held_out=len(profile.held_queries_HD),
        alpha=policy.alpha_per_look,
        novel_expected=1 - policy.novel_quantile,
        domains=_by_domain(comparable, domains, novelty, distinct_M, policy),
        **_drift(queries_ND[distinct_M], scores_NL[distinct_M], profile, policy),
        **_outcomes(comparable, policy),
        **_service(comparable),
    )
    return Window(tuple(comparable), domains, novelty, stats)


def lower_bound(count: int, n: int, alpha: float) -> float:
    """Exact one-sided lower confidence bound of the share count / n (Clopper & Pearson 1934)."""
    from scipy.stats import binomtest

    return float(binomtest(count, n, alternative="greater").proportion_ci(1 - alpha, method="exact").low) if n else 0.0


def _first_occurrences(queries_ND: drift_tests.Floats) -> NDArray[np.intp]:
    """Indices of the M distinct queries, in their order."""
    if not len(queries_ND):
        return np.zeros(0, dtype=np.intp)
    return np.sort(np.unique(queries_ND, axis=0, return_index=True)[1])


def _drift(queries_MD: drift_tests.Floats, scores_ML: drift_tests.Floats, profile: ReferenceProfile, policy: Policy) -> dict[str, Any]:
    """The novel share of distinct queries, and the tests where there are enough of them."""
    if not len(queries_MD):
        return {"shift": None, "novel_share": 0.0, "novel_low": 0.0}
    novelty, shift = _novelty(queries_MD, profile, policy), None
    if len(queries_MD) >= policy.first_look and len(profile.held_queries_HD) >= LEAST_HELD_OUT:
        count = _permutations(profile, policy)
        shift = drift_tests.compare(queries_MD, scores_ML, profile, novelty, count=count, seed=policy.seed)
    novel_low = lower_bound(int(novelty.novel_N.sum()), len(queries_MD), policy.alpha_per_look)
    return {"shift": shift, "novel_share": novelty.share, "novel_low": novel_low}


def _novelty(queries_ND: drift_tests.Floats, profile: ReferenceProfile, policy: Policy) -> Novelty:
    return drift_tests.novelty(queries_ND, profile, k=policy.neighbours, quantile=policy.novel_quantile)


def _permutations(profile: ReferenceProfile, policy: Policy) -> int:
    """Enough that the smallest p-value possible, times the number of tests, can pass below the look's alpha."""
    return max(policy.permutations, ceil(2 * (len(profile.roster) + 2) / policy.alpha_per_look))


def _domain_names(records: Sequence[Record], profile: ReferenceProfile, novelty: Novelty | None) -> tuple[str, ...]:
    if novelty is None:
        return ()
    return tuple(record.domain or f"near {profile.domains_R[nearest]}" for record, nearest in zip(records, novelty.nearest_N, strict=True))


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


def _audited(records: Sequence[Record]) -> tuple[misprediction.Doubles, misprediction.Doubles]:
    """Promise and outcome of every audited record."""
    pairs = [(record.predicted, record.outcome.score) for record in records if record.outcome is not None and record.predicted is not None]
    table: NDArray[np.float64] = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _outcomes(records: Sequence[Record], policy: Policy) -> dict[str, Any]:
    promised_M, outcome_M = _audited(records)
    promised_N = np.array([record.predicted for record in records if record.status == "ok" and record.predicted is not None])
    return {
        "mispredictions": misprediction.mispredictions(promised_M, outcome_M, confidence=1 - policy.alpha_per_look),
        "promised": float(promised_N.mean()) if len(promised_N) else None,
        "quality": misprediction.estimated_quality(promised_N, promised_M, outcome_M, confidence=1 - policy.alpha),
    }


def _service(records: Sequence[Record]) -> dict[str, Any]:
    served = [record for record in records if record.status == "ok"]
    latencies = [record.latency_s for record in served] or [0.0]
    return {
        "failed": len(records) - len(served),
        "cost_usd": float(sum(record.cost_usd for record in records)),
        "latency_p50_s": float(np.quantile(latencies, 0.5)),
        "latency_p95_s": float(np.quantile(latencies, 0.95)),
    }
