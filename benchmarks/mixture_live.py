"""Mixtures on real LLMs: `python -m benchmarks.mixture_live HOME [--offline] [--calls docs/results/live-calls]`.

HOME is a project whose pipeline has run. Its test queries and its out-of-domain ones, in the order of their ids' hashes, are answered by
every system over the pool's LLMs, on llama.cpp servers started here or (`--running`) at the pool's endpoints. Calls are bought once and
kept in `--calls` by what was sent, beside the scores that decide on them: a run that was stopped goes on, and `--offline` replays the first
queries, as far as all systems have answered them, in any project of the same queries. `--without NAME` leaves a row out: more queries may
then be complete.

Answers are graded by the verifiable graders; a time-out is counted apart and is no wrong answer. Costs are the pool's prices, latencies
those of the critical path in virtual time. A call takes the seconds that its LLM's tokens take in the calls of `CALLS/cold`, a folder
bought with `--cold --calls CALLS/cold` on an idle machine; without it, what it took when it was bought. `--out` gets table.md,
results.json and answers.csv.
"""

import argparse
import csv
import hashlib
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from benchmarks import report
from benchmarks.bought_calls import BoughtCalls, CallMissing, Speed, buying, speeds
from benchmarks.live_record import Bench, LiveQuery, keep, read, take_answers
from benchmarks.rivals import live_systems as systems
from benchmarks.rivals.compositions import OURS, SINGLE
from benchmarks.rivals.live_systems import Answered, Situation, System
from local import llama
from local.processes import free_ports
from local.traffic import GRADING_S
from mixture.llm import LLM
from mixture.replay.virtual_time import drive
from pipelines.graders import kinds, workers
from pipelines.graders.query import Query
from scorer.errors import RouteMoAError
from serving.settings import MixtureSettings

USD = 1000.0  # what a dollar is worth to ours, in right answers: local calls cost millionths of one (as in `make demo`)
PORTS = 18200  # the first that may be used
COLUMNS = ("quality", "over best single", "ours − this", "USD, 10,000 queries", "s", "p95 s", "calls", "layers", "tokens", "late", "unread")


def compared() -> dict[str, System]:
    """The rows, those that need no call of their own first."""
    served = MixtureSettings(value_per_usd=USD).options()
    return {
        "cheapest": systems.alone(lambda situation: {llm.id: -llm.price.output - 1e-6 * at for at, llm in enumerate(situation.llms)}),
        "random": systems.alone(_dice),
        SINGLE: systems.alone(lambda situation: situation.means),
        "routed single": systems.alone(lambda situation: situation.priors),
        "vote of all": systems.vote_of_all,
        OURS: systems.ours(served),
        "Self-MoA": systems.self_moa,
        "MoA": systems.moa,
        "SMoA": systems.smoa,
        "RouteMoA as released": systems.route_moa(mended=False),
        "RouteMoA, its faults mended": systems.route_moa(mended=True),
    }


def _dice(situation: Situation) -> dict[str, float]:
    """Chance, the same for a query in every run."""
    seed = hashlib.sha256(str(situation.messages[0]["content"]).encode()).digest()
    return dict(zip((llm.id for llm in situation.llms), np.random.default_rng(list(seed)).random(len(situation.llms)), strict=True))


@contextmanager
def served(llms: Sequence[LLM], first_port: int) -> Iterator[list[LLM]]:
    """The LLMs on llama.cpp servers of this process, one per weights, on free ports."""
    ports = free_ports(first_port)
    with ExitStack() as stack:
        names = sorted({llm.endpoint.served_name for llm in llms if llm.endpoint})
        urls = {name: stack.enter_context(llama.start(name, next(ports))).base_url for name in names}
        yield [replace(llm, endpoint=replace(llm.endpoint, base_url=urls[llm.endpoint.served_name])) for llm in llms if llm.endpoint]


def answers(bench: Bench, calls: BoughtCalls, asked: Mapping[str, System]) -> Iterator[tuple[LiveQuery, dict[str, Answered]]]:
    """What each of `asked` answers, query by query, up to the first that lacks a call: what is complete beyond it was quick to answer."""
    for query in track(bench.queries, description="answering", disable=not sys.stderr.isatty()):
        situation, answered = bench.situation(query, calls), dict[str, Answered]()
        try:
            answered = {name: drive(system(situation)) for name, system in asked.items()}
        except* CallMissing:  # alone, or from among calls made at once
            pass
        if not answered:
            return
        yield query, answered


def grades(queries: Sequence[Query], texts: Collection[tuple[int, str]]) -> dict[tuple[int, str], float]:
    """The grade of each (place of its query, text), NaN where the grader gave none."""
    ordered = sorted(texts)
    results = workers.grade_all([kinds.Task(queries[at], text, GRADING_S) for at, text in ordered])
    return {one: np.nan if result.score is None else float(result.score) for one, result in zip(ordered, results, strict=True)}


def graded(queries: Sequence[LiveQuery], answered: Sequence[Mapping[str, Answered]]) -> list[dict[str, float]]:
    """The grade of each system's answer, NaN for a time-out; equal answers are graded once."""
    texts = {(at, row.text) for at, rows in enumerate(answered) for row in rows.values() if row.text is not None}
    scores = grades([each.query for each in queries], texts)
    return [{name: np.nan if row.text is None else scores[at, row.text] for name, row in rows.items()} for at, rows in enumerate(answered)]


def _ungraded(row: Answered, grade: float) -> bool:
    return row.text is not None and bool(np.isnan(grade))


def table(answered: Sequence[Mapping[str, Answered]], grades: Sequence[Mapping[str, float]]) -> str:
    """Quality, paired differences, cost and latency of every system over these queries, as Markdown."""
    grades_Q = {name: np.array([row[name] for row in grades]) for name in grades[0]}
    lines: list[list[Any]] = []
    for name, own_Q in grades_Q.items():
        rows = [row[name] for row in answered]
        layers = np.bincount([row.layers for row in rows])[1:]
        lines.append(
            [
                name,
                report.interval(own_Q),
                "" if name == SINGLE else report.difference(own_Q, grades_Q[SINGLE]),
                "" if name == OURS else report.difference(grades_Q[OURS], own_Q),
                f"{1e4 * np.mean([row.cost_usd for row in rows]):.3g}",
                f"{np.mean([row.latency_s for row in rows]):.1f}",
                f"{np.quantile([row.latency_s for row in rows], 0.95):.1f}",
                f"{np.mean([row.calls for row in rows]):.2f}",
                " ".join(f"{count / len(rows):.0%}" for count in layers),
                f"{np.mean([row.tokens for row in rows]):.0f}",
                sum(row.time_outs for row in rows),
                sum(row.unread for row in rows),
            ]
        )
    return report.table(["system", *COLUMNS], lines)


def compare(
    bench: Bench, answered: Iterable[tuple[LiveQuery, dict[str, Answered]]], paces: Mapping[str, Speed], home: Path, out: Path
) -> None:
    """Grades, prints and writes what every system answered; not the queries with an answer that the grader could not grade."""
    pairs = list(answered)
    if not pairs:
        raise CallMissing("Not one query was answered by every system.", next_step="Run again without --offline.")
    grades_of_all = graded([query for query, _ in pairs], [rows for _, rows in pairs])
    kept = [
        (query, rows, grades)
        for (query, rows), grades in zip(pairs, grades_of_all, strict=True)
        if not any(_ungraded(rows[name], grades[name]) for name in rows)
    ]
    blocks = [
        f"`{report.command(home)}`",
        f"Scorer {bench.scorer[:12]} of {', '.join(llm.id for llm in bench.llms)}.",
        "Layers: share of queries that ended after 1, 2 ... (ours asks one LLM a layer).",
        *(f"{name}: {pace}" for name, pace in paces.items()),
        f"Left out since an answer could not be graded: {len(pairs) - len(kept)} queries.",
    ]
    figures: dict[str, Any] = {}
    for title, inside in (("In domain", {True}), ("Out of domain", {False}), ("Together", {True, False})):
        part = [(rows, grades) for query, rows, grades in kept if query.inside in inside]
        if part:
            blocks += [f"{title}, {len(part)} queries:", table([rows for rows, _ in part], [grades for _, grades in part])]
            figures[title] = {
                name: {
                    "quality": float(np.nanmean([grades[name] for _, grades in part])),
                    "usd": float(np.mean([rows[name].cost_usd for rows, _ in part])),
                }
                for name in part[0][0]
            }
    report.write(out, blocks, report.as_json(figures))
    write_answers(out / "answers.csv", kept)
    print("\n\n".join(blocks))


def write_answers(path: Path, graded: Sequence[tuple[LiveQuery, Mapping[str, Answered], Mapping[str, float]]]) -> None:
    """answers.csv: what every system answered, with its grade, so that anyone can score it independently."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query_id", "domain", "in_domain", "system", "grade", *(field.name for field in fields(Answered))])
        for each, rows, grades in graded:
            writer.writerows(
                [each.query.query_id, each.domain, each.inside, name, grades[name], *asdict(row).values()] for name, row in rows.items()
            )


def main() -> None:
    """Buys what is missing, then compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--calls", type=Path, default=report.BUILT / "calls")
    parser.add_argument("--record", type=Path, help="where LLMs and scores are kept (default: beside the calls)")
    parser.add_argument("--take-answers", action="store_true", help="what HOME's LLMs answered for their labels are calls too: add them")
    parser.add_argument("--out", type=Path, default=report.BUILT / "mixture-live")
    parser.add_argument("--offline", action="store_true", help="ask nobody")
    parser.add_argument("--running", action="store_true", help="start no servers: ask the pool's endpoints")
    parser.add_argument("--cold", action="store_true", help="tell llama.cpp to forget prompts, for calls whose seconds count")
    parser.add_argument("--without", action="append", choices=list(compared()), default=[], help="leave this row out; may be repeated")
    arguments = parser.parse_args()
    problem: BaseException | None = None
    try:
        run(arguments)
    except* RouteMoAError as failed:  # among calls made at once, it comes in a group
        problem = failed
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    if problem is not None:
        sys.exit(str(problem))


def run(arguments: argparse.Namespace) -> None:
    """As the arguments say. Raises RouteMoAError, alone or in a group."""
    record = arguments.record or arguments.calls
    bench = read(arguments.home, record)
    asked = {name: system for name, system in compared().items() if name not in arguments.without}
    if arguments.take_answers:
        keep(bench, arguments.home, record)
        print(f"{take_answers(bench, arguments.home, arguments.calls)} recorded answers added to {arguments.calls}.")
    cold = arguments.calls / "cold"
    paces = speeds(cold, {llm.id: llm.endpoint.served_name for llm in bench.llms if llm.endpoint}) if cold.is_dir() else {}
    if arguments.offline:
        compare(bench, answers(bench, BoughtCalls(arguments.calls, paces=paces), asked), paces, arguments.home, arguments.out)
        return
    with nullcontext(bench.llms) if arguments.running else served(bench.llms, PORTS) as llms:
        keep(bench, arguments.home, record)
        with buying(arguments.calls, cold=arguments.cold, paces=paces) as calls:
            compare(bench, answers(replace(bench, llms=llms), calls, asked), paces, arguments.home, arguments.out)


if __name__ == "__main__":
    main()
