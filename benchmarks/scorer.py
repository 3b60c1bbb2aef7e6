"""The scorer beside every baseline on recorded outcomes: `python -m benchmarks.scorer FOLDER [--set benchmarks/sets/NAME.yaml]`.

FOLDER: recorded outcomes (docs/results/data.md), your own or another's; or build/dataset, the default pool's.
All choices (epoch, neighbours, penalties, ranks, clusters, learning rates, weights of cost) are made on held-out
queries; the test queries are read once, at the end. Figures are means over `--seeds` seeds, whose spread has its own column; intervals are
bootstraps over test queries of those means, paired where two routers are compared. Costs are shown where they are recorded or the set names
prices. `--leave-out` also trains once without each group and tests on all of it.
`--out` gets table.md, results.json, choices.csv, curve.svg and curve.vl.json.
"""

import argparse
import csv
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from benchmarks import costs, precision, recorded_set, report, scorer_tables, set_file
from benchmarks.rivals import routers
from benchmarks.rivals.routers import SINGLE, Router
from pipelines import embeddings, params, train
from pipelines.comparison import OURS
from pipelines.dataset import Dataset
from pipelines.project import Project
from scorer import metrics, training
from scorer.baselines import Embed
from scorer.encoder import Encoder
from scorer.errors import RouteMoAError

PACKAGES = ("torch", "scikit-learn", "numpy")  # whose versions stand beside the figures


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every router, trained on one set."""

    parts: dict[str, Dataset]
    rows: dict[str, Router]
    embed: Embed
    encoder: Encoder


def trained(data: Dataset, plans: Iterable[training.Plan]) -> Comparison:
    """Embeds once and trains every router by every plan; `cheapest` is no row where no cost is known."""
    project = Project(Path())
    settings = params.load(project.params).train
    encoder = embeddings.load_encoder(settings)
    texts = data.queries["text"].tolist()
    vectors = dict(zip(texts, embeddings.trained_on(encoder, texts, project.embeddings), strict=True))

    def embed(some: Iterable[str]) -> Any:
        return np.stack([vectors[text] for text in some])

    parts = routers.split(data)
    rows = {router.name: router for router in routers.trained(parts, data, embed, plans, wanted=train.wanted(settings))}
    if np.isnan(parts["train"].cost_QL).all():
        rows.pop(routers.CHEAPEST)
    return Comparison(parts, rows, embed, encoder)


def compare(made: Comparison) -> tuple[list[str], dict[str, Any]]:
    """Quality of every router on the test queries, and what int8 changes: Markdown and results."""
    rows, test = made.rows, made.parts["test"]
    texts = test.queries["text"].tolist()
    queries_QD = made.embed(texts)
    figures = {
        name: scorer_tables.figures(router, rows, test.labels_QL, precision.decision_ms(router, texts, queries_QD))
        for name, router in rows.items()
    }
    cache = Project(Path()).embeddings
    served = embeddings.int8_encoder(made.encoder, embeddings.exported(made.encoder, cache))
    agreement = precision.agreement(rows[OURS], test, embeddings.served(served, texts, cache))
    encoder_ms = precision.encoder_ms(served.encoder)
    blocks = [
        scorer_tables.routers_table(figures, {name: router.detail for name, router in rows.items()}),
        f"`decision ms`: given the embedding; the int8 encoder takes {encoder_ms:.1f} ms of CPU (median, {precision.TOKENS} tokens).",
        f"{agreement}",
    ]
    return blocks, {"rows": report.as_json(figures), "int8": report.as_json(asdict(agreement)), "encoder_ms": encoder_ms}


def compare_costs(made: Comparison, out: Path) -> tuple[list[str], dict[str, Any]]:
    """Quality against cost, with its picture in `out`: Markdown and results."""
    money = costs.priced(made.parts)
    if money is None:
        return ["Costs unknown: name a price file in the set, and `output_tokens` where answers were not counted."], {}
    rows = costs.compare(made.rows, made.parts, money)
    scorer_tables.write_curves(out, rows, scorer_tables.alone(made.parts["test"], money.test_QL))
    blocks = [scorer_tables.costs_table(rows)]
    if money.assumed:
        blocks.append(f"{money.assumed:.0%} of the test answers' costs are not recorded and taken at what is expected.")
    return blocks, {"costs": {name: asdict(row) | {"bar": row.bar} for name, row in rows.items()}}


def leave_out(data: Dataset, embed: Embed, plan: training.Plan) -> dict[str, dict[str, metrics.Interval]]:
    """For each group: trained on the others, tested on all of it; ours over the best single LLM of the others, and its quality."""
    groups_Q, wanted = data.queries["dataset"].to_numpy(dtype=np.str_), train.wanted(params.load(Project(Path()).params).train)
    left_out = {}
    for group in track(sorted(set(groups_Q)), description="leaving out"):
        parts = routers.split(data.where(groups_Q != group)) | {"test": data.where(groups_Q == group)}
        rows = routers.trained(parts, data, embed, [plan], published=False, wanted=wanted)
        quality = {router.name: metrics.quality(router.test_SQL[0], parts["test"].labels_QL) for router in rows}
        left_out[group] = {name: report.interval(values_Q) for name, values_Q in quality.items()}
        left_out[group]["gain"] = report.difference(quality[OURS], quality[SINGLE])
    return left_out


def write_choices(path: Path, rows: Mapping[str, Router], test: Dataset) -> None:
    """choices.csv: each router's choice for every test query and seed, so that anyone can score it independently."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["system", "seed", "query_id", "llm", "score"])
        for name, seed, scores_QL in ((name, *each) for name, row in rows.items() for each in enumerate(row.test_SQL)):
            chosen_Q = metrics.choices(scores_QL, test.labels_QL)
            for query_id, llm, scores_L in zip(test.queries["query_id"], chosen_Q, scores_QL, strict=True):
                if llm >= 0:
                    writer.writerow([name, seed, query_id, test.roster[llm], f"{scores_L[llm]:.4f}"])


def plans(settings: params.Train, seeds: int) -> list[training.Plan]:
    """One plan a seed, from 0."""
    return [train.plan_of(settings.model_copy(update={"seed": seed})) for seed in range(seeds)]


def run(arguments: argparse.Namespace) -> str:
    """Trains per seed, writes everything to `--out`; returns what table.md says."""
    data = recorded_set.read(arguments.folder, set_file.named(arguments))
    each_seed = plans(params.load(Project(Path()).params).train, arguments.seeds)
    made = trained(data, each_seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_choices(arguments.out / "choices.csv", made.rows, made.parts["test"])
    sizes = ", ".join(f"{len(made.parts[name].queries)} {name}" for name in recorded_set.SHARES)
    blocks = [f"`{report.command(arguments.folder)}`", f"{len(data.roster)} LLMs; queries: {sizes}; {arguments.seeds} seeds."]
    results: dict[str, Any] = {}
    for more, figures in (compare(made), compare_costs(made, arguments.out)):
        blocks += more
        results |= figures
    report.write(arguments.out, blocks, results, PACKAGES)
    if arguments.leave_out:
        groups = leave_out(data, made.embed, each_seed[0])
        blocks.append(scorer_tables.left_out_table(groups))
        report.write(arguments.out, blocks, results | {"left_out": report.as_json(groups)}, PACKAGES)
    return "\n\n".join(blocks)


def main() -> None:
    """Reads the command line, runs, prints."""
    parser = set_file.parser(__doc__, "scorer")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--leave-out", action="store_true", help="also test on each group without training on it")
    try:
        print(run(parser.parse_args()))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
