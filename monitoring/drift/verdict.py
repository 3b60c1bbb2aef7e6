"""Decides what the figures of a window mean: keep, watch, retrain, or too little data; reads no clock, disk or environment."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Literal

from monitoring.drift.policy import Policy
from monitoring.drift.window import LEAST_HELD_OUT, UNKNOWN, WindowStats

Kind = Literal["too-little-data", "keep", "watch", "retrain"]
Finding = tuple[Kind, str]
MOSTLY_NOVEL = 0.5  # a domain whose novel share is above this, by its lower bound, is one the scorer does not know


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a scorer version, why, and the figures it rests on.

    id: a hash of scorer version, window and kind. Looks at one window that come to the same kind share it, so it starts one job at most.
    """

    kind: Kind
    id: str
    reasons: tuple[str, ...]
    stats: WindowStats

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def decide(stats: WindowStats, policy: Policy) -> Verdict:
    """The strongest of the findings, with the reasons of every finding.

    A finding that is significant and large means retrain; one that is only significant means watch. Too few queries to compare hide no
    broken promise.
    """
    too_little = _too_little(stats, policy)
    findings = [*(too_little or [*_novelty(stats, policy), *_drift(stats)]), *_quality(stats, policy)]
    kind: Kind = "keep"
    for strength in ("too-little-data", "watch", "retrain"):
        if any(implied == strength for implied, _ in findings):
            kind = strength
    reasons = tuple(reason for _, reason in findings) or (_why_keep(stats),)
    identity = f"{stats.scorer_version}/{stats.index}/{kind}"
    return Verdict(kind, hashlib.sha256(identity.encode()).hexdigest()[:16], reasons, stats)


def _too_little(stats: WindowStats, policy: Policy) -> list[Finding]:
    if stats.distinct < policy.first_look:
        repeated = f" ({stats.n} with repetitions)" if stats.n != stats.distinct else ""
        return [("too-little-data", f"{stats.distinct} distinct queries{repeated}; the first look takes {policy.first_look}.")]
    if stats.shift is None:
        return [("too-little-data", f"The scorer's reference has {stats.held_out} held-out queries; {LEAST_HELD_OUT} are needed.")]
    return []


def _novelty(stats: WindowStats, policy: Policy) -> list[Finding]:
    """Queries farther from the training queries than held-out ones are: among all queries, and in a single domain."""
    findings: list[Finding] = []
    if stats.shift is not None and stats.shift.adjusted["novelty"] <= stats.alpha:
        bounds = f"surely over {stats.novel_low:.0%}, expected {stats.novel_expected:.0%}"
        share = f"{stats.novel_share:.0%} of queries are novel ({bounds})"
        mostly = ", ".join(f"{domain.name} {domain.novel} of {domain.n}" for domain in stats.domains[:3] if domain.novel)
        if stats.novel_low >= policy.novel_share_retrain:
            findings.append(("retrain", f"{share}: {mostly}."))
        elif stats.novel_share >= policy.novel_share_watch:
            findings.append(("watch", f"{share}: {mostly}."))
    findings += [
        ("watch", f"Out of domain: {domain.novel} of {domain.n} queries of domain {domain.name} are novel.")
        for domain in stats.domains
        if domain.novel_low >= MOSTLY_NOVEL and domain.name != UNKNOWN  # which is novel by definition
    ]
    return findings


def _drift(stats: WindowStats) -> list[Finding]:
    """The other tests that reject: within the known domains, queries or scores are not distributed as when the scorer was validated."""
    if stats.shift is None:
        return []
    adjusted = stats.shift.adjusted
    moved = [name.removeprefix("score ") for name, p in adjusted.items() if name.startswith("score ") and p <= stats.alpha]
    findings: list[Finding] = []
    if adjusted["queries"] <= stats.alpha:
        findings.append(("watch", f"Queries differ from the held-out ones of their domains (MMD, adjusted p = {adjusted['queries']:.2g})."))
    if moved:
        findings.append(("watch", f"Scores moved for {', '.join(moved)} (Cramér-von Mises, adjusted p <= {stats.alpha:.2g})."))
    return findings


def _quality(stats: WindowStats, policy: Policy) -> list[Finding]:
    """Outcomes below what was promised, beyond doubt and by more than the tolerance, on all audits of this version."""
    promises = stats.promises
    worst = promises.broken(alpha=policy.alpha, tolerance=policy.promise_tolerance)
    if worst is None:
        return []
    where = "" if worst is promises.groups[0] else f" in {worst.group}"
    odds = f"{min(promises.wealth, 1e6):.0f} to 1 against promises kept"
    reason = f"Outcomes are {worst.gap:.2f} below promises on {worst.audits} audited answers{where} ({odds})."
    return [("retrain" if worst.gap >= policy.quality_drop_retrain else "watch", reason)]


def _why_keep(stats: WindowStats) -> str:
    lowest = min(stats.shift.adjusted.values()) if stats.shift else 1.0
    like = (
        f"{stats.distinct} queries look like the held-out ones: {stats.novel_share:.0%} novel "
        f"(expected {stats.novel_expected:.0%}), smallest adjusted p = {lowest:.2g} (alarm at {stats.alpha:.2g})."
    )
    if stats.mix is None or stats.mix.p_value > stats.alpha:
        return like
    changed = ", ".join(f"{name} {before:.0%} -> {now:.0%}" for name, before, now in stats.mix.changed[:3])
    return f"Known domains are mixed otherwise (p = {stats.mix.p_value:.2g}): {changed}. Within them {like}"
