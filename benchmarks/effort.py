"""What it is worth to know that two rows of the pool are the same weights: `python -m benchmarks.effort FOLDER [--set SET]`.

On recorded answers of a pool with families (the default pool: two LLMs of Qwen2.5 Coder, each asked directly and step by step). First, how
rows of one family go together and how rows of others do: correlation of being right, and how often two wrong answers are the same. Then the
same strategy with and without the family term, in the chance that a next LLM repeats an answer (`kinship`) and in who is asked next
(another family first, or whoever is worth most), at three values of a call. The variant is chosen on calibration and validation queries;
test queries only report. Last, whether the scores of one family are better drawn together: the share is
chosen on cross-fitted scores of training queries.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import recorded_answers, recorded_set, report, set_file
from benchmarks.mixture import episodes, scored
from benchmarks.recorded_answers import RecordedAnswers
from benchmarks.replay import RecordedQuery, calls, cost, quality
from benchmarks.rivals.compositions import BARE, System, mean_usd
from mixture.choose.final_answers import normalise_choices, short_answer
from mixture.choose.options import Weights
from mixture.choose.posterior import AgreementPosterior
from mixture.choose.ranking import Ranked
from mixture.choose.sequential import Sequential
from mixture.llm import LLM
from pipelines import params, train
from pipelines.fit_posterior import RIGHT, fit, kin_steps, partly
from pipelines.project import Project
from scorer import metrics
from scorer.errors import RouteMoAError

Floats = NDArray[np.float64]
WORTHS = (0.002, 0.006, 0.018)  # of a call, in right answers
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)  # by which the log-odds of one family are drawn to their mean


@dataclass(frozen=True, slots=True)
class ByValue(Sequential):
    """Whoever is worth most is next, whatever its weights."""

    def in_order(self, by_value: Sequence[Ranked], _: set[str]) -> list[Ranked]:
        """As they are."""
        return list(by_value)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to treat families. kinship: whether the fitted one counts. other_first: whether other weights are asked first."""

    name: str
    kinship: bool
    other_first: bool

    def strategy(self, evidence: AgreementPosterior) -> Sequential:
        """With this pool's posterior."""
        posterior = evidence if self.kinship else replace(evidence, kinship=0.0)
        return (Sequential if self.other_first else ByValue)(posterior)


VARIANTS = (
    Variant("other weights first, no kinship", kinship=False, other_first=True),
    Variant("other weights first, kinship", kinship=True, other_first=True),
    Variant("by value, no kinship: families unknown", kinship=False, other_first=False),
    Variant("by value, kinship", kinship=True, other_first=False),
)


@dataclass(frozen=True, slots=True)
class Result:
    """Of one variant, by query."""

    quality_Q: Floats
    cost_Q: Floats
    calls_Q: Floats


def asked(questions: Sequence[RecordedQuery], priors_QL: Floats, llms: Sequence[LLM], strategy: Sequential, usd: float) -> Result:
    """What the strategy does where a dollar is worth `usd` right answers."""
    options = replace(BARE, k=1, max_layers=len(llms), aggregation="vote", weights=Weights(usd=usd, second=0))
    decisions = System("", priors_QL, strategy, options).decisions(questions, llms)
    return Result(quality(questions, decisions), cost(decisions), calls(decisions))


def together(answers: RecordedAnswers) -> list[list[Any]]:
    """For each pair of LLMs, on all but test queries: queries, correlation of being right, how often two wrong answers are the same."""
    data, family = answers.data, {llm.id: llm.family for llm in answers.llms}
    seen_Q = data.splits_Q != "test"
    rows: list[list[Any]] = []
    for one, other in combinations(range(len(data.roster)), 2):
        names = (data.roster[one], data.roster[other])
        both_Q2 = data.labels_QL[seen_Q][:, [one, other]]
        right_Q2 = both_Q2[~np.isnan(both_Q2).any(axis=1)] > RIGHT
        pairs = [_wrong(question, names) for question, seen in zip(answers.questions, seen_Q, strict=True) if seen]
        same_N = np.array([each for each in pairs if each is not None], dtype=np.float64)
        kind = "same weights" if family[names[0]] == family[names[1]] else "others"
        rows.append([kind, *names, len(right_Q2), _correlation(right_Q2), len(same_N), report.interval(same_N)])
    return sorted(rows, key=lambda row: (row[0] == "others", row[1:3]))


def _wrong(question: RecordedQuery, names: tuple[str, str]) -> bool | None:
    """Whether two wrong final answers are the same; None where one is right, missing or not stated."""
    if not all(name in question.answers and question.labels[name] <= RIGHT for name in names):
        return None
    one, other = normalise_choices({name: short_answer(question.answers[name].text) for name in names}).values()
    return None if one is None or other is None else one == other


def _correlation(right_Q2: NDArray[np.bool_]) -> metrics.Interval:
    """Phi, with its bootstrap interval."""
    dice = np.random.default_rng(0)
    drawn = [right_Q2[dice.integers(len(right_Q2), size=len(right_Q2))] for _ in range(report.RESAMPLES)]
    low, high = np.nanquantile([_phi(each) for each in drawn], [0.025, 0.975])
    return metrics.Interval(_phi(right_Q2), float(low), float(high))


def _phi(right_Q2: NDArray[np.bool_]) -> float:
    return float(np.asarray(np.corrcoef(right_Q2.T))[0, 1])


def drawn_together(logits_QL: Floats, llms: Sequence[LLM], share: float) -> Floats:
    """Log-odds with those of one family moved by `share` of the way to their mean on each query, each LLM's own mean kept."""
    moved_QL = logits_QL.copy()
    for family in {llm.family for llm in llms}:
        members = [at for at, llm in enumerate(llms) if llm.family == family]
        centred_QM = logits_QL[:, members] - logits_QL[:, members].mean(axis=0)
        moved_QL[:, members] = logits_QL[:, members] + share * (centred_QM.mean(axis=1, keepdims=True) - centred_QM)
    return moved_QL


def shrinking(answers: RecordedAnswers, priors_QL: Floats) -> list[list[Any]]:
    """By share: cross-entropy of family members' labels, and the label of the choice, on cross-fitted training queries and on test ones."""
    rows: list[list[Any]] = []
    parts = {split: answers.data.splits_Q == split for split in ("train", "test")}
    before: dict[str, tuple[Floats, Floats]] = {}
    for share in SHARES:
        row: list[Any] = [f"{share:g}"]
        for split, of_Q in parts.items():
            labels_QL = answers.data.labels_QL[of_Q]
            moved_QL = 1 / (1 + np.exp(-drawn_together(np.log(priors_QL[of_Q] / (1 - priors_QL[of_Q])), answers.llms, share)))
            loss_QL = -(labels_QL * np.log(moved_QL) + (1 - labels_QL) * np.log(1 - moved_QL))
            loss_Q = np.nanmean(loss_QL, axis=1)
            choice_Q = np.where(np.isnan(labels_QL), -np.inf, moved_QL).argmax(axis=1)
            chosen_Q = labels_QL[np.arange(len(labels_QL)), choice_Q]
            loss_before_Q, chosen_before_Q = before.setdefault(split, (loss_Q, chosen_Q))
            row += [report.difference(loss_Q, loss_before_Q), report.difference(chosen_Q, chosen_before_Q)]
        rows.append(row)
    return rows


def _row(result: Result, first: Result) -> list[Any]:
    """Of the test queries."""
    return [
        report.interval(result.quality_Q),
        report.difference(result.quality_Q, first.quality_Q),
        f"{1e4 * result.cost_Q.mean():.3g}",
        report.difference(1e4 * result.cost_Q, 1e4 * first.cost_Q),
        f"{result.calls_Q.mean():.2f}",
    ]


def _likelihoods(questions: Sequence[RecordedQuery], priors_QL: Floats, llms: Sequence[LLM], evidence: AgreementPosterior) -> str:
    """The mean over final answers that follow one of the same weights, with and without kinship, and the paired difference."""
    steps = kin_steps(partly(episodes(questions, priors_QL, llms)), evidence)
    with_S, without_S = (
        np.array([math.log(max(1e-9, step.chance(each))) for step in steps]) for each in (evidence, replace(evidence, kinship=0.0))
    )
    difference = report.difference(with_S, without_S)
    return f"{with_S.mean():.3f} and {without_S.mean():.3f}, a difference of {difference} over {len(steps)} answers"


def worth(result: Result, usd: float) -> Floats:
    """What a variant is chosen by: the label less what its calls are worth."""
    return result.quality_Q - usd * result.cost_Q


def run(arguments: argparse.Namespace) -> str:
    """Measures and writes; returns what table.md says."""
    answers = recorded_answers.read(arguments.folder, set_file.named(arguments))
    llms = answers.llms
    priors_QL = scored(answers.data, recorded_set.embedded(answers.data.queries), train.plan_of(params.load(Project(Path()).params).train))
    evidence = fit(partly(episodes(*answers.part(priors_QL, "train"), llms)))
    heldout, heldout_QL = answers.part(priors_QL, "calibration", "validation")
    test, test_QL = answers.part(priors_QL, "test")
    unit, first = mean_usd(llms), VARIANTS[0].name
    lines: list[list[Any]] = []
    gained: dict[str, list[Floats]] = {variant.name: [] for variant in VARIANTS}
    for price in WORTHS:
        held, tested = (
            {each.name: asked(questions, of_QL, llms, each.strategy(evidence), price / unit) for each in VARIANTS}
            for questions, of_QL in ((heldout, heldout_QL), (test, test_QL))
        )
        for name, result in tested.items():
            gained[name].append(worth(held[name], price / unit) - worth(held[first], price / unit))
            lines.append([f"{price:g}", name, report.interval(gained[name][-1]), *_row(result, tested[first])])
    chosen_by = {name: float(np.mean(gains)) for name, gains in gained.items()}
    best = max(chosen_by, key=lambda name: chosen_by[name])
    pairs = report.table(
        ["", "one", "other", "queries", "correlation of being right", "both wrong", "of these the same answer"], together(answers)
    )
    columns = ["a call is worth", "", "held out: worth − first", "test: quality", "− first", "USD, 10,000 queries", "− first", "calls"]
    drawn = [
        "share",
        "training: cross-entropy − 0",
        "training: label of the choice − 0",
        "test: cross-entropy − 0",
        "test: label of the choice − 0",
    ]
    shrunk = shrinking(answers, priors_QL)
    blocks = [
        f"`{report.command(arguments.folder)}`",
        f"{len(llms)} LLMs, {len(heldout)} held-out and {len(test)} test queries; a call of mean cost is worth so many right answers.",
        f"Posterior: coincidence {evidence.coincidence:.3f}, kinship {evidence.kinship:.3f}, same_weights {evidence.same_weights:.3f}.",
        pairs,
        f"Held-out log-likelihood of what a next LLM says, by kinship and without it: {_likelihoods(heldout, heldout_QL, llms, evidence)}.",
        report.table(columns, lines),
        f"Best on held-out queries, on average over these: {best}.",
        report.table(drawn, shrunk),
    ]
    results = report.as_json(
        {
            "evidence": asdict(evidence),
            "chosen": best,
            "worth": chosen_by,
            "shrunk": {row[0]: dict(zip(drawn[1:], row[1:], strict=True)) for row in shrunk},
        }
    )
    report.write(arguments.out, blocks, results, ["numpy", "scipy"])
    return "\n\n".join(blocks)


def main() -> None:
    """Reads the command line, runs, prints."""
    parser = set_file.parser(__doc__, "effort")
    try:
        print(run(parser.parse_args()))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
