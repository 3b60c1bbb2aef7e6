"""Decides what the evidence of a look means: keep, watch, retrain, or too little data; reads no clock, disk or environment."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Literal

from monitoring.policy import Policy
from monitoring.window import LEAST_HELD, Evidence

Kind = Literal["too-little-data", "keep", "watch", "retrain"]
Finding = tuple[Kind, str]
MOSTLY_NOVEL = 0.5  # a domain whose novel share is surely above this is one the scorer does not know


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a scorer version, why, and the figures it rests on.

    id: of scorer version, window and kind; looks at the same window that say the same share it, so it starts one job at most.
    """

    kind: Kind
    id: str
    reasons: tuple[str, ...]
    evidence: Evidence

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def decide(evidence: Evidence, policy: Policy) -> Verdict:
    """The strongest of the findings, with the reasons of every finding.

    Retraining needs evidence that is both beyond doubt and large; evidence that is only beyond doubt is watched.
    """
    findings = _too_little(evidence, policy) or [*_novelty(evidence, policy), *_drift(evidence), *_quality(evidence, policy)]
    kind: Kind = "keep"
    for strength in ("watch", "retrain", "too-little-data"):
        if any(found == strength for found, _ in findings):
            kind = strength
    reasons = tuple(reason for found, reason in findings if found != "keep") or (_nothing_found(evidence),)
    identity = f"{evidence.scorer_version}/{evidence.window}/{kind}"
    return Verdict(kind, hashlib.sha256(identity.encode()).hexdigest()[:16], reasons, evidence)


def _too_little(evidence: Evidence, policy: Policy) -> list[Finding]:
    if evidence.distinct < policy.first_look:
        repeated = f" ({evidence.n} with repetitions)" if evidence.n != evidence.distinct else ""
        return [("too-little-data", f"{evidence.distinct} distinct queries{repeated}; the first look takes {policy.first_look}.")]
    if evidence.shift is None:
        return [("too-little-data", f"The scorer's reference has {evidence.held} held-out queries; {LEAST_HELD} are needed.")]
    return []


def _novelty(evidence: Evidence, policy: Policy) -> list[Finding]:
    """Queries farther from training than held-out ones are: significant and surely many, significant and some, or one domain's."""
    findings: list[Finding] = []
    if evidence.shift is not None and evidence.shift.adjusted["novelty"] <= evidence.alpha:
        bounds = f"surely over {evidence.novel_low:.0%}, expected {evidence.novel_expected:.0%}"
        share = f"{evidence.novel_share:.0%} of queries are novel ({bounds})"
        mostly = ", ".join(f"{domain.name} {domain.novel} of {domain.n}" for domain in evidence.domains[:3] if domain.novel)
        if evidence.novel_low >= policy.novel_share_retrain:
            findings.append(("retrain", f"{share}: {mostly}."))
        elif evidence.novel_share >= policy.novel_share_watch:
            findings.append(("watch", f"{share}: {mostly}."))
    findings += [
        ("watch", f"Out of domain: {domain.novel} of {domain.n} queries of domain {domain.name} are novel.")
        for domain in evidence.domains
        if domain.novel_low >= MOSTLY_NOVEL
    ]
    return findings


def _drift(evidence: Evidence) -> list[Finding]:
    """Any other test of the family that rejects: traffic is not what the scorer was validated on."""
    if evidence.shift is None:
        return []
    adjusted = evidence.shift.adjusted
    moved = [name.removeprefix("score ") for name, p in adjusted.items() if name.startswith("score ") and p <= evidence.alpha]
    findings: list[Finding] = []
    if adjusted["queries"] <= evidence.alpha:
        findings.append(("watch", f"Queries differ from the held-out ones (MMD, adjusted p = {adjusted['queries']:.2g})."))
    if moved:
        findings.append(("watch", f"Scores moved for {', '.join(moved)} (Cramér-von Mises, adjusted p <= {evidence.alpha:.2g})."))
    return findings


def _quality(evidence: Evidence, policy: Policy) -> list[Finding]:
    """Outcomes surely below what was promised, by more than a margin."""
    audited = evidence.mispredictions
    if audited is None or audited.n < policy.min_outcomes or audited.bias.high is None:
        return []
    said = f"Outcomes are {-audited.bias.value:.2f} below promises on {audited.n} audited answers (surely over {-audited.bias.high:.2f})."
    if audited.bias.high < -policy.quality_drop_retrain:
        return [("retrain", said)]
    return [("watch", said)] if audited.bias.high < -policy.quality_drop_watch else []


def _nothing_found(evidence: Evidence) -> str:
    lowest = min(evidence.shift.adjusted.values()) if evidence.shift else 1.0
    return (
        f"{evidence.distinct} queries look like the held-out ones: {evidence.novel_share:.0%} novel "
        f"(expected {evidence.novel_expected:.0%}), smallest adjusted p = {lowest:.2g} (alarm at {evidence.alpha:.2g})."
    )
