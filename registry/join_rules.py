"""The gate of a join: an LLM came in by its own row, so every other score is what it was to the bit; pure.

Only the queries where the two versions put another LLM first can differ, so only they are counted: those of them where both choices are
labelled are measured, and the rest of the validation split contributes a difference of exactly 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from registry.gate_rules import Check, GateResult, ValidationLabels, ValidationScores, sound
from scorer.metrics import Interval, Values, at_choice

Z = 1.96  # of a two-sided 95 % interval
TOLD, LEAST_TOLD = 0.1, 5  # of quality, and queries: a domain that changes by less, or is known from fewer, is not told by itself


@dataclass(frozen=True, slots=True)
class Changed:
    """What another choice on a query brings. Arrays over the Q validation queries.

    changed_Q: another LLM is put first. before_Q, after_Q: the labels of both choices; NaN where either is not labelled.
    """

    changed_Q: NDArray[np.bool_]
    before_Q: Values
    after_Q: Values

    @property
    def measured_Q(self) -> NDArray[np.bool_]:
        """Changed, and both choices labelled."""
        return self.changed_Q & ~np.isnan(self.before_Q) & ~np.isnan(self.after_Q)


def newcomers(challenger: ValidationScores, champion: ValidationScores) -> tuple[str, ...]:
    """The LLMs that only the challenger has, where it has all the champion's with the same scores to the bit; else none."""
    new = tuple(llm for llm in challenger.roster if llm not in champion.roster)
    kept = [llm for llm in champion.roster if llm in challenger.roster]
    if not new or len(kept) < len(champion.roster):
        return ()
    same = np.array_equal(challenger.scores_QL[:, [challenger.roster.index(llm) for llm in kept]], champion.scores_QL)
    return new if same else ()


def decide(challenger: ValidationScores, champion: ValidationScores, labels: ValidationLabels, *, margin: float) -> GateResult:
    """Whether the `newcomers` of `challenger` may come in.

    Where one of them is chosen it is not surely worse, and overall the version is surely not worse by more than `margin`.
    """
    new = newcomers(challenger, champion)
    changed = changes(challenger, champion, labels)
    measured_Q = changed.measured_Q
    chosen = paired((changed.after_Q - changed.before_Q)[measured_Q])
    checks = [_chosen(new, chosen, changed, labels.domains_Q), _overall(chosen, changed, margin), *_domains(changed, labels.domains_Q)]
    figures = {
        "queries": float(len(measured_Q)),
        "changed": float(changed.changed_Q.sum()),
        "measured": float(measured_Q.sum()),
        "margin": margin,
    }
    dearer = dearer_by(challenger, champion, labels)
    checks += sound(challenger, champion, labels, margin, joins=True)
    return GateResult.of(checks, figures, summary(new, changed, labels.domains_Q, dearer))


def changes(challenger: ValidationScores, champion: ValidationScores, labels: ValidationLabels) -> Changed:
    """The queries where the versions put another LLM first, and what both choices are worth."""
    first = [np.array(scorer.roster)[scorer.scores_QL.argmax(axis=1)] for scorer in (champion, challenger)]
    before_Q, after_Q = (_at(labels.labels_QL, labels.roster, chosen_Q) for chosen_Q in first)
    return Changed(first[0] != first[1], before_Q, after_Q)


def paired(differences_N: Values, *, among: int = 1) -> Interval:
    """Mean of paired differences in [-1, 1] and its 95 % interval, wide where they are few.

    One pair better and one worse are added (Bonett and Price 2012), so that three wins of three are no certainty. among: how many such
    intervals are looked at; all of them hold together with 95 % (Bonferroni).
    """
    padded_N = np.concatenate([differences_N, [1.0, -1.0]])
    half = NormalDist().inv_cdf(1 - 0.025 / among) * float(padded_N.std()) / math.sqrt(len(padded_N))
    centre = float(padded_N.mean())
    mean = float(differences_N.mean()) if len(differences_N) else 0.0
    return Interval(mean, max(centre - half, -1.0), min(centre + half, 1.0))


def summary(new: Sequence[str], changed: Changed, domains_Q: NDArray[np.str_], dearer: float | None) -> str:
    """In which domains the choice is another one, and what it was and would be worth there; what a query costs more."""
    cost = "" if dearer is None else f", {dearer:+.0%} cost"
    if not changed.changed_Q.any():
        return f"{', '.join(new)} is put first nowhere: every choice is as before{cost}"
    if not changed.measured_Q.any():
        return f"{', '.join(new)} is put first on {changed.changed_Q.sum()} queries, none of them labelled: elsewhere as before{cost}"
    found = _by_domain(changed, domains_Q)
    told = [row for row in found if abs(row.after - row.before) >= TOLD and row.queries >= LEAST_TOLD]
    parts = [f"{'better' if row.after > row.before else 'worse'} in {_before_and_after([row], row.domain)}" for row in told]
    rest = [row for row in found if row not in told]
    elsewhere = f"elsewhere about as before {_before_and_after(rest)}" if rest else "elsewhere as before"
    return f"{', '.join([*parts, elsewhere])}{cost}"


def _before_and_after(rows: Sequence["_InDomain"], name: str = "") -> str:
    """Mean labels of both choices over the queries of some domains."""
    count = sum(row.queries for row in rows)
    before = sum(row.before * row.queries for row in rows) / count
    after = sum(row.after * row.queries for row in rows) / count
    return f"{name} ({before:.2f} -> {after:.2f}, {count} queries)".lstrip()


def dearer_by(challenger: ValidationScores, champion: ValidationScores, labels: ValidationLabels) -> float | None:
    """By which share the choices of the challenger cost more than the champion's, by each LLM's mean cost; None where that is unknown."""
    if labels.cost_L is None:
        return None
    costs = []
    for scorer in (champion, challenger):
        chosen_Q = np.array(scorer.roster)[scorer.scores_QL.argmax(axis=1)]
        costs.append(float(_at(np.broadcast_to(labels.cost_L, labels.labels_QL.shape), labels.roster, chosen_Q).mean()))
    return costs[1] / costs[0] - 1 if costs[0] > 0 and np.isfinite(costs).all() else None


def _at(values_QL: NDArray[np.float64], roster: Sequence[str], chosen_Q: NDArray[np.str_]) -> Values:
    """Each query's value for the LLM chosen there; NaN where the table does not have it."""
    column = {llm: place for place, llm in enumerate(roster)}
    return at_choice(values_QL, np.array([column.get(str(llm), -1) for llm in chosen_Q], dtype=np.int64))


@dataclass(frozen=True, slots=True)
class _InDomain:
    """Mean labels of the champion's and the challenger's choices on the measured queries of a domain."""

    domain: str
    before: float
    after: float
    queries: int


def _by_domain(changed: Changed, domains_Q: NDArray[np.str_]) -> list[_InDomain]:
    """The domains with measured queries, those with most of them first."""
    found = []
    for domain in sorted(set(domains_Q[changed.measured_Q].tolist())):
        inside_Q = changed.measured_Q & (domains_Q == domain)
        before, after = float(changed.before_Q[inside_Q].mean()), float(changed.after_Q[inside_Q].mean())
        found.append(_InDomain(domain, before, after, int(inside_Q.sum())))
    return sorted(found, key=lambda row: -row.queries)


def _chosen(new: Sequence[str], chosen: Interval, changed: Changed, domains_Q: NDArray[np.str_]) -> Check:
    names, count, measured = ", ".join(new), int(changed.changed_Q.sum()), int(changed.measured_Q.sum())
    if not count:
        return Check(True, f"{names} joined by its row, every other score is unchanged; it is put first nowhere, so no choice changes.")
    domains, counts = np.unique(domains_Q[changed.changed_Q], return_counts=True)
    where = ", ".join(f"{domain} {number}" for domain, number in zip(domains, counts, strict=True))
    text = (
        f"{names} joined by its row, every other score is unchanged. The choice is another one on {count} of {len(domains_Q)} queries "
        f"({where}); on the {measured} of them where both are labelled quality changes by "
        f"{chosen.mean:+.3f} [{chosen.low:+.3f}, {chosen.high:+.3f}]"
    )
    figures = {"chosen.difference": chosen.mean, "chosen.low": chosen.low, "chosen.high": chosen.high}
    verdict = "better" if chosen.low > 0 else "worse" if chosen.high < 0 else "not surely worse"
    return Check(chosen.high >= 0, f"{text}: {verdict}.", figures)


def _overall(chosen: Interval, changed: Changed, margin: float) -> Check:
    """The interval of what changes, times the share of queries where anything does."""
    share = float(changed.changed_Q.mean()) if len(changed.changed_Q) else 0.0
    mean, low, high = (share * value for value in (chosen.mean, chosen.low, chosen.high))
    figures = {"overall.difference": mean, "overall.low": low, "overall.high": high}
    text = f"Overall: realised quality {mean:+.3f} against the champion, 95 % interval [{low:+.3f}, {high:+.3f}]"
    if low >= -margin:
        return Check(True, f"{text}: {'better' if low > 0 else f'not worse by more than {margin:g}'}.", figures)
    return Check(False, f"{text}: may be worse by more than {margin:g}. {_what_would_decide(chosen, changed, share, margin)}", figures)


def _what_would_decide(chosen: Interval, changed: Changed, share: float, margin: float) -> str:
    """How many labels would show, at the difference seen so far, that the version is not worse by more than the margin."""
    measured, unmeasured = int(changed.measured_Q.sum()), int((changed.changed_Q & ~changed.measured_Q).sum())
    room = chosen.mean + margin / share
    if measured >= 2 and room <= 0:
        return "More labels would not change that if they came out like these."
    spread = float((changed.after_Q - changed.before_Q)[changed.measured_Q].std()) if measured >= 2 else 1.0
    needed = math.ceil((Z * max(spread, 0.3) / max(room, 0.05)) ** 2)
    more = max(needed - measured, 1)
    have = f"{unmeasured} of these queries lack a label" if unmeasured else "all of these queries are labelled, so more queries are needed"
    return f"About {more} more labels where the choice changes would decide ({have}): raise max_training_queries and retrain."


def _domains(changed: Changed, domains_Q: NDArray[np.str_]) -> list[Check]:
    """A domain that is surely worse fails, whatever is gained elsewhere; the more domains, the surer it has to be."""
    checks, rows = [], _by_domain(changed, domains_Q)
    for row in rows:
        inside_Q = changed.measured_Q & (domains_Q == row.domain)
        interval = paired((changed.after_Q - changed.before_Q)[inside_Q], among=len(rows))
        figures = {f"{row.domain}.{name}": getattr(interval, at) for name, at in (("difference", "mean"), ("low", "low"), ("high", "high"))}
        text = f"{row.domain}: {row.before:.2f} -> {row.after:.2f} [{interval.low:+.2f}, {interval.high:+.2f}] on {row.queries} queries"
        verdict = "better" if interval.low > 0 else "worse" if interval.high < 0 else "not surely worse"
        checks.append(Check(interval.high >= 0, f"{text}: {verdict}.", figures))
    return checks
