"""The mixture beside its rivals on recorded answers: `python -m benchmarks.mixture FOLDER [--llms a,b] [--group domain] [--calls 3]`.

FOLDER is that of `benchmarks.scorer`, with the answers' texts (`--text`: the column of outcomes.parquet that holds them). Every system
is one composition of the engine's parts (`systems`), run by the engine itself over a client that answers from the record. Scorer and
posterior are fitted on training queries (the posterior on cross-fitted scores); what a call is worth is chosen on validation queries so
that ours asks at most `--calls` LLMs a query; the test queries are read once. Each call costs the same here: recorded answers come
without prices. Intervals are paired bootstraps over test queries. What writes new text cannot be replayed (MoA beyond its first layer,
refining, synthesis, cross-assessment). `--out` gets table.md, results.json and choices.csv.
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import machine, outcomes
from benchmarks.judging import RESAMPLES, Row, aggregated, judged, stopping
from benchmarks.replay import Question, Said, calls, quality, replay
from mixture.agreement import said as says
from mixture.llm import LLM, Decoding, Price
from mixture.options import Options, Weights
from mixture.posterior import Evidence, Heard, Published
from mixture.ranking import Candidate
from pipelines import embeddings, params, train
from pipelines.dataset import Dataset
from pipelines.posterior import Episode, fit
from scorer import calibration, metrics, training

Floats = NDArray[np.floating]

FOLDS = 5
TOKENS = 200
CALL_USD = 0.001  # of every call; only its product with the weight of a dollar matters, and that is chosen
PRICES = (0.004, 0.006, 0.008, 0.01, 0.012, 0.013, 0.014, 0.015, 0.016, 0.018)  # of a call, in right answers: what is chosen among
ASKED = 6  # answers an episode holds at most
BARE = Options(self_assessment=False, cross_assessment=False, aggregation="best", headroom=0.0, stop_threshold=1.0)
OURS, RUN_ON, ROUTED, SINGLE = "ours", "ours, run on", "routed single", "best single"


@dataclass(frozen=True, slots=True)
class System:
    """One row: who is thought to be right (priors_QL) and how the engine goes about it."""

    name: str
    priors_QL: Floats
    options: Options


def systems(priors_QL: Floats, means_L: Floats, evidence: Evidence, usd: float, *, llms: int) -> list[System]:
    """The compositions that are compared. means_L: of the training labels; usd: what a dollar is worth to ours."""
    dice = np.random.default_rng(0)
    single = BARE.as_single()
    vote = replace(BARE, max_layers=1, aggregation="vote", weights=Weights(usd=0, second=0), ranking="strict")
    ours = replace(BARE, k=1, max_layers=llms, deepen="widen", aggregation="vote", posterior=evidence, weights=Weights(usd=usd, second=0))
    flat = replace(evidence, prior=0.0, difficulty=0.0)
    return [
        System("random", dice.random(priors_QL.shape), single),
        System(SINGLE, np.broadcast_to(means_L, priors_QL.shape), single),
        System(ROUTED, priors_QL, single),
        System("vote of the best 3 overall", np.broadcast_to(means_L, priors_QL.shape), replace(vote, k=3)),
        System("vote of the best 5 overall", np.broadcast_to(means_L, priors_QL.shape), replace(vote, k=5)),
        System("vote of 3 routed", priors_QL, replace(vote, k=3)),
        System("vote of 5 routed", priors_QL, replace(vote, k=5)),
        System("MoA's first layer, a vote of all", priors_QL, replace(vote, k=llms)),
        System("RouteMoA as published, its first layer", priors_QL, replace(vote, k=3, aggregation="best", stopping="threshold")),
        System("ours without the prior", priors_QL, replace(ours, posterior=flat)),
        System("ours without looking ahead: all asked at once", priors_QL, replace(vote, k=3, posterior=evidence)),
        System(OURS, priors_QL, ours),
        System(RUN_ON, priors_QL, replace(vote, k=llms, posterior=evidence)),
    ]


def read(wanted: outcomes.Recorded, column: str) -> tuple[Dataset, list[Question]]:
    """The outcomes, and the same as questions with what each LLM said. Raises ValueError where `column` is not there."""
    data = outcomes.read(wanted)
    path = wanted.folder / "outcomes.parquet"
    try:
        table = pd.read_parquet(path, columns=["query_id", "llm", "score", column])
    except ValueError as exc:
        raise ValueError(f"{path} has no column {column!r}; name the one that holds the answers' texts with --text.") from exc
    table = table[table["llm"].isin(data.roster)].astype({"query_id": str})
    by_query: dict[str, dict[str, tuple[str, float]]] = {}
    for query_id, llm, score, text in table.itertuples(index=False):
        by_query.setdefault(query_id, {})[llm] = (f"Answer: {text}" if column == "pred" else str(text or ""), float(score))
    questions = []
    for query_id, text in zip(data.queries["query_id"], data.queries["text"], strict=True):
        rows = by_query.get(query_id, {})
        said = {llm: Said(answer, TOKENS, CALL_USD) for llm, (answer, _) in rows.items()}
        questions.append(Question(text, said, {llm: score for llm, (_, score) in rows.items()}))
    return data, questions


def scored(data: Dataset, queries_QD: Floats, plan: training.Plan) -> Floats:
    """priors_QL of all queries by a scorer that did not see their labels: training queries by one fitted on the other folds."""

    def by(seen_Q: NDArray[np.bool_], asked_Q: NDArray[np.bool_]) -> Floats:
        known = [training.Embedded(queries_QD[of], data.labels_QL[of]) for of in (seen_Q, data.splits_Q == "validation")]
        weights = training.train(data.roster, *known, plan).weights
        held_Q = data.splits_Q == "calibration"
        fitted = calibration.fit(weights.logits(queries_QD[held_Q]), data.labels_QL[held_Q])
        return fitted.probabilities(weights.logits(queries_QD[asked_Q]))

    train_Q = data.splits_Q == "train"
    folds_Q = np.random.default_rng(plan.seed).integers(FOLDS, size=len(train_Q))
    priors_QL = np.zeros(data.labels_QL.shape)
    priors_QL[~train_Q] = by(train_Q, ~train_Q)
    for fold in range(FOLDS):
        priors_QL[train_Q & (folds_Q == fold)] = by(train_Q & (folds_Q != fold), train_Q & (folds_Q == fold))
    return priors_QL


def episodes(questions: Sequence[Question], priors_QL: Floats, llms: Sequence[LLM], *, repeats: int = 2) -> list[Episode]:
    """`repeats` a question: one to ASKED of its LLMs, those with high priors more often."""
    dice = np.random.default_rng(0)
    found = []
    for question, priors_L in zip(questions, priors_QL, strict=True):
        chances_L = np.log(priors_L) - np.log1p(-priors_L)
        for _ in range(repeats):
            order = np.argsort(-(chances_L + 0.5 * dice.gumbel(size=len(chances_L))))[: dice.integers(1, ASKED + 1)]
            asked = {llms[at].id: float(priors_L[at]) for at in order if llms[at].id in question.said}
            if asked:
                said = says({llm: question.said[llm].text for llm in asked})
                heard = {llm: Heard(prior, said[llm], llm) for llm, prior in asked.items()}
                found.append(Episode(heard, {llm: question.labels[llm] for llm in asked}))
    return found


def choose_price(questions: Sequence[Question], priors_QL: Floats, llms: Sequence[LLM], evidence: Evidence, most: float) -> float:
    """The weight of a dollar with the best quality on these questions among those that ask at most `most` LLMs on average."""
    found = []
    for price in PRICES:
        ours = systems(priors_QL, priors_QL.mean(axis=0), evidence, price / CALL_USD, llms=len(llms))[-2]
        decisions = replay(questions, priors_QL, llms, ours.options)
        found.append((float(calls(decisions).mean()) <= most, float(quality(questions, decisions).mean()), price))
    allowed = [each for each in found if each[0]]
    if not allowed:
        raise ValueError(f"No price of {PRICES} asks at most {most} LLMs a query; raise --calls.")
    return max(allowed)[2] / CALL_USD


def table(rows: Mapping[str, Row], oracle_Q: Floats) -> str:
    """Quality, gains and calls of every system as Markdown."""
    lines = [
        "| system | quality | over best single | over routed single | ours − this | calls | one call | two | three | more |",
        "|---" * 10 + "|",
    ]
    for name, row in rows.items():
        gains = [
            str(metrics.difference(row.quality_Q, rows[other].quality_Q, resamples=RESAMPLES)) if other != name else ""
            for other in (SINGLE, ROUTED)
        ]
        less = "" if name == OURS else str(metrics.difference(rows[OURS].quality_Q, row.quality_Q, resamples=RESAMPLES))
        shares = [np.mean(row.calls_Q == 1), np.mean(row.calls_Q == 2), np.mean(row.calls_Q == 3), np.mean(row.calls_Q > 3)]
        cells = [
            metrics.interval(row.quality_Q, resamples=RESAMPLES),
            *gains,
            less,
            f"{row.calls_Q.mean():.2f}",
            *(f"{share:.0%}" for share in shares),
        ]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    lines.append(f"| oracle (told the labels) | {metrics.interval(oracle_Q, resamples=RESAMPLES)} | | | | | | | | |")
    return "\n".join(lines)


def main() -> None:
    """Fits, chooses, replays, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--llms", default="", help="comma-separated; all where none is named")
    parser.add_argument("--group", default="dataset")
    parser.add_argument("--text", default="response", help="column of outcomes.parquet with the answers' texts")
    parser.add_argument("--most", type=int, help="take at most this many queries")
    parser.add_argument("--calls", type=float, default=3.0, help="LLMs that ours may ask a query, on average over validation queries")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/mixture"))
    given = parser.parse_args()
    wanted = outcomes.Recorded(given.folder, tuple(name for name in given.llms.split(",") if name), given.group, None, given.most)
    data, questions = read(wanted, given.text)
    settings = params.load().train
    queries_QD = embeddings.trained_on(train.load_encoder(settings), data.queries["text"].tolist())
    priors_QL = scored(data, queries_QD, train.plan_of(settings))
    llms = [
        LLM(name, name, Price(0.0, CALL_USD * 1e6 / TOKENS), decoding=Decoding(max_tokens=TOKENS), context_window=10**6)
        for name in data.roster
    ]

    def part(*names: str) -> tuple[list[Question], Floats]:
        taken_Q = np.isin(data.splits_Q, names)
        return [question for question, take in zip(questions, taken_Q, strict=True) if take], priors_QL[taken_Q]

    evidence = fit(episodes(*part("train"), llms))
    usd = choose_price(*part("calibration", "validation"), llms, evidence, given.calls)
    asked, asked_QL = part("test")
    means_L = np.nanmean(data.take("train").labels_QL, axis=0)
    rows = {}
    for system in systems(asked_QL, means_L, evidence, usd, llms=len(llms)):
        made = replay(asked, system.priors_QL, llms, system.options)
        rows[system.name] = Row(quality(asked, made), calls(made), made)
    oracle_Q = np.array([max(question.labels.values()) for question in asked])
    families = {llm.id: Candidate(llm, 0.0).family for llm in llms}
    rules = {"posterior": evidence, "agreement without the prior": replace(evidence, prior=0.0, difficulty=0.0), "published": Published()}
    auroc = judged(asked, rows["ours without looking ahead: all asked at once"].decisions, rules, families)
    stops, drift = stopping(rows[OURS], rows[RUN_ON]), aggregated(asked, rows[RUN_ON])
    constants = {name: round(value, 3) for name, value in asdict(evidence).items()}
    shown = [
        f"`{machine.command()}`",
        f"{len(llms)} LLMs, {len(asked)} test queries; a call is worth {usd * CALL_USD:g} right answers (chosen on validation queries).",
        f"Posterior: {constants}.",
        table(rows, oracle_Q),
        _list("AUROC of the score of an answer for its being right (three routed LLMs a query)", auroc),
        _list("Stopping", stops),
        _list("Aggregation", drift),
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "table.md").write_text("\n\n".join(shown) + "\n", encoding="utf-8")
    figures = {name: {"quality": float(row.quality_Q.mean()), "calls": float(row.calls_Q.mean())} for name, row in rows.items()}
    results = {
        "command": machine.command(),
        "rows": figures,
        "evidence": asdict(evidence),
        "auroc": auroc,
        "stopping": stops,
        "aggregation": drift,
    }
    results["machine"] = machine.facts(["numpy", "scipy", "scikit-learn"])
    (given.out / "results.json").write_text(json.dumps(results, indent=2, default=_plain) + "\n", encoding="utf-8")
    with (given.out / "choices.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["system", "query_id", "llm", "calls", "stopped_because"])
        for name, row in rows.items():
            for query_id, made, count in zip(data.take("test").queries["query_id"], row.decisions, row.calls_Q, strict=True):
                writer.writerow([name, query_id, made.llm, int(count), made.stopped_because])
    print("\n\n".join(shown))


def _list(title: str, figures: Mapping[str, Any]) -> str:
    return "\n".join(
        [f"{title}:", "", *(f"- {name}: {value if not isinstance(value, float) else f'{value:.3f}'}" for name, value in figures.items())]
    )


def _plain(value: Any) -> Any:
    return [value.mean, value.low, value.high] if isinstance(value, metrics.Interval) else str(value)


if __name__ == "__main__":
    main()
