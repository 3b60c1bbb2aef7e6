"""New LLMs joining a trained scorer by their row: `python -m benchmarks.joining FOLDER [--llms a,b] [--group domain] [--keep train]`.

FOLDER as for benchmarks.scorer. Each LLM is left out in turn, the others are trained, and it joins by its row with few labels of training
queries. Realised quality is that of choosing the best-scored LLM on the test queries; an LLM's gain is what it adds to the pool it
joins. Gains of single LLMs are small and noisy, so tables show their sum over all LLMs that were left out: what the average join is
worth, times their number, harm included. Intervals: 95 % bootstraps, over test queries (all LLMs' sums resampled together) and over
LLMs. `--parts` runs some of: rules (leave one out, by number of labels and by which are asked first; and by the best of many draws, picked
by the new LLM's labels of all held-out queries, which nobody has who must choose what to ask), terms (what each term of the row earns, on
validation and calibration queries: the defaults were chosen there), series (joins in a row, of queries chosen as a deployment does), growth
(up to --simulated LLMs). `--out` gets table.md and results.json.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks import choosing, figures, machine, outcomes, recorded, simulated
from benchmarks.scorer import changed
from pipelines import comparison, train
from pipelines.facility_location import cover
from scorer import calibration, metrics, training
from scorer.initialisation import Labels
from scorer.row_fit import Known, Spread, joined
from scorer.types import Floats
from scorer.weights import Calibration, Weights

SIZES = (25, 50, 100, 200, 400, 1000)
CHOSEN_SIZES = (100, 200, 400)  # for the rules that choose
FEW = 200
DRAWS = 5
TOLD_DRAWS = 50  # among which labels of held-out queries choose
HELD = ("validation", "calibration")
RESAMPLES = 2000
SERIES = 10
PARTS = ("rules", "terms", "series", "growth")
TERMS = {
    "as it is": Spread(),
    "no differences of the known": Spread(differences=1e-3),
    "no groups of its own": Spread(group=1e-3),
    "no direction of its own": Spread(direction=1e-3),
    "level alone": Spread(differences=1e-3, group=1e-3, direction=1e-3),
    "level shrunk harder (0.3)": Spread(level=0.3),
    "groups and direction twice as free": Spread(group=0.6, direction=0.6),
}

Scorer = tuple[Weights, Calibration]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class World:
    """Recorded outcomes by split: embeddings and labels. `plan`: how heads are trained."""

    roster: tuple[str, ...]
    queries: dict[str, Floats]
    labels: dict[str, Labels]
    plan: training.Plan

    def known(self, scorer: Scorer, llms: list[int]) -> Known:
        """A scorer of these LLMs with its training queries."""
        return Known(*scorer, self.queries["train"], self.labels["train"][:, llms])


def whole(world: World, llms: list[int], few: dict[int, Places] | None = None) -> tuple[Scorer, float]:
    """The whole head trained for some LLMs, those of `few` on these training labels alone; and its CPU seconds."""
    labels = {name: labels_QL.copy() for name, labels_QL in world.labels.items()}
    for llm, places in (few or {}).items():
        kept_Q = world.labels["train"][places, llm]
        for labels_QL in labels.values():
            labels_QL[:, llm] = np.nan
        labels["train"][places, llm] = kept_Q
    parts = {name: training.Embedded(world.queries[name], labels[name][:, llms]) for name in ("train", "calibration", "validation")}
    began = time.process_time()
    trained = training.train(tuple(world.roster[llm] for llm in llms), parts["train"], parts["validation"], world.plan)
    fitted = calibration.fit(trained.weights.logits(parts["calibration"].queries_QD), parts["calibration"].labels_QL)
    return (trained.weights, fitted), time.process_time() - began


def by_row(known: Known, world: World, llm: int, places: Places, spread: Spread | None = None) -> Scorer:
    """`known` and one more LLM, from its labels on the training queries at `places`."""
    return by_their_rows(known, world, {llm: places}, spread)


def by_their_rows(known: Known, world: World, asked: Mapping[int, Places], spread: Spread | None = None) -> Scorer:
    """`known` and the LLMs of `asked`, each from its labels on the training queries at its places."""
    labels_QN = np.full((len(known.queries_QD), len(asked)), np.nan)
    for column, (llm, places) in enumerate(asked.items()):
        labels_QN[places, column] = world.labels["train"][places, llm]
    return joined(known, tuple(world.roster[llm] for llm in asked), labels_QN, spread)


def scores(scorer: Scorer, queries_QD: Floats) -> Floats:
    """Calibrated scores_QL."""
    return scorer[1].probabilities(scorer[0].logits(queries_QD))


def labelled(world: World, llm: int) -> Places:
    """The training queries an LLM has a label on."""
    return np.flatnonzero(~np.isnan(world.labels["train"][:, llm]))


@dataclass(slots=True)
class Cell:
    """Leave-one-out results of one way to join: gain per test query of each LLM (mean over draws), its row's ECE and log-loss."""

    gains: list[NDArray[np.float64]]
    eces: list[float]
    losses: list[float]

    def total_Q(self) -> NDArray[np.float64]:
        """The gains summed over LLMs, per test query."""
        return np.asarray(np.sum(self.gains, axis=0), dtype=np.float64)


def gain(after: Floats, before: Floats, labels_QL: Labels, llms: list[int]) -> NDArray[np.float64]:
    """gain_Q of choosing among `llms` by `after` over choosing among all but the last by `before`; 0 where nobody is labelled."""
    return np.nan_to_num(metrics.quality(after, labels_QL[:, llms]) - metrics.quality(before, labels_QL[:, llms[:-1]]))


def joins(world: World, llm: int, known: Known, tries: Sequence[tuple[Known, Places, Spread | None]], splits: tuple[str, ...]) -> Cell:
    """One LLM joined several times: its mean gain on the queries of `splits`, and how good the row is there."""
    queries_QD = np.concatenate([world.queries[name] for name in splits])
    labels_QL = np.concatenate([world.labels[name] for name in splits])
    llms = [other for other in range(len(world.roster)) if other != llm] + [llm]
    before = scores((known.weights, known.calibration), queries_QD)
    gains, eces, losses = [], [], []
    own_Q1 = labels_QL[:, [llm]]
    for beside, places, spread in tries:
        after = scores(by_row(beside, world, llm, places, spread), queries_QD)
        gains.append(gain(after, before, labels_QL, llms))
        eces.append(calibration.ece(after[:, [-1]], own_Q1))
        losses.append(log_loss(after[:, [-1]], own_Q1))
    return Cell([np.mean(gains, axis=0)], [float(np.mean(eces))], [float(np.mean(losses))])


def log_loss(scores_QL: Floats, labels_QL: Labels) -> float:
    """Mean cross-entropy over known labels."""
    chances_QL = np.clip(scores_QL.astype(np.float64), 1e-6, 1 - 1e-6)
    return -float(np.nanmean(labels_QL * np.log(chances_QL) + (1 - labels_QL) * np.log(1 - chances_QL)))


Choosing = Callable[[Callable[[Floats, int, int], Places], bytes, int, int], Places]


def chooser(queries_QD: Floats) -> Choosing:
    """(rule, places to choose among, how many, draw) -> places; remembered, since most LLMs have labels on the same queries."""

    @functools.cache
    def choose(rule: Callable[[Floats, int, int], Places], among: bytes, count: int, draw: int) -> Places:
        places = np.frombuffer(among, dtype=np.int64)
        return places[rule(queries_QD[places], count, draw)]

    return choose


def rules(world: World, llm: int, known: Known, choose: Choosing) -> dict[tuple[str, int], list[Places]]:
    """What is asked, by rule and number of labels: several draws where a rule draws."""
    have = labelled(world, llm)
    embedded_QD, others_QL = known.queries_QD[have], known.labels_QL[have]
    sizes = [size for size in SIZES if size < len(have)]
    found = {("random", size): [have[choosing.at_random(len(have), size, 97 * llm + draw)] for draw in range(DRAWS)] for size in sizes}
    found[("random", len(have))] = [have]
    surest_first = have[choosing.d_optimal(embedded_QD, max(CHOSEN_SIZES))]
    for size in (size for size in CHOSEN_SIZES if size < len(have)):
        found[("covering", size)] = [choose(choosing.covering, have.tobytes(), max(CHOSEN_SIZES), draw)[:size] for draw in range(DRAWS)]
        found[("k-means medoids", size)] = [choose(choosing.medoids, have.tobytes(), size, draw) for draw in range(DRAWS)]
        found[("D-optimal", size)] = [surest_first[:size]]
        found[("disagreement", size)] = [have[choosing.disagreement(others_QL, size, llm)]]
    return found


def leave_one_out(world: World, wanted: tuple[str, ...]) -> dict[str, Any]:
    """Every LLM left out and joined again: cells by rule and size, by term, and by whole retraining; CPU seconds of both."""
    choose = chooser(world.queries["train"])
    everyone = list(range(len(world.roster)))
    full, _ = whole(world, everyone)
    cells: dict[Any, list[Cell]] = {}
    seconds: dict[str, list[float]] = {"a row": [], "the whole head": []}
    for llm in track(everyone, description="leaving out"):
        others = [other for other in everyone if other != llm]
        base, cpu_s = whole(world, others)
        known = world.known(base, others)
        seconds["the whole head"].append(cpu_s)
        if "rules" in wanted:
            asked = rules(world, llm, known, choose)
            for (rule, size), draws in asked.items():
                key: tuple[str, str | int] = (rule, size) if size in SIZES else (rule, "all")
                began = time.process_time()
                by_row(known, world, llm, draws[0])
                seconds["a row"].append(time.process_time() - began)
                cells.setdefault(key, []).append(joins(world, llm, known, [(known, places, None) for places in draws], ("test",)))
            told = (f"best of {TOLD_DRAWS} draws, told", FEW)
            cells.setdefault(told, []).append(joins(world, llm, known, [(known, told_best(world, llm, known), None)], ("test",)))
            few, _ = whole(world, [*others, llm], {llm: asked[("random", FEW)][0]})
            ways: dict[Any, Any] = {
                ("whole head", "all"): (full, everyone),
                ("whole head", FEW): (few, [*others, llm]),
            }
            for way, (scorer, order) in ways.items():
                after = scores(scorer, world.queries["test"])[:, [order.index(each) for each in [*others, llm]]]
                before = scores(base, world.queries["test"])
                own = world.labels["test"][:, [llm]]
                gained = gain(after, before, world.labels["test"], [*others, llm])
                cell = Cell([gained], [calibration.ece(after[:, [-1]], own)], [log_loss(after[:, [-1]], own)])
                cells.setdefault(way, []).append(cell)
        if "terms" in wanted:
            have = labelled(world, llm)
            draws = [have[choosing.at_random(len(have), FEW, 97 * llm + draw)] for draw in range(DRAWS)]
            for term, spread in TERMS.items():
                cells.setdefault(("term", term), []).append(joins(world, llm, known, [(known, places, spread) for places in draws], HELD))
            blind = [(unlucky(known, places), places, None) for places in draws]
            cells.setdefault(("term", "luck not taken off"), []).append(joins(world, llm, known, blind, HELD))
    together = {
        key: Cell([c.gains[0] for c in found], [c.eces[0] for c in found], [c.losses[0] for c in found]) for key, found in cells.items()
    }
    return {"cells": together, "seconds": seconds}


def told_best(world: World, llm: int, known: Known) -> Places:
    """Of many random draws of FEW labels, the one whose row gains most on the queries of HELD."""
    have = labelled(world, llm)
    draws = [have[choosing.at_random(len(have), FEW, 10_000 * (llm + 1) + draw)] for draw in range(TOLD_DRAWS)]
    gains = [joins(world, llm, known, [(known, places, None)], HELD).total_Q().mean() for places in draws]
    return draws[int(np.argmax(gains))]


def unlucky(known: Known, places: Places) -> Known:
    """`known` as if the others had no label on these queries: nothing is known of the queries' luck."""
    labels_QL = known.labels_QL.copy()
    labels_QL[places] = np.nan
    return Known(known.weights, known.calibration, known.queries_QD, labels_QL)


def share(part: Cell, of: Cell) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """Of the summed gain of `of`, how much `part` has; its intervals over test queries and over LLMs."""
    by_query = np.stack([part.total_Q(), of.total_Q()])
    by_llm = np.array([[g.mean() for g in part.gains], [g.mean() for g in of.gains]])
    return float(by_query[0].mean() / by_query[1].mean()), _ratio_interval(by_query), _ratio_interval(by_llm)


def _ratio_interval(pairs_2N: NDArray[np.float64]) -> tuple[float, float]:
    dice = np.random.default_rng(0)
    draws = [pairs_2N[:, dice.integers(pairs_2N.shape[1], size=pairs_2N.shape[1])].mean(axis=1) for _ in range(RESAMPLES)]
    low, high = np.quantile([top / bottom if bottom > 0 else np.inf for top, bottom in draws], [0.025, 0.975], method="nearest")
    return float(low), float(high)


def rules_table(found: dict[Any, Cell]) -> str:
    """One row a rule and size: summed gain, shares, and how good the row is."""
    complete, retrained = found[("random", "all")], found[("whole head", "all")]
    columns = ("joined by", "labels", "sum of gains", "of the row's with all [queries] [LLMs]", "of whole retraining's", "ECE", "log-loss")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    by_rule = sorted(((key, cell) for key, cell in found.items() if key[0] != "term"), key=lambda pair: str(pair[0][0]))
    for (rule, size), cell in by_rule:
        (of_all, over_queries, over_llms), (of_whole, spread, _) = share(cell, complete), share(cell, retrained)
        cells = (
            rule if rule == "whole head" else f"row, {rule}",
            size,
            metrics.interval(cell.total_Q(), resamples=RESAMPLES),
            f"{of_all:.2f} {_span(over_queries)} {_span(over_llms)}",
            f"{of_whole:.2f} {_span(spread)}",
            f"{np.mean(cell.eces):.3f}",
            f"{np.mean(cell.losses):.4f}",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _span(interval: tuple[float, float]) -> str:
    return f"[{interval[0]:.2f}, {interval[1]:.2f}]"


def terms_table(found: dict[Any, Cell]) -> str:
    """One row a variant of the fit, each against the fit as it is."""
    base = found[("term", "as it is")]
    lines = ["| the row's fit | sum of gains | less than as it is | log-loss | ECE |", "|---" * 5 + "|"]
    for (kind, term), cell in found.items():
        if kind == "term":
            total, lost = (metrics.interval(each, resamples=RESAMPLES) for each in (cell.total_Q(), base.total_Q() - cell.total_Q()))
            shown = "" if cell is base else lost
            lines.append(f"| {term} | {total} | {shown} | {np.mean(cell.losses):.4f} | {np.mean(cell.eces):.3f} |")
    return "\n".join(lines)


def series(world: World, seed: int) -> list[dict[str, Any]]:
    """Trained in a row onto a few LLMs, beside whole retraining with the same few labels and with all, at each size."""
    order = np.random.default_rng(seed).permutation(len(world.roster)).tolist()
    first = max(2, min(5, len(order) // 3))
    base, newcomers = order[:first], order[first : first + SERIES]
    scorer, _ = whole(world, base)
    known = world.known(scorer, base)
    alone = scores(scorer, world.queries["test"])
    open_to = {llm: labelled(world, llm) for llm in newcomers}
    asked = {llm: places[cover(world.queries["train"][places], (), FEW)] for llm, places in open_to.items()}
    drawn = [
        {llm: places[choosing.at_random(len(places), FEW, 97 * llm + draw)] for llm, places in open_to.items()} for draw in range(DRAWS)
    ]
    rows = []
    for count in track(range(len(newcomers) + 1), description="joining in a row"):
        llms = base + newcomers[:count]
        by_rows = by_their_rows(known, world, {llm: asked[llm] for llm in newcomers[:count]})
        few, _ = whole(world, llms, {llm: asked[llm] for llm in newcomers[:count]})
        everything, cpu_s = whole(world, llms)
        test_QL = world.labels["test"][:, llms]
        scored = {"rows": by_rows, "whole, same labels": few, "whole, all labels": everything}
        quality = {name: metrics.quality(scores(each, world.queries["test"]), test_QL) for name, each in scored.items()}
        lucky = [by_their_rows(known, world, {llm: draw[llm] for llm in newcomers[:count]}) for draw in drawn]
        random_DQ = [metrics.quality(scores(each, world.queries["test"]), test_QL) for each in lucky]
        quality["rows, random queries"] = np.mean(random_DQ, axis=0)
        best = int(np.nanmean(world.labels["train"][:, llms], axis=0).argmax())
        rows.append(
            {
                "LLMs": len(llms),
                "joined": world.roster[llms[-1]] if count else "",
                **{name: metrics.interval(values_Q, resamples=RESAMPLES) for name, values_Q in quality.items()},
                "whole − rows": metrics.difference(quality["whole, all labels"], quality["rows"], resamples=RESAMPLES),
                "best single (all labels)": float(np.nanmean(test_QL[:, best])),
                "known scores that changed": int((scores(by_rows, world.queries["test"])[:, :first] != alone).sum()),
                "whole: CPU s": cpu_s,
            }
        )
    return rows


def growth(world: World, sizes: list[int], seed: int) -> list[dict[str, Any]]:
    """Training and deciding as the pool grows, past the recorded LLMs with simulated ones."""
    recorded = len(world.roster)
    order = np.random.default_rng(seed).permutation(recorded).tolist()
    scorer, _ = whole(world, list(range(recorded)))
    most = max(0, max(sizes) - recorded)
    labels = dict(world.labels)
    for place, (name, queries_QD) in enumerate(world.queries.items()):
        labels[name] = np.column_stack([labels[name], _simulated(scorer, queries_QD, most, place)])
    larger = World(world.roster + tuple(f"simulated-{n}" for n in range(most)), world.queries, labels, world.plan)
    order += list(range(recorded, recorded + most))
    rows = []
    for size in track(sizes, description="growing"):
        llms = order[:size]
        trained, cpu_s = whole(larger, llms)
        test_QL, scores_QL = labels["test"][:, llms], scores(trained, world.queries["test"])
        known, newcomer = larger.known(trained, llms[:-1]), llms[-1]
        less = _without_last(trained)
        began = time.process_time()
        by_row(Known(*less, known.queries_QD, known.labels_QL), larger, newcomer, labelled(larger, newcomer)[:FEW])
        row_s = time.process_time() - began
        hits = {name: metrics.mean(values_Q) for name, values_Q in comparison.hits(scores_QL, test_QL).items()}
        quality = metrics.interval(metrics.quality(scores_QL, test_QL), resamples=RESAMPLES)
        rows.append(
            {
                "LLMs": f"{size}{'' if size <= recorded else f' ({size - recorded} simulated)'}",
                "training CPU s": cpu_s,
                "a row CPU s": row_s,
                "head of a decision CPU ms": _decision_ms(trained, world.queries["test"]),
                "quality": quality,
                "best single": float(np.nanmean(test_QL[:, int(np.nanmean(labels["train"][:, llms], axis=0).argmax())])),
                "oracle": metrics.mean(np.nanmax(test_QL, axis=1)),
                **{name: hits[name] for name in ("hit1_any", "hit1_split", "hit3_any", "hit3_split")},
            }
        )
    return rows


def _simulated(scorer: Scorer, queries_QD: Floats, count: int, seed: int) -> Labels:
    return simulated.labels(*scorer, queries_QD, count, seed)


def _without_last(scorer: Scorer) -> Scorer:
    """All but the last LLM's row."""
    weights, fitted = scorer
    fewer = Weights(
        weights.roster[:-1],
        weights.centre_D,
        weights.groups_GD,
        weights.prior_GL[:, :-1],
        weights.softness,
        weights.projection_DK,
        weights.llms_LK[:-1],
        weights.temperature_L[:-1],
    )
    return fewer, Calibration(fitted.slope_L[:-1], fitted.intercept_L[:-1])


def _decision_ms(scorer: Scorer, queries_QD: Floats) -> float:
    """CPU milliseconds from one query's embedding to its scores (the encoder is timed by benchmarks.decision_latency)."""
    began = time.process_time()
    for query_D in queries_QD[:500]:
        scores(scorer, query_D[None, :])
    return 1000 * (time.process_time() - began) / min(500, len(queries_QD))


def rows_table(rows: list[dict[str, Any]]) -> str:
    """Rows as Markdown."""
    cells = [[f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    return "\n".join(["| " + " | ".join(line) + " |" for line in [list(rows[0]), ["---"] * len(rows[0]), *cells]])


def main() -> None:
    """Embeds, runs the parts, writes and prints."""
    parser = recorded.arguments(__doc__ or "")
    parser.add_argument("--parts", type=recorded.names, default=("rules", "terms", "series"), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--grow", default="5,10,15,20,27,50,100,200", help="numbers of LLMs, past the recorded ones simulated")
    parser.add_argument("--seed", type=int, default=0, help="of training, of the order of joining and of growing")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/joining"))
    given = parser.parse_args()
    wanted = given.parts
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"--parts has no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    known = recorded.read(recorded.wanted(given))
    parts = {name: known.take(name) for name in outcomes.SHARES}
    world = World(
        known.data.roster,
        {name: part.queries_QD for name, part in parts.items()},
        {name: part.labels_QL for name, part in parts.items()},
        train.plan_of(changed([f"seed={given.seed}"])),
    )
    sizes = ", ".join(f"{len(queries_QD)} {name}" for name, queries_QD in world.queries.items())
    shown = [
        f"`{machine.command(given.folder)}`",
        f"{len(world.roster)} LLMs; queries: {sizes}; {DRAWS} draws at random; seed {given.seed}.",
    ]
    results: dict[str, Any] = {}
    if {"rules", "terms"} & set(wanted):
        found = leave_one_out(world, wanted)
        if "rules" in wanted:
            means = {name: float(np.mean(values)) for name, values in found["seconds"].items()}
            shown += [rules_table(found["cells"]), f"CPU seconds, mean: {', '.join(f'{name} {s:.3f}' for name, s in means.items())}."]
            results["cpu_s"] = means
        if "terms" in wanted:
            shown.append(terms_table(found["cells"]))
        results["left_out"] = {
            " / ".join(map(str, key)): {
                "gain": dict(zip(world.roster, (float(g.mean()) for g in cell.gains), strict=True)),
                "ece": cell.eces,
                "log_loss": cell.losses,
            }
            for key, cell in found["cells"].items()
        }
    for name, rows in (
        ("series", series(world, given.seed) if "series" in wanted else []),
        ("growth", growth(world, [int(n) for n in given.grow.split(",")], given.seed) if "growth" in wanted else []),
    ):
        if rows:
            shown.append(rows_table(rows))
            results[name] = [figures.as_json(row) for row in rows]
    machine.write(given.out, shown, results, ["torch", "numpy"])
    print("\n\n".join(shown))


if __name__ == "__main__":
    main()
