"""Whether what-ifs hold: `python -m benchmarks.what_if FOLDER/SET ... [--resamples 200]`.

A recorded set is last month's log of one LLM, the best one on training queries; the scorer (ridge on the embeddings) was trained on other
queries, and others again are labelled (`benchmarks.monitor.World`). A resample is a log of 500 calls, drawn with replacement from the rest,
in ten worlds. The truth is what the recorded answers to its very calls are worth and cost, at several values of a dollar.

Same kinds: the log is of the kinds that were trained on; nobody grades anything. One of them: of the largest alone. Another kind: of that
one, which training never saw. Called unlike: calls of which the report says that no labelled query is like them. Graded: by about 100
graded requests of the log. Cost: our expected total beside the truth, and how often an interval is given for it.
FOLDER/SET as in `benchmarks.certificate`; sets that are not there are named and skipped.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import recorded_set, report
from benchmarks.certificate import costs, present, read
from benchmarks.monitor import World
from benchmarks.report import BUILT
from mixture.llm import LLM
from mixture.price import Price
from monitoring.drift import policy
from monitoring.drift.novelty import novelty
from pipelines.dataset import Dataset
from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.what_if import compare, estimate, judgeable
from pipelines.what_if.history import bill
from pipelines.what_if.knowledge import HeldOut, Knowledge, Texts
from registry import certificate
from registry.pool import Pool
from scorer.errors import RouteMoAError
from scorer.recorded_calls import RecordedCalls
from scorer.types import Floats

Values = NDArray[np.float64]
Rows = NDArray[np.intp]
WORLDS = 10
CALLS = 500
COLUMNS = (
    *("set", "the log is of", "called unlike", "covered", "half width, points", "graded: covered", "half width, points"),
    *("cost off, median", "cost said", "cost covered"),
)
KINDS = ("same kinds", "one of them", "another kind")
GRADED = 100
DOLLARS = slice(4, None, 6)  # of the grid


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A set: texts, costs and output tokens of every answer, and its LLMs at their prices."""

    data: Dataset
    queries_QD: Floats
    cost_QL: Values
    output_QL: Values
    llms: tuple[LLM, ...]

    @classmethod
    def of(cls, folder: Path, most: int | None) -> "Recorded":
        """Output tokens are what costs leave after the input's; where the set has no prices, a token of an LLM costs its assumed price."""
        data, queries_QD = read(folder, most)
        cost_QL, assumed = costs(data)
        inputs_Q = np.ceil(recorded_set.tokens(data.queries))
        if assumed:
            output_QL = np.full(cost_QL.shape, 200.0)
            prices = [Price(0.0, float(usd)) for usd in cost_QL[0]]
        else:
            prices = [Price(llm.input_price, llm.output_price) for llm in data.llms]
            paid_QL = np.outer(recorded_set.tokens(data.queries), [price.input for price in prices])
            output_QL = np.maximum(np.rint((cost_QL * 1e6 - paid_QL) / np.array([price.output for price in prices])), 1.0)
        llms = tuple(LLM(each.id, each.id, price) for each, price in zip(data.llms, prices, strict=True))
        inputs_L, outputs_L = (np.array([getattr(price, side) for price in prices]) for side in ("input", "output"))
        return cls(data, queries_QD, (inputs_Q[:, None] * inputs_L + output_QL * outputs_L) / 1e6, output_QL, llms)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One log at one value of a dollar: whether intervals cover, their half widths, and how far the cost is off, as a share.

    unlike: the share of judged calls that no labelled query is like. cost_covered: NaN where no interval is given.
    """

    unlike: float
    covered: bool
    half: float
    graded_covered: bool
    graded_half: float
    cost_off: float
    cost_covered: float


def known(recorded: Recorded, world: World, every: Texts) -> Knowledge:
    """What the scorer of that world knows, its held-out queries labelled. every: all queries, scored."""
    held, train = world.held_out, world.training
    inputs_T = recorded_set.tokens(recorded.data.queries)[train]
    means = {
        llm.id: RecordedCalls(len(train), float(inputs_T.mean()), float(recorded.output_QL[train, at].mean()))
        for at, llm in enumerate(recorded.llms)
    }
    near = held[~every.far_N[held]]
    inputs_ML = np.tile(np.ceil(recorded_set.tokens(recorded.data.queries))[near][:, None], (1, len(recorded.llms)))
    return Knowledge(
        version="benchmark",
        roster=world.roster,
        recorded=means,
        held_out=HeldOut(
            recorded.data.queries["text"].to_numpy()[near].tolist(),
            every.of(near),
            world.labels_QL[near],
            inputs_ML,
            recorded.output_QL[near],
        ),
    )


def texts(world: World) -> Texts:
    """Scores, novelty and nearest domains of all queries, as the product has them."""
    reference, rules = world.profile(), policy.load(Path("params.yaml"))
    found = novelty(world.queries_QD, reference, k=rules.neighbours, quantile=rules.novel_quantile)
    return Texts(world.scores_QL.astype(np.float64), found.novel_N, found.domains_N(reference), world.queries_QD.astype(np.float64))


def outcomes(recorded: Recorded, world: World, rows: Rows, knows: Knowledge, every: Texts) -> Iterator[Outcome]:
    """One log: the calls `rows`, all answered by the best LLM of the training queries."""
    best = int(world.labels_QL[world.training].mean(axis=0).argmax())
    asked = recorded.data.queries["text"].to_numpy()[rows]
    inputs_N = np.ceil(recorded_set.tokens(recorded.data.queries))[rows]
    calls = [
        LoggedCall(
            "log",
            at,
            llm=recorded.llms[best].id,
            text=str(text),
            usage=LoggedUsage(int(size), None, None, int(recorded.output_QL[row, best])),
        )
        for at, (row, text, size) in enumerate(zip(rows, asked, inputs_N, strict=True))
    ]
    billed = bill(calls, Pool(recorded.llms), lambda *_: None)
    different, text_of = np.unique(rows, return_inverse=True)
    by_id = {llm.id: llm for llm in recorded.llms}
    judged, _ = judgeable.judgeable(billed, dict(enumerate(text_of.tolist())), every.of(different), knows, by_id)
    if not judged.billed:
        return
    kept = rows[[each.call.row for each in judged.billed]]
    at = np.arange(len(kept))
    for usd in certificate.grid(judged.expected_NL)[DOLLARS]:
        found, chosen_N = compare.compare(judged, knows, float(usd)), compare.chosen(judged, float(usd))
        truth_N = world.labels_QL[kept][at, chosen_N] - world.labels_QL[kept, best]
        chances_N = estimate.chances(compare.uncertain(judged, chosen_N), GRADED)
        drawn = np.flatnonzero(world.rng.random(len(kept)) < chances_N)
        graded = estimate.by_graded(compare.forecasts(judged, chosen_N), drawn, truth_N[drawn], chances_N[drawn])
        truth, cost = float(truth_N.mean()), float(recorded.cost_QL[kept][at, chosen_N].sum())
        yield Outcome(
            unlike=float(judged.unlike_N.mean()),
            covered=found.quality.low - 1e-9 <= truth <= found.quality.high + 1e-9,
            half=(found.quality.high - found.quality.low) / 2,
            graded_covered=graded.low - 1e-9 <= truth <= graded.high + 1e-9,
            graded_half=(graded.high - graded.low) / 2,
            cost_off=found.usd.mean / cost - 1,
            cost_covered=float(found.usd.low - 1e-9 <= cost <= found.usd.high + 1e-9) if found.usd.low == found.usd.low else np.nan,
        )


def resampled(recorded: Recorded, resamples: int, kind: str) -> dict[str, float]:
    """Shares covered and mean half widths over all resamples and values of a dollar."""
    names, sizes = np.unique(recorded.data.queries["dataset"], return_counts=True)
    largest, unknown = str(names[sizes.argmax()]), kind == "another kind"
    rows: list[Outcome] = []
    for seed in range(WORLDS):
        world = World(recorded.data, recorded.queries_QD, seed, unknown=(largest,) if unknown else ())
        every, source = texts(world), world.strange if unknown else world.traffic
        if kind == "one of them":
            source = source[world.domains_Q[source] == largest]
        knows = known(recorded, world, every)
        for _ in range(resamples // WORLDS):
            rows += outcomes(recorded, world, world.rng.choice(source, CALLS), knows, every)
    said = [row.cost_covered for row in rows if np.isfinite(row.cost_covered)]
    return {
        "logs": float(resamples),
        "unlike": _mean([row.unlike for row in rows]),
        "covered": _mean([row.covered for row in rows]),
        "half width": _mean([row.half for row in rows]),
        "graded: covered": _mean([row.graded_covered for row in rows]),
        "graded: half width": _mean([row.graded_half for row in rows]),
        "cost off, median": float(np.median(np.abs([row.cost_off for row in rows]))) if rows else float("nan"),
        "cost said": len(said) / max(len(rows), 1),
        "cost covered": _mean(said),
    }


def _mean(values: Sequence[float]) -> float:
    """NaN of none."""
    return float(np.mean(values)) if values else float("nan")


def main() -> None:
    """Prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", default=[Path("build/dataset")])
    parser.add_argument("--queries", type=int, help="about so many of each set, by hash; else all")
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--out", type=Path, default=BUILT / "what-if")
    arguments = parser.parse_args()
    rows: list[list[Any]] = []
    blocks: list[str] = []
    results: dict[str, Any] = {}
    for folder in present(arguments.folders):
        try:
            recorded = Recorded.of(folder, arguments.queries)
        except RouteMoAError as exc:
            sys.exit(str(exc))
        for kind in KINDS:
            figures = resampled(recorded, arguments.resamples, kind)
            results[f"{folder.name}/{kind}"] = figures
            halves = {name: f"{100 * figures[name]:.1f}" for name in ("half width", "graded: half width")}
            shown = {name: f"{value:.1%}" if np.isfinite(value) else "" for name, value in figures.items()} | halves
            rows.append([folder.name, kind, *(shown[name] for name in list(figures)[1:])])
        blocks = [f"`{report.command(*arguments.folders)}`", report.table(COLUMNS, rows)]
        report.write(arguments.out, blocks, results)  # after each set: a long run that is cut short has said what it knows
    print("\n\n".join(blocks))


if __name__ == "__main__":
    main()
