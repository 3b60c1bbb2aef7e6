"""New LLMs joining a trained scorer by their row: `python -m benchmarks.joining FOLDER [--set benchmarks/sets/NAME.yaml] [--part rules]`.

FOLDER as for benchmarks.scorer. `rules`: each LLM is left out in turn, the others are trained, and it joins by its row with few labels of
training queries, by number of labels and by which are asked first; and by the best of many draws, picked by the new LLM's labels of all
held-out queries, which nobody has who must choose what to ask. `series`: LLMs join in a row, by queries chosen as a deployment does.
Realised quality is that of choosing the best-scored LLM on the test queries; an LLM's gain is what it adds to the pool it joins. Gains of
single LLMs are small and noisy, so the table shows their sum over all LLMs that were left out: what the average join is worth, times their
number, harm included. Intervals: 95 % bootstraps, over test queries (all LLMs' sums resampled together) and over LLMs.
`--out` gets table.md and results.json.
"""

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks import query_rules, recorded_set, report, set_file
from benchmarks.joining_set import Head, JoiningSet, Joins, Places, joins_of, scores
from pipelines import params, train
from pipelines.facility_location import cover
from pipelines.project import Project
from scorer import metrics
from scorer.errors import RouteMoAError
from scorer.row_fit import TrainedScorer
from scorer.types import Floats

SIZES = (25, 50, 100, 200, 400, 1000)  # numbers of labels
CHOSEN_SIZES = (100, 200, 400)  # for the rules that choose
FEW = 200
DRAWS = 5
PICKED_DRAWS = 50  # among which labels of held-out queries pick
HELDOUT = ("validation", "calibration")
SERIES = 10  # LLMs that join in a row
ALL = "all"  # labels

Way = tuple[str, int | str]  # how an LLM joined: the rule, and the number of labels
Choose = Callable[[Callable[[Floats, int, int], Places], bytes, int, int], Places]


def chooser(queries_QD: Floats) -> Choose:
    """(rule, places to choose among, how many, draw) -> places; remembered, since most LLMs have labels on the same queries."""

    @functools.cache
    def choose(rule: Callable[[Floats, int, int], Places], among: bytes, count: int, draw: int) -> Places:
        places = np.frombuffer(among, dtype=np.int64)
        return places[rule(queries_QD[places], count, draw)]

    return choose


def asked_first(recorded: JoiningSet, llm: int, known: TrainedScorer, choose: Choose) -> dict[Way, list[Places]]:
    """The queries asked, by rule and number of labels: several draws where a rule draws."""
    labelled = recorded.labelled(llm)
    embedded_QD, others_QL = known.queries_QD[labelled], known.labels_QL[labelled]
    asked: dict[Way, list[Places]] = {("random", size): _random(labelled, size, llm) for size in SIZES if size < len(labelled)}
    asked[("random", ALL)] = [labelled]
    surest_first = labelled[query_rules.d_optimal(embedded_QD, max(CHOSEN_SIZES))]
    among = labelled.tobytes()
    for size in (size for size in CHOSEN_SIZES if size < len(labelled)):
        asked[("covering", size)] = [choose(query_rules.covering, among, max(CHOSEN_SIZES), draw)[:size] for draw in range(DRAWS)]
        asked[("k-means medoids", size)] = [choose(query_rules.medoids, among, size, draw) for draw in range(DRAWS)]
        asked[("D-optimal", size)] = [surest_first[:size]]
        asked[("disagreement", size)] = [labelled[query_rules.disagreement(others_QL, size, llm)]]
    return asked


def _random(labelled: Places, size: int, llm: int) -> list[Places]:
    return [labelled[query_rules.at_random(len(labelled), size, 97 * llm + draw)] for draw in range(DRAWS)]


def leave_one_out(recorded: JoiningSet) -> tuple[dict[Way, Joins], dict[str, float]]:
    """Every LLM left out and joined again, by each rule and by whole retraining; and mean CPU seconds of both."""
    choose = chooser(recorded.queries["train"])
    everyone = list(range(len(recorded.roster)))
    full, _ = recorded.whole(everyone)
    joins: dict[Way, Joins] = {}
    seconds: dict[str, list[float]] = {"a row": [], "the whole head": []}

    def add(way: Way, more: Joins) -> None:
        joins[way] = joins[way] + more if way in joins else more

    for llm in track(everyone, description="leaving out"):
        others = [other for other in everyone if other != llm]
        base, cpu_s = recorded.whole(others)
        known = recorded.known(base, others)
        seconds["the whole head"].append(cpu_s)
        asked = asked_first(recorded, llm, known, choose)
        for way, draws in asked.items():
            began = time.process_time()
            recorded.by_rows(known, {llm: draws[0]})
            seconds["a row"].append(time.process_time() - began)
            add(way, recorded.joins(llm, known, draws))
        add((f"best of {PICKED_DRAWS} draws, told", FEW), recorded.joins(llm, known, [picked(recorded, llm, known)]))
        few, _ = recorded.whole([*others, llm], {llm: asked[("random", FEW)][0]})
        before = scores(base, recorded.queries["test"])
        for size, head, order in ((ALL, full, everyone), (FEW, few, [*others, llm])):
            after = scores(head, recorded.queries["test"])[:, [order.index(each) for each in [*others, llm]]]
            add(("whole head", size), joins_of(after, before, recorded.labels["test"], [*others, llm]))
    return joins, {name: float(np.mean(values)) for name, values in seconds.items()}


def picked(recorded: JoiningSet, llm: int, known: TrainedScorer) -> Places:
    """Of many random draws of FEW labels, the one whose row gains most on the held-out queries."""
    labelled = recorded.labelled(llm)
    draws = [labelled[query_rules.at_random(len(labelled), FEW, 10_000 * (llm + 1) + draw)] for draw in range(PICKED_DRAWS)]
    gains = [recorded.joins(llm, known, [places], HELDOUT).total_Q().mean() for places in draws]
    return draws[int(np.argmax(gains))]


def share(part: Joins, of: Joins) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """Of the summed gain of `of`, how much `part` has; its intervals over test queries and over LLMs."""
    by_query = np.stack([part.total_Q(), of.total_Q()])
    by_llm = np.array([[gain_Q.mean() for gain_Q in each.gains] for each in (part, of)])
    return float(by_query[0].mean() / by_query[1].mean()), _ratio_interval(by_query), _ratio_interval(by_llm)


def _ratio_interval(pairs_2N: NDArray[np.float64]) -> tuple[float, float]:
    random, count = np.random.default_rng(0), pairs_2N.shape[1]
    draws = [pairs_2N[:, random.integers(count, size=count)].mean(axis=1) for _ in range(report.RESAMPLES)]
    low, high = np.quantile([top / bottom if bottom > 0 else np.inf for top, bottom in draws], [0.025, 0.975], method="nearest")
    return float(low), float(high)


def rules_table(joins: dict[Way, Joins]) -> str:
    """One row a rule and size: summed gain, shares, and how good the row is."""
    complete, retrained = joins[("random", ALL)], joins[("whole head", ALL)]
    rows = []
    for (rule, size), cell in sorted(joins.items(), key=lambda pair: pair[0][0]):
        (of_all, over_queries, over_llms), (of_whole, over_tests, _) = share(cell, complete), share(cell, retrained)
        rows.append(
            [
                rule if rule == "whole head" else f"row, {rule}",
                size,
                report.interval(cell.total_Q()),
                f"{of_all:.2f} {_span(over_queries)} {_span(over_llms)}",
                f"{of_whole:.2f} {_span(over_tests)}",
                float(np.mean(cell.ece)),
                f"{np.mean(cell.log_loss):.4f}",
            ]
        )
    columns = ("joined by", "labels", "sum of gains", "of the row's with all [queries] [LLMs]", "of whole retraining's", "ECE", "log-loss")
    return report.table(columns, rows)


def _span(interval: tuple[float, float]) -> str:
    return f"[{interval[0]:.2f}, {interval[1]:.2f}]"


def series(recorded: JoiningSet, seed: int) -> list[dict[str, Any]]:
    """LLMs join a few in a row, beside whole retraining with the same few labels and with all, at each size of the pool."""
    order = np.random.default_rng(seed).permutation(len(recorded.roster)).tolist()
    first = max(2, min(5, len(order) // 3))
    base, newcomers = order[:first], order[first : first + SERIES]
    head, _ = recorded.whole(base)
    known = recorded.known(head, base)
    chosen, drawn = {}, {}
    for llm in newcomers:
        places = recorded.labelled(llm)
        chosen[llm] = places[cover(recorded.queries["train"][places], (), FEW)]
        drawn[llm] = _random(places, FEW, llm)
    rows = []
    for count in track(range(len(newcomers) + 1), description="joining in a row"):
        joining = newcomers[:count]
        by_rows = recorded.by_rows(known, {llm: chosen[llm] for llm in joining})
        few, _ = recorded.whole(base + joining, {llm: chosen[llm] for llm in joining})
        everything, cpu_s = recorded.whole(base + joining)
        at_random = [recorded.by_rows(known, {llm: drawn[llm][draw] for llm in joining}) for draw in range(DRAWS)]
        heads = {"rows": [by_rows], "whole, same labels": [few], "whole, all labels": [everything], "rows, random queries": at_random}
        changed = scores(by_rows, recorded.queries["test"])[:, :first] != scores(head, recorded.queries["test"])
        rows.append(
            {
                "LLMs": first + count,
                "joined": recorded.roster[joining[-1]] if joining else "",
                **_qualities(recorded, base + joining, heads),
                "known scores that changed": int(changed.sum()),
                "whole: CPU s": cpu_s,
            }
        )
    return rows


def _qualities(recorded: JoiningSet, llms: list[int], heads: dict[str, list[Head]]) -> dict[str, Any]:
    """Quality of choosing among `llms` on the test queries: of each kind of heads (their mean), and of the LLM that is best in training."""
    test_QL = recorded.labels["test"][:, llms]
    quality = {
        name: np.mean([metrics.quality(scores(head, recorded.queries["test"]), test_QL) for head in kind], axis=0)
        for name, kind in heads.items()
    }
    best = int(np.nanmean(recorded.labels["train"][:, llms], axis=0).argmax())
    return {
        **{name: report.interval(values_Q) for name, values_Q in quality.items()},
        "whole − rows": report.difference(quality["whole, all labels"], quality["rows"]),
        "best single (all labels)": float(np.nanmean(test_QL[:, best])),
    }


def rules(recorded: JoiningSet) -> tuple[list[str], dict[str, Any]]:
    """Leave one out: Markdown and results."""
    joins, seconds = leave_one_out(recorded)
    left_out = {
        " / ".join(map(str, way)): {
            "gain": dict(zip(recorded.roster, (float(gain_Q.mean()) for gain_Q in cell.gains), strict=True)),
            "ece": cell.ece,
            "log_loss": cell.log_loss,
        }
        for way, cell in joins.items()
    }
    shown = ", ".join(f"{name} {cpu_s:.3f}" for name, cpu_s in seconds.items())
    return [rules_table(joins), f"CPU seconds, mean: {shown}."], {"cpu_s": seconds, "left_out": left_out}


def main() -> None:
    """Embeds, runs the parts, writes and prints."""
    parser = set_file.parser(__doc__, "joining")
    parser.add_argument("--part", choices=("rules", "series"), help="only this one")
    parser.add_argument("--seed", type=int, default=0, help="of training and of the order of joining")
    arguments = parser.parse_args()
    try:
        data = recorded_set.read(arguments.folder, set_file.named(arguments))
    except RouteMoAError as exc:
        sys.exit(str(exc))
    parts = {name: data.take(name) for name in recorded_set.SHARES}
    vectors = dict(zip(data.queries["query_id"], recorded_set.embedded(data.queries), strict=True))
    recorded = JoiningSet(
        data.roster,
        {name: np.stack([vectors[query_id] for query_id in part.queries["query_id"]]) for name, part in parts.items()},
        {name: part.labels_QL for name, part in parts.items()},
        train.plan_of(params.load(Project(Path()).params).train.model_copy(update={"seed": arguments.seed})),
    )
    sizes = ", ".join(f"{len(queries_QD)} {name}" for name, queries_QD in recorded.queries.items())
    blocks = [
        f"`{report.command(arguments.folder)}`",
        f"{len(recorded.roster)} LLMs; queries: {sizes}; {DRAWS} draws at random; seed {arguments.seed}.",
    ]
    results: dict[str, Any] = {}
    if arguments.part != "series":
        more, results = rules(recorded)
        blocks += more
    if arguments.part != "rules":
        rows = series(recorded, arguments.seed)
        blocks.append(report.table(list(rows[0]), [list(row.values()) for row in rows]))
        results["series"] = [report.as_json(row) for row in rows]
    report.write(arguments.out, blocks, results, ["torch", "numpy"])
    print("\n\n".join(blocks))


if __name__ == "__main__":
    main()
