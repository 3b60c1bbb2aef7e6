"""Mixtures on real LLMs: `python -m benchmarks.mixture_live HOME [--offline]`.

HOME is a project whose pipeline has run. Its test queries and its out-of-domain ones, in the order of their ids' hashes, are answered by
every system over the pool's LLMs (llama.cpp servers started here, on free ports, or with `--running` those that the pool names). Calls are
bought once and kept in `--calls` by what was sent, beside the scores they hang on: a run that was stopped goes on, and `--offline` replays
the first queries, as far as all systems have answered them, in any project of the same queries. `--buy I/N` only buys the calls of every
N-th query from the I-th on, so that N processes can share the work.

Answers are graded by the verifiable graders; a time-out is counted apart and is no wrong answer. Costs are the pool's prices, latencies
those of the critical path in virtual time. A call takes the seconds that its LLM's tokens take in the calls of `--paces`, a folder bought
with `--cold` by one process on an idle machine; without it, what it took when it was bought. `--out` gets table.md, results.json and
answers.csv.
"""

import argparse
import csv
import hashlib
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from benchmarks import live_systems as systems
from benchmarks import machine
from benchmarks.calls import BoughtCalls, CallMissing, Speed, buying, speeds
from benchmarks.compositions import OURS, SINGLE
from benchmarks.figures import RESAMPLES, as_json
from benchmarks.live_bench import Asked, Bench, keep, read
from benchmarks.live_systems import Answered, Situation, System
from local import llama
from local.processes import free_ports
from local.traffic import GRADING_S
from mixture.choose.posterior import AgreementPosterior
from mixture.llm import LLM
from mixture.replay.virtual_time import drive
from pipelines.graders import kinds, workers
from pipelines.graders.query import Query
from scorer import metrics
from scorer.errors import RouteMoAError
from serving.settings import Mixture as Served

USD = 1000.0  # what a dollar is worth to ours, in right answers: local calls cost millionths of one (as in `make demo`)
PORTS = 18200  # the first that may be used


def compared() -> dict[str, System]:
    """The rows, those that need no call of their own first."""
    served = Served(value_per_usd=USD).options(AgreementPosterior())
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


def answers(bench: Bench, calls: BoughtCalls) -> Iterator[tuple[Asked, dict[str, Answered]]]:
    """What every system answers, query by query, up to the first that lacks a call: what is complete beyond it was quick to answer."""
    rows = compared()
    for asked in track(bench.asked, description="answering", disable=not sys.stderr.isatty()):
        situation, found = bench.situation(asked, calls), dict[str, Answered]()
        try:
            found = {name: drive(system(situation)) for name, system in rows.items()}
        except* CallMissing:  # alone, or from among calls made at once
            pass
        if not found:
            return
        yield asked, found


def grades(queries: Sequence[Query], texts: Collection[tuple[int, str]]) -> dict[tuple[int, str], float]:
    """The grade of each (place of its query, text), NaN where the grader gave none."""
    ordered = sorted(texts)
    results = workers.grade_all([kinds.Task(queries[at], text, GRADING_S) for at, text in ordered])
    return {one: np.nan if result.score is None else float(result.score) for one, result in zip(ordered, results, strict=True)}


def graded(asked: Sequence[Asked], answered: Sequence[Mapping[str, Answered]]) -> list[dict[str, float]]:
    """The grade of each system's answer, NaN for a time-out; equal answers are graded once."""
    texts = {(at, row.text) for at, rows in enumerate(answered) for row in rows.values() if row.text is not None}
    scores = grades([one.query for one in asked], texts)
    return [{name: np.nan if row.text is None else scores[at, row.text] for name, row in rows.items()} for at, rows in enumerate(answered)]


def _ungraded(row: Answered, grade: float) -> bool:
    return row.text is not None and bool(np.isnan(grade))


def table(answered: Sequence[Mapping[str, Answered]], grades: Sequence[Mapping[str, float]]) -> str:
    """Quality, paired differences, cost and latency of every system over these queries, as Markdown."""
    lines = [
        "| system | quality | over best single | ours − this | USD, 10,000 queries | s | p95 s | calls | layers | tokens | late | unread |",
        "|---" * 12 + "|",
    ]
    columns = {name: np.array([row[name] for row in grades]) for name in compared()}
    for name, grades_Q in columns.items():
        rows = [row[name] for row in answered]
        layers = np.bincount([row.layers for row in rows])[1:]
        cells = [
            metrics.interval(grades_Q[~np.isnan(grades_Q)], resamples=RESAMPLES),
            "" if name == SINGLE else _difference(grades_Q, columns[SINGLE]),
            "" if name == OURS else _difference(columns[OURS], grades_Q),
            f"{1e4 * np.mean([row.cost_usd for row in rows]):.3g}",
            f"{np.mean([row.latency_s for row in rows]):.1f}",
            f"{np.quantile([row.latency_s for row in rows], 0.95):.1f}",
            f"{np.mean([row.calls for row in rows]):.2f}",
            " ".join(f"{count / len(rows):.0%}" for count in layers),
            f"{np.mean([row.tokens for row in rows]):.0f}",
            sum(row.time_outs for row in rows),
            sum(row.unread for row in rows),
        ]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _difference(one_Q: Any, other_Q: Any) -> metrics.Interval:
    both_Q = ~np.isnan(one_Q) & ~np.isnan(other_Q)
    return metrics.difference(one_Q[both_Q], other_Q[both_Q], resamples=RESAMPLES)


def report(bench: Bench, calls: BoughtCalls, paces: Mapping[str, Speed], home: Path, out: Path) -> None:
    """Grades, prints and writes what every system answered; not the queries with an answer that the grader could not grade."""
    pairs = list(answers(bench, calls))
    if not pairs:
        raise CallMissing("Not one query was answered by every system.", next_step="Run again without --offline.")
    every = graded([one for one, _ in pairs], [rows for _, rows in pairs])
    kept = [at for at, (_, rows) in enumerate(pairs) if not any(_ungraded(rows[name], every[at][name]) for name in rows)]
    asked, answered, scored = [pairs[at][0] for at in kept], [pairs[at][1] for at in kept], [every[at] for at in kept]
    shown = [
        f"`{machine.command(home)}`",
        f"Scorer {bench.scorer[:12]} of {', '.join(llm.id for llm in bench.llms)}.",
        "Layers: share of queries that ended after 1, 2 ... (ours asks one LLM a layer).",
        *(
            f"{name}: {pace.start_s:.2f} s, {1e3 * pace.input_s:.1f} ms per input token, {1e3 * pace.output_s:.1f} ms per output token "
            f"(fitted to {pace.calls} calls; median error of a call by the others {pace.error:.0%})."
            for name, pace in paces.items()
        ),
        f"Left out since an answer could not be graded: {len(pairs) - len(kept)} queries.",
    ]
    figures: dict[str, Any] = {}
    for title, inside in (("In domain", {True}), ("Out of domain", {False}), ("Together", {True, False})):
        places = [at for at, one in enumerate(asked) if one.inside in inside]
        if places:
            shown += [f"{title}, {len(places)} queries:", table([answered[at] for at in places], [scored[at] for at in places])]
            figures[title] = {
                name: {
                    "quality": float(np.nanmean([scored[at][name] for at in places])),
                    "usd": float(np.mean([answered[at][name].cost_usd for at in places])),
                }
                for name in compared()
            }
    machine.write(out, shown, as_json(figures))
    with (out / "answers.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query_id", "domain", "in_domain", "system", "grade", *asdict(next(iter(answered[0].values())))])
        for one, rows, scores in zip(asked, answered, scored, strict=True):
            writer.writerows(
                [one.query.query_id, one.domain, one.inside, name, scores[name], *asdict(row).values()] for name, row in rows.items()
            )
    print("\n\n".join(shown))


def arguments(description: str, out: str) -> argparse.ArgumentParser:
    """A parser that knows HOME, and where calls and figures are kept."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--calls", type=Path, default=Path("build/benchmarks/calls"))
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks") / out)
    return parser


def main() -> None:
    """Buys what is missing, then reports."""
    parser = arguments(__doc__ or "", "mixture-live")
    parser.add_argument("--buy", metavar="I/N", help="only buy the calls of every N-th query, from the I-th (1 to N)")
    parser.add_argument("--offline", action="store_true", help="ask nobody")
    parser.add_argument("--running", action="store_true", help="start no servers: ask the pool's endpoints")
    parser.add_argument("--cold", action="store_true", help="tell llama.cpp to forget prompts, for calls whose seconds count")
    parser.add_argument("--paces", type=Path, help="a folder of cold calls, for the seconds of all")
    given = parser.parse_args()
    problem: BaseException | None = None
    try:
        run(given)
    except* RouteMoAError as failed:  # among calls made at once, it comes in a group
        problem = failed
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    if problem is not None:
        sys.exit(str(problem))


def run(given: argparse.Namespace) -> None:
    """As the arguments say. Raises RouteMoAError, alone or in a group."""
    bench = read(given.home, given.calls)
    weights = {llm.id: llm.endpoint.served_name for llm in bench.llms if llm.endpoint}
    paces = speeds(given.paces, weights) if given.paces else {}
    if given.offline:
        report(bench, BoughtCalls(given.calls, paces=paces), paces, given.home, given.out)
        return
    share, shares = map(int, (given.buy or "1/1").split("/"))
    with ExitStack() as stack:
        llms = bench.llms if given.running else stack.enter_context(served(bench.llms, PORTS + 50 * share))
        keep(bench, given.home, given.calls)
        calls = stack.enter_context(buying(given.calls, f"{share}-of-{shares}", cold=given.cold, paces=paces))
        running = replace(bench, llms=llms)
        if not given.buy:
            report(running, calls, paces, given.home, given.out)
            return
        for _ in answers(replace(running, asked=bench.asked[share - 1 :: shares]), calls):
            pass


if __name__ == "__main__":
    main()
