"""The promotion gate: may a challenger replace the champion? Paired, by intervals, on the validation split; pure.

The realised quality of a scorer on a query is the label of the LLM that it ranks first among those labelled there. So scorers of
different rosters (the pool grew) are compared on the same queries, by the labels their choices earned.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from scorer import metrics
from scorer.initialisation import Labels
from scorer.metrics import Values

Floats = NDArray[np.floating]

ENOUGH_QUERIES = 100  # fewer cannot show non-inferiority within a few points: half an interval is then wider than the margin
RESAMPLES = 2_000
MOST_ECE = 0.05  # expected calibration error beyond what chance alone makes
LEAST_AGREEMENT = 0.90  # share of queries for which int8 puts the same LLM first as fp32
MOST_SLOWDOWN = 1.5  # CPU time a decision, challenger over champion
UNNOTICED_MS = 1.0  # a busy machine makes as much by itself, and no caller sees it beside an LLM's answer


@dataclass(frozen=True, slots=True)
class ValidationScores:
    """A scorer's scores for the Q validation queries, as served (int8 where its arithmetic is right on this machine).

    scores_QL: columns in the order of `roster`. full_scores_QL: the same by the fp32 encoder, None where not computed.
    decision_ms: CPU time of one decision, None where not measured. machine: where the scores were computed.
    precision_note: why it is served in fp32 there; empty where it is not. domains: of the queries it was trained on.
    """

    roster: tuple[str, ...]
    scores_QL: Floats
    full_scores_QL: Floats | None = None
    decision_ms: float | None = None
    machine: str = "this machine"
    precision_note: str = ""
    domains: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ValidationLabels:
    """The labels of the Q validation queries. labels_QL: in [0, 1], NaN where there is none. domains_Q: the domain of each query.

    cost_L: USD that a query of each LLM costs on average, NaN where nobody knows; None: of none.
    """

    roster: tuple[str, ...]
    labels_QL: Labels
    domains_Q: NDArray[np.str_]
    cost_L: Values | None = None


@dataclass(frozen=True, slots=True)
class GateResult:
    """passed: every check that could be made holds. reasons: a sentence for each check. figures: what the checks compared.

    summary: what promoting would change, in one clause; empty where there is nothing to compare with. failing: those of the reasons that
    speak against it.
    """

    passed: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, float] = field(default_factory=dict)
    summary: str = ""
    failing: tuple[str, ...] = ()

    @classmethod
    def of(cls, checks: Sequence["Check"], figures: Mapping[str, float], summary: str = "") -> "GateResult":
        """The result of all `checks`; `figures` stand beside theirs."""
        together = {name: value for part in (figures, *(check.figures for check in checks)) for name, value in part.items()}
        failing = tuple(check.reason for check in checks if not check.holds)
        return cls(not failing, tuple(check.reason for check in checks if check.reason), together, summary, failing)


@dataclass(frozen=True, slots=True)
class Check:
    """One check; one without a reason to give is silent."""

    holds: bool
    reason: str
    figures: Mapping[str, float] = field(default_factory=dict)


def same_version(number: str) -> GateResult:
    """The challenger is the champion."""
    return GateResult(True, (f"Version {number} is the champion already: there is nothing to compare.",))


def decide(challenger: ValidationScores, champion: ValidationScores | None, labels: ValidationLabels, *, margin: float) -> GateResult:
    """Compares `challenger` with `champion`, or with the best single LLM where there is no champion yet."""
    quality_Q = realised_quality(challenger, labels)
    summary = ""
    if champion is None:
        checks = [_against_best_single(quality_Q, labels, margin)]
    else:
        difference_Q = quality_Q - realised_quality(champion, labels)
        learned = challenger.domains - champion.domains
        better = _better(difference_Q, closer_promises(challenger, champion, labels), margin, learned)
        checks, summary = [better, *_by_domain(difference_Q, labels.domains_Q, margin)], better.reason.removeprefix("Overall: ").rstrip(".")
    checks += sound(challenger, champion, labels, margin)
    return GateResult.of(
        checks, {"queries": float(np.isfinite(quality_Q).sum()), "quality": metrics.mean(quality_Q), "margin": margin}, summary
    )


def sound(
    challenger: ValidationScores, champion: ValidationScores | None, labels: ValidationLabels, margin: float, *, joins: bool = False
) -> list[Check]:
    """Whatever a version is for: it is calibrated, int8 chooses as fp32 does, and a decision takes about as long as before.

    joins: the champion's scores are unchanged in it, so what is no worse calibrated than they are is calibrated enough.
    """
    slower = _slower(challenger, champion) if champion else []
    return [*slower, _calibrated(challenger, labels, champion if joins else None), *_int8_agrees(challenger, labels, margin)]


def realised_quality(scorer: ValidationScores, labels: ValidationLabels, scores_QL: Floats | None = None) -> Values:
    """quality_Q: the label of the LLM put first among those labelled for the query; NaN where none of its roster is."""
    of_scorer, of_labels = _shared_columns(scorer, labels)
    if not of_scorer:
        return np.full(len(labels.labels_QL), np.nan)
    scores_QL = scorer.scores_QL if scores_QL is None else scores_QL
    return metrics.quality(scores_QL[:, of_scorer], labels.labels_QL[:, of_labels])


def _shared_columns(scorer: ValidationScores, labels: ValidationLabels) -> tuple[list[int], list[int]]:
    """The columns of the LLMs that both rosters have, in the scorer's scores and in the labels."""
    shared = [llm for llm in scorer.roster if llm in labels.roster]
    return [scorer.roster.index(llm) for llm in shared], [labels.roster.index(llm) for llm in shared]


def closer_promises(challenger: ValidationScores, champion: ValidationScores, labels: ValidationLabels) -> Values:
    """closer_Q: by how much the challenger's promises are closer to what came of them: squared error of the champion's scores less its own.

    Over the labels of the LLMs that both have; NaN where there is none.
    """
    shared = [llm for llm in labels.roster if llm in champion.roster and llm in challenger.roster]
    labels_QS = labels.labels_QL[:, [labels.roster.index(llm) for llm in shared]]
    errors = [(scorer.scores_QL[:, [scorer.roster.index(llm) for llm in shared]] - labels_QS) ** 2 for scorer in (champion, challenger)]
    closer_QS = errors[0] - errors[1]
    count_Q = np.isfinite(closer_QS).sum(axis=1)
    return np.where(count_Q > 0, np.nansum(closer_QS, axis=1) / np.maximum(count_Q, 1), np.nan)


def _better(difference_Q: Values, closer_Q: Values, margin: float, learned: Collection[str]) -> Check:
    """Better choices; or choices surely not worse by more than `margin`, with promises surely closer to what came of them, or `learned`.

    learned: domains of which the champion has not seen one query; validation holds too few of them to show more.
    """
    mean, low, high = astuple(metrics.interval(difference_Q, resamples=RESAMPLES))
    n = int(np.isfinite(difference_Q).sum())
    figures = {"overall.difference": mean, "overall.low": low, "overall.high": high}
    text = f"Overall: realised quality {mean:+.3f} against the champion, 95 % interval [{low:+.3f}, {high:+.3f}], {n} queries"
    if n == 0:
        return Check(False, "Overall: no validation query is labelled for both rosters, so nothing can be compared.")
    if low > 0:
        return Check(True, f"{text}: better.", figures)
    if high < 0:
        return Check(False, f"{text}: worse.", figures)
    closer, least, most = astuple(metrics.interval(closer_Q, resamples=RESAMPLES))
    figures |= {"overall.closer": closer, "overall.closer.low": least, "overall.closer.high": most}
    promises = f"the squared error of its promises is smaller by {closer:.4f} [{least:.4f}, {most:.4f}]"
    if low >= -margin and learned:
        new = ", ".join(sorted(learned))
        return Check(True, f"{text}: not worse by more than {margin:g}, and trained on {new}, which the champion has never seen.", figures)
    if low >= -margin and least > 0:
        return Check(True, f"{text}: not worse by more than {margin:g}, and {promises}: better promises.", figures)
    return Check(False, f"{text}: not shown to be better, neither in choices nor in promises ({promises}).", figures)


def _by_domain(difference_Q: Values, domains_Q: NDArray[np.str_], margin: float) -> list[Check]:
    checks, few = [], []
    for domain in sorted(set(domains_Q.tolist())):
        inside_Q = difference_Q[domains_Q == domain]
        n = int(np.isfinite(inside_Q).sum())
        if n == 0:
            continue
        mean, low, high = astuple(metrics.interval(inside_Q, resamples=RESAMPLES))
        figures = {f"{domain}.difference": mean, f"{domain}.low": low, f"{domain}.high": high, f"{domain}.queries": float(n)}
        text = f"{domain}: {mean:+.3f} [{low:+.3f}, {high:+.3f}], {n} queries"
        if n >= ENOUGH_QUERIES:
            holds = low >= -margin
            checks.append(Check(holds, f"{text}: {'not worse' if holds else 'may be worse'} by more than {margin:g}.", figures))
        elif high < 0:
            checks.append(Check(False, f"{text}: worse, few queries as there are.", figures))
        else:
            few.append(f"{domain} ({n})")
            checks.append(Check(True, "", figures))
    if few:
        named = ", ".join(few)
        checks.append(Check(True, f"Fewer than {ENOUGH_QUERIES} queries, so judged within the overall figure only: {named}."))
    return checks


def best_single(labels: ValidationLabels) -> int:
    """The column of the LLM with the best mean label, in hindsight."""
    labelled_QL = np.isfinite(labels.labels_QL)
    counts_L = labelled_QL.sum(axis=0)
    means_L = np.where(counts_L > 0, np.where(labelled_QL, labels.labels_QL, 0).sum(axis=0) / np.maximum(counts_L, 1), -np.inf)
    return int(means_L.argmax())


def _against_best_single(quality_Q: Values, labels: ValidationLabels, margin: float) -> Check:
    best = best_single(labels)
    mean, low, high = astuple(metrics.difference(quality_Q, labels.labels_QL[:, best], resamples=RESAMPLES))
    figures = {"best_single.difference": mean, "best_single.low": low, "best_single.high": high}
    text = (
        f"No champion yet. Against always asking {labels.roster[best]}, the best single LLM in hindsight: "
        f"{mean:+.3f}, 95 % interval [{low:+.3f}, {high:+.3f}]"
    )
    worse = high < -margin
    return Check(not worse, f"{text}: {'worse by more than ' + format(margin, 'g') if worse else 'not clearly worse'}.", figures)


def _calibrated(challenger: ValidationScores, labels: ValidationLabels, beside: ValidationScores | None = None) -> Check:
    """Within what is allowed beyond chance, or no worse than `beside`."""
    of_scorer, of_labels = _shared_columns(challenger, labels)
    scores_QL, labels_QL = challenger.scores_QL[:, of_scorer], labels.labels_QL[:, of_labels]
    count = np.isfinite(labels_QL).sum()
    if not count:
        return Check(False, "Calibration: no label to compare the scores with.")
    error, chance = metrics.calibration_error(scores_QL, labels_QL), metrics.chance_calibration_error(scores_QL, labels_QL)
    holds = error <= MOST_ECE + chance
    verdict = "within" if holds else "above"
    reason = f"Calibration: ECE {error:.3f} over {count} scores, {verdict} {MOST_ECE:g} + {chance:.3f} that chance alone makes of so few."
    if not holds and beside is not None:
        columns = _shared_columns(beside, labels)
        before = metrics.calibration_error(beside.scores_QL[:, columns[0]], labels.labels_QL[:, columns[1]])
        holds = error <= before
        reason += f" The champion's is {before:.3f}: {'no ' if holds else ''}worse."
    queries = int(np.isfinite(labels_QL).any(axis=1).sum())
    if not holds and queries < ENOUGH_QUERIES:
        times = math.ceil(ENOUGH_QUERIES / queries)
        reason += f" {queries} validation queries are few, and the calibration queries are fewer: label about {times} times as many."
    return Check(holds, reason, {"ece": error, "ece.chance": chance})


def _int8_agrees(challenger: ValidationScores, labels: ValidationLabels, margin: float) -> list[Check]:
    if challenger.precision_note:
        return [Check(True, challenger.precision_note, {})]
    if challenger.full_scores_QL is None:
        return []
    agreement = float((challenger.scores_QL.argmax(axis=1) == challenger.full_scores_QL.argmax(axis=1)).mean())
    full_Q, int8_Q = realised_quality(challenger, labels, challenger.full_scores_QL), realised_quality(challenger, labels)
    loss = metrics.mean(full_Q) - metrics.mean(int8_Q)
    holds = agreement >= LEAST_AGREEMENT or loss <= margin
    verdict = "fine" if holds else "too much"
    reason = (
        f"On {challenger.machine} int8 puts the LLM first that fp32 does for {agreement:.1%} of the queries "
        f"and loses {loss:.3f} of quality: {verdict}."
    )
    return [Check(holds, reason, {"int8.agreement": agreement, "int8.loss": loss})]


def _slower(challenger: ValidationScores, champion: ValidationScores) -> list[Check]:
    if challenger.decision_ms is None or champion.decision_ms is None:
        return []
    holds = challenger.decision_ms <= max(MOST_SLOWDOWN * champion.decision_ms, champion.decision_ms + UNNOTICED_MS)
    verdict = "fine" if holds else "too slow"
    reason = f"A decision takes {challenger.decision_ms:.1f} ms of CPU, the champion's {champion.decision_ms:.1f} ms: {verdict}."
    return [Check(holds, reason, {"decision_ms": challenger.decision_ms, "champion.decision_ms": champion.decision_ms})]
