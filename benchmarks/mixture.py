"""The mixture beside its rivals on recorded answers: `python -m benchmarks.mixture FOLDER [--set benchmarks/sets/NAME.yaml] [--calls 3]`.

FOLDER: recorded outcomes with the answers' texts (docs/results/data.md), or the default pool's build/dataset. Every system is one
composition of the engine's parts (`benchmarks.rivals.compositions`), run by the engine itself over a client that answers from the record.
Scorer and posterior are fitted on training queries (the posterior on cross-fitted scores). Two things are chosen on held-out queries: what
a call is worth, so that ours asks at most `--calls` LLMs a query; and the LLMs and threshold of the cascade, so that it costs no more than
ours there. The test queries are read once. Without recorded costs or prices each call costs the same. Intervals are paired bootstraps over
test queries. What writes new text cannot be replayed (MoA beyond its first layer, refining, synthesis, cross-assessment).
`--out` gets table.md, results.json and choices.csv.
"""

import argparse
import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import recorded_answers, recorded_set, report, set_file
from benchmarks.judging import SystemResult, aggregated, judged, stopping
from benchmarks.replay import RecordedQuery, calls, cost, quality
from benchmarks.rivals import cascade
from benchmarks.rivals.compositions import OURS, ROUTED, RUN_ON, SINGLE, mean_usd, ours, systems, unprimed
from mixture.choose.final_answers import short_answer
from mixture.choose.posterior import AgreementPosterior, Observation, PaperScore, Posterior, query_easiness
from mixture.llm import LLM
from pipelines import params, train
from pipelines.dataset import Dataset
from pipelines.fit_posterior import Episode, fit, partly
from pipelines.project import Project
from scorer import calibration, training
from scorer.errors import RouteMoAError
from scorer.initialisation import Embedded

Floats = NDArray[np.float64]

FOLDS = 5
# Of a call of mean cost, in right answers: what is chosen among.
PRICES = (0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009, 0.01, 0.011, 0.012, 0.013, 0.014, 0.015, 0.016, 0.018)


def scored(data: Dataset, queries_QD: NDArray[np.float32], plan: training.Plan) -> Floats:
    """priors_QL of all queries by a scorer that did not see their labels: training queries by one fitted on the other folds."""

    def by(seen_Q: NDArray[np.bool_], asked_Q: NDArray[np.bool_]) -> Floats:
        known, validation = (Embedded(queries_QD[of], data.labels_QL[of]) for of in (seen_Q, data.splits_Q == "validation"))
        weights = training.train(data.roster, known, validation, plan).weights
        held_Q = data.splits_Q == "calibration"
        fitted = calibration.fit(weights.logits(queries_QD[held_Q]), data.labels_QL[held_Q])
        return fitted.probabilities(weights.logits(queries_QD[asked_Q])).astype(np.float64)

    train_Q = data.splits_Q == "train"
    folds_Q = np.random.default_rng(plan.seed).integers(FOLDS, size=len(train_Q))
    priors_QL = np.zeros(data.labels_QL.shape)
    priors_QL[~train_Q] = by(train_Q, ~train_Q)
    for fold in range(FOLDS):
        priors_QL[train_Q & (folds_Q == fold)] = by(train_Q & (folds_Q != fold), train_Q & (folds_Q == fold))
    return priors_QL


def episodes(questions: Sequence[RecordedQuery], priors_QL: Floats, llms: Sequence[LLM]) -> list[Episode]:
    """What is known of each question's answers, all of them, for `Episode.among`."""
    families = {llm.id: llm.family for llm in llms}
    made = []
    for question, priors_L in zip(questions, priors_QL, strict=True):
        priors = {llm.id: float(prior) for llm, prior in zip(llms, priors_L, strict=True) if llm.id in question.answers}
        easiness, answers = query_easiness(priors.values()), question.answers
        observations = {
            llm: Observation(
                prior, short_answer(answers[llm].text), families[llm], mean_logprob=answers[llm].mean_logprob, easiness=easiness
            )
            for llm, prior in priors.items()
        }
        made.append(Episode(observations, {llm: question.labels[llm] for llm in observations}))
    return made


def choose_price(
    questions: Sequence[RecordedQuery], priors_QL: Floats, llms: Sequence[LLM], evidence: AgreementPosterior, most: float
) -> tuple[float, float]:
    """The weight of a dollar with the best quality on these questions among those that ask at most `most` LLMs on average, and what ours
    costs there: USD a query.
    """
    allowed = []
    for price in PRICES:
        decisions = ours(priors_QL, llms, evidence, price / mean_usd(llms)).decisions(questions, llms)
        if float(calls(decisions).mean()) <= most:
            allowed.append((float(quality(questions, decisions).mean()), price, float(cost(decisions).mean())))
    if not allowed:
        raise ValueError(f"No price of {PRICES} asks at most {most} LLMs a query; raise --calls.")
    _, price, spent = max(allowed)
    return price / mean_usd(llms), spent


def table(rows: Mapping[str, SystemResult], oracle_Q: Floats, *, priced: bool) -> str:
    """Quality, gains, cost and calls of every system as Markdown."""
    columns = (
        "quality",
        "over best single",
        "over routed single",
        "ours − this",
        "USD, 10,000 queries",
        "calls",
        "one",
        "two",
        "three",
        ">",
    )
    lines: list[list[Any]] = []
    for name, row in rows.items():
        gains = ["" if name == other else report.difference(row.quality_Q, rows[other].quality_Q) for other in (SINGLE, ROUTED)]
        less = "" if name == OURS else report.difference(rows[OURS].quality_Q, row.quality_Q)
        usd = f"{1e4 * row.cost_Q.mean():.3g}" if priced else ""
        shares = [np.mean(row.calls_Q == 1), np.mean(row.calls_Q == 2), np.mean(row.calls_Q == 3), np.mean(row.calls_Q > 3)]
        counts = [f"{row.calls_Q.mean():.2f}", *(f"{share:.0%}" for share in shares)]
        lines.append([name, report.interval(row.quality_Q), *gains, less, usd, *counts])
    lines.append(["oracle (told the labels)", report.interval(oracle_Q), *[""] * (len(columns) - 1)])
    return report.table(["system", *columns], lines)


def parts(
    questions: Sequence[RecordedQuery], rows: Mapping[str, SystemResult], evidence: AgreementPosterior, llms: Sequence[LLM]
) -> dict[str, dict[str, Any]]:
    """What the mixture's parts do on the test questions, by title: scores of answers, stopping, aggregation."""
    rules: dict[str, Posterior] = {"posterior": evidence, "without the prior": unprimed(evidence), "published": PaperScore()}
    if evidence.logprob:
        rules["without log-probabilities"] = replace(evidence, logprob=0.0)
    families = {llm.id: llm.family for llm in llms}
    together = rows["ours without looking ahead: all asked at once"].decisions
    return {
        "AUROC of an answer's score for its being right (the answers of three routed LLMs)": dict(
            judged(questions, together, rules, families)
        ),
        "Stopping": stopping(rows[OURS], rows[RUN_ON]),
        "Aggregation, everyone asked": aggregated(questions, rows[RUN_ON]),
    }


def run(arguments: argparse.Namespace) -> str:
    """Fits, chooses, replays and writes; returns what table.md says."""
    answers = recorded_answers.read(arguments.folder, set_file.named(arguments))
    data, llms = answers.data, answers.llms
    priors_QL = scored(data, recorded_set.embedded(data.queries), train.plan_of(params.load(Project(Path()).params).train))
    evidence = fit(partly(episodes(*answers.part(priors_QL, "train"), llms)))
    heldout, heldout_QL = answers.part(priors_QL, "calibration", "validation")
    usd, spent = choose_price(heldout, heldout_QL, llms, evidence, arguments.calls)
    chain = cascade.choose(heldout, episodes(heldout, heldout_QL, llms), llms, evidence, cascade.best_within(spent))
    test, test_QL = answers.part(priors_QL, "test")
    means_L = np.nanmean(data.take("train").labels_QL, axis=0)
    rows = {}
    for system in systems(test_QL, means_L, llms, evidence, usd, rivals=[cascade.cascaded(test_QL, chain, evidence)]):
        decisions = system.decisions(test, llms)
        rows[system.name] = SystemResult(quality(test, decisions), calls(decisions), cost(decisions), decisions)
    figures = parts(test, rows, evidence, llms)
    oracle_Q = np.array([max(question.labels.values()) for question in test])
    blocks = [
        f"`{report.command(arguments.folder)}`",
        f"{len(llms)} LLMs, {len(test)} test queries; a call of mean cost is worth {usd * mean_usd(llms):.3g} right answers.",
        f"Posterior: {', '.join(f'{name} {value:.3f}' for name, value in asdict(evidence).items())}.",
        f"Cascade: {chain}.",
        table(rows, oracle_Q, priced=answers.priced),
        *(_list(title, part) for title, part in figures.items()),
    ]
    means = {name: {"quality": row.quality_Q.mean(), "calls": row.calls_Q.mean(), "usd": row.cost_Q.mean()} for name, row in rows.items()}
    results = report.as_json({"rows": means, "evidence": asdict(evidence), "cascade": asdict(chain), **figures})
    report.write(arguments.out, blocks, results, ["numpy", "scipy", "scikit-learn"])
    write_choices(arguments.out / "choices.csv", rows, data.take("test").queries["query_id"])
    return "\n\n".join(blocks)


def write_choices(path: Path, rows: Mapping[str, SystemResult], query_ids: Iterable[str]) -> None:
    """choices.csv: whose answer each system returned, after how many calls, so that anyone can score it independently."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["system", "query_id", "llm", "calls", "stopped_because"])
        for name, row in rows.items():
            for query_id, made, count in zip(query_ids, row.decisions, row.calls_Q, strict=True):
                writer.writerow([name, query_id, made.llm, int(count), made.stopped_because])


def _list(title: str, figures: Mapping[str, Any]) -> str:
    lines = [f"- {name}: {value if not isinstance(value, float) else f'{value:.3f}'}" for name, value in figures.items()]
    return "\n".join([f"{title}:", "", *lines])


def main() -> None:
    """Reads the command line, runs, prints."""
    parser = set_file.parser(__doc__, "mixture")
    parser.add_argument("--calls", type=float, default=3.0, help="LLMs that ours may ask a query, on average over held-out queries")
    try:
        print(run(parser.parse_args()))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
