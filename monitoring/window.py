"""Gathers what a verdict is decided on: one window of records held against the reference profile.

Windows and looks. The records a scorer version scored, in the order they came, are cut into windows of `policy.window` that share none.
The open window is judged at fixed sizes only (`policy.looks`), each look spending an equal part of `alpha` and Holm's correction
spreading that over the look's tests: a window without shift raises a false alarm with a chance of at most `alpha`, however often one asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring import drift_tests, misprediction
from monitoring.misprediction import Interval, Mispredictions
from monitoring.policy import Policy
from monitoring.profile import Profile
from monitoring.record import Record

LEAST_HELD = 5  # the tests are exact at any size, but against fewer no shift could be significant


@dataclass(frozen=True, slots=True)
class Domain:
    """The records of one domain: `name` is the request's tag, or `near X` after the nearest training query's domain X.

    n: distinct queries. novel_low: lower confidence bound of the novel share. mispredicted: share of its audited records, None without any.
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
class Evidence:
    """One look at one window of one scorer version. `shift` is None where there were too few distinct queries to test.

    foreign: records left out because their roster or embedding is not this scorer's (a version number used twice).
    distinct: queries less exact repetitions (a repeated query says nothing new about drift). novel_low: lower confidence bound at
    `alpha` of the look. promised: mean of what the scorer promised. quality: estimated mean outcome of every answer served.
    """

    scorer_version: str
    window: int
    since: float
    until: float
    n: int
    foreign: int
    distinct: int
    held: int
    alpha: float
    shift: drift_tests.Shift | None
    novel_share: float
    novel_low: float
    novel_expected: float
    domains: tuple[Domain, ...]
    mispredictions: Mispredictions | None
    promised: float | None
    quality: Interval | None
    failed: int
    cost_usd: float
    latency_p50_s: float
    latency_p95_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The records of a look, their domains and novelty, and the evidence they make; what a report is drawn from."""

    records: tuple[Record, ...]
    domains: tuple[str, ...]
    novelty: drift_tests.Novelty | None
    evidence: Evidence


def window_to_judge(scored: int, policy: Policy) -> tuple[int, int]:
    """Index and size of the window to judge after `scored` records: the open one at its last look, else the last full one.

    Before the very first look it is the open one, whole.
    """
    index, rest = divmod(scored, policy.window)
    if rest >= policy.first_look:
        return index, max(size for size in policy.looks if size <= rest)
    return (index - 1, policy.window) if index else (0, rest)


def gather(records: Sequence[Record], profile: Profile, policy: Policy, *, scorer_version: str, window: int) -> Look:
    """Holds `records` (all scored by this version) against `profile`."""
    given = len(records)
    records = [record for record in records if record.roster == profile.roster and len(record.embedding) == profile.queries_RD.shape[1]]
    queries_ND = np.array([record.embedding for record in records], dtype=np.float32).reshape(len(records), profile.queries_RD.shape[1])
    scores_NL = np.array([record.scores for record in records], dtype=np.float32).reshape(len(records), len(profile.roster))
    distinct_M = np.sort(np.unique(queries_ND, axis=0, return_index=True)[1]) if records else np.zeros(0, dtype=np.intp)
    novel = _novelty(queries_ND, profile, policy) if records else None
    found, share, low = None, 0.0, 0.0
    if novel is not None:
        once = _novelty(queries_ND[distinct_M], profile, policy)
        share, low = once.share, lower_bound(int(once.novel_N.sum()), len(distinct_M), policy.alpha_per_look)
        if len(distinct_M) >= policy.first_look and len(profile.held_queries_HD) >= LEAST_HELD:
            count = _permutations(profile, policy)
            found = drift_tests.compare(queries_ND[distinct_M], scores_NL[distinct_M], profile, once, count=count, seed=policy.seed)
    domains = _domain_names(records, profile, novel)
    return Look(
        records=tuple(records),
        domains=domains,
        novelty=novel,
        evidence=Evidence(
            scorer_version=scorer_version,
            window=window,
            since=min((record.created_at for record in records), default=0.0),
            until=max((record.created_at for record in records), default=0.0),
            n=len(records),
            foreign=given - len(records),
            distinct=len(distinct_M),
            held=len(profile.held_queries_HD),
            alpha=policy.alpha_per_look,
            shift=found,
            novel_share=share,
            novel_low=low,
            novel_expected=1 - policy.novel_quantile,
            domains=_by_domain(records, domains, novel, distinct_M, policy),
            **_outcomes(records, policy),
            **_service(records),
        ),
    )


def lower_bound(count: int, n: int, alpha: float) -> float:
    """Exact one-sided lower confidence bound of a share (Clopper & Pearson 1934)."""
    from scipy.stats import binomtest

    return float(binomtest(count, n, alternative="greater").proportion_ci(1 - alpha, method="exact").low) if n else 0.0


def _novelty(queries_ND: drift_tests.Floats, profile: Profile, policy: Policy) -> drift_tests.Novelty:
    return drift_tests.novelty(queries_ND, profile, k=policy.neighbours, quantile=policy.novel_quantile)


def _permutations(profile: Profile, policy: Policy) -> int:
    """Enough that the smallest p-value possible, times the family's size, can pass below the look's alpha."""
    return max(policy.permutations, ceil(2 * (len(profile.roster) + 2) / policy.alpha_per_look))


def _domain_names(records: Sequence[Record], profile: Profile, novel: drift_tests.Novelty | None) -> tuple[str, ...]:
    if novel is None:
        return ()
    return tuple(record.domain or f"near {profile.domains_R[nearest]}" for record, nearest in zip(records, novel.nearest_N, strict=True))


def _by_domain(
    records: Sequence[Record], domains: tuple[str, ...], novel: drift_tests.Novelty | None, distinct_M: NDArray[np.intp], policy: Policy
) -> tuple[Domain, ...]:
    """Domains by their number of novel queries, most first; a repeated query counts once, its audits all count."""
    found = []
    for name in sorted(set(domains)) if novel is not None else ():
        members = [record for record, domain in zip(records, domains, strict=True) if domain == name]
        once = [index for index in distinct_M if domains[index] == name]
        count = int(novel.novel_N[once].sum()) if novel is not None else 0
        wrong = misprediction.mispredictions(*_audited(members), confidence=1 - policy.alpha)
        found.append(
            Domain(
                name=name,
                n=len(once),
                novel=count,
                novel_low=lower_bound(count, len(once), policy.alpha_per_look),
                promised=float(np.mean([record.predicted for record in members])),
                audited=wrong.n if wrong else 0,
                mispredicted=wrong.share if wrong else None,
            )
        )
    return tuple(sorted(found, key=lambda domain: (-domain.novel, domain.name)))


def _audited(records: Sequence[Record]) -> tuple[misprediction.Doubles, misprediction.Doubles]:
    """Promise and outcome of every record whose outcome is known."""
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
