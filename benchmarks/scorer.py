"""The scorer beside every baseline on recorded outcomes: `python -m benchmarks.scorer FOLDER [--llms a,b] [--group domain] [--keep train]`.

FOLDER holds queries.parquet (query_id, dataset, domain, query; split where it has its own) and outcomes.parquet (query_id, llm, score;
input_tokens, output_tokens, cost where known), your own or another's; or it is build/dataset, the default pool's (`dvc repro
benchmarks/dvc.yaml`). All choices (epoch, neighbours, penalties, ranks, clusters, learning rates, weights of cost) are made on held-out
queries; the test queries are read once, at the end. Figures are means over `--seeds` seeds, whose spread has its own column; intervals are
bootstraps over test queries of those means, paired where two systems are compared.
`--prices` gives costs to outcomes without: tokens as recorded, else characters / 4; answers nobody counted take `--output-tokens`.
`--leave-out` also trains once without each group and tests on all of it. `--set ridge=30` trains ours with another value of the section
`train` of params.yaml. `--out` gets table.md, results.json, choices.csv, curve.svg and curve.vl.json.
"""

import argparse
import csv
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from rich.progress import track
from ruamel.yaml import YAML

from benchmarks import costs, curves, figures, machine, outcomes, precision, recorded, systems, tables
from benchmarks.systems import SINGLE, System
from pipelines import embeddings, params, train
from pipelines.comparison import OURS
from pipelines.dataset import Dataset
from pipelines.errors import ParamsRefused
from registry.validation_errors import explain
from scorer import metrics, training
from scorer.baselines import Embed
from scorer.errors import RouteMoAError

PACKAGES = ("torch", "scikit-learn", "numpy")  # whose versions stand beside the figures


def left_out(data: Dataset, embed: Embed, plan: training.Plan) -> dict[str, dict[str, metrics.Interval]]:
    """For each group: trained on the others, tested on all of it; ours over the best single LLM of the others, and its quality."""
    groups_Q = data.queries["dataset"].to_numpy(dtype=np.str_)
    found = {}
    for group in track(sorted(set(groups_Q)), description="leaving out"):
        parts = systems.split(data.where(groups_Q != group)) | {"test": data.where(groups_Q == group)}
        rows = {system.name: system for system in systems.trained(parts, data, embed, [plan], published=False)}
        quality = {name: metrics.quality(system.scores_SQL[0], parts["test"].labels_QL) for name, system in rows.items()}
        found[group] = {name: metrics.interval(values_Q, resamples=tables.RESAMPLES) for name, values_Q in quality.items()}
        found[group]["gain"] = metrics.difference(quality[OURS], quality[SINGLE], resamples=tables.RESAMPLES)
    return found


def write_choices(path: Path, rows: Iterable[System], test: Dataset) -> None:
    """choices.csv: each system's choice for every test query and seed, so that anyone can score it independently."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["system", "seed", "query_id", "llm", "score"])
        for name, seed, scores_QL in ((row.name, *each) for row in rows for each in enumerate(row.scores_SQL)):
            chosen_Q = metrics.choices(scores_QL, test.labels_QL)
            for query_id, llm, scores_L in zip(test.queries["query_id"], chosen_Q, scores_QL, strict=True):
                if llm >= 0:
                    writer.writerow([name, seed, query_id, test.roster[llm], f"{scores_L[llm]:.4f}"])


def changed(pairs: Iterable[str]) -> params.Train:
    """The section `train` with the values of some KEY=VALUE. Raises ParamsRefused for a key or value that is none."""
    values = YAML(typ="safe").load("\n".join(pair.replace("=", ": ", 1) for pair in pairs) or "{}")
    try:
        return params.Train.model_validate({**params.load().train.model_dump(), **values})
    except ValidationError as exc:
        raise ParamsRefused(
            f"--set {explain(exc, params.Train)}", next_step="Give KEY=VALUE of the section `train` of params.yaml."
        ) from exc


def plans(settings: params.Train, seeds: int) -> list[training.Plan]:
    """One plan a seed, from 0."""
    return [train.plan_of(settings.model_copy(update={"seed": seed})) for seed in range(seeds)]


def run(given: argparse.Namespace) -> str:
    """Embeds once, trains per seed, writes everything to `given.out`; returns what table.md says."""
    settings = changed(given.set)
    data = outcomes.read(recorded.wanted(given))
    texts = data.queries["text"].tolist()
    encoder = train.load_encoder(settings)
    vectors = dict(zip(texts, embeddings.trained_on(encoder, texts), strict=True))

    def embed(some: Iterable[str]) -> Any:
        return np.stack([vectors[text] for text in some])

    parts = systems.split(data)
    test = parts["test"]
    test_texts = test.queries["text"].tolist()
    each_seed = plans(settings, given.seeds)
    rows = {system.name: system for system in systems.trained(parts, data, embed, each_seed)}
    money = costs.priced(parts)
    if money is None:
        rows.pop(systems.CHEAPEST)  # nobody knows which it is
    spent = {name: precision.decision_ms(system, test_texts, embed(test_texts)) for name, system in rows.items()}
    found = {name: tables.figures(system, rows, test.labels_QL, spent[name]) for name, system in rows.items()}
    served, identity = embeddings.as_a_server_has_it(encoder, embeddings.exported(encoder))
    agreed = precision.agreement(rows[OURS], test, embeddings.served(served, identity, test_texts))
    sizes = ", ".join(f"{len(parts[name].queries)} {name}" for name in outcomes.SHARES)
    encoder_ms = precision.encoder_ms(served)
    shown = [
        f"`{machine.command(given.folder)}`",
        f"{len(data.roster)} LLMs; queries: {sizes}; {given.seeds} seeds.",
        tables.table(found, {name: system.detail for name, system in rows.items()}),
        f"`decision ms`: given the embedding; the int8 encoder takes {encoder_ms:.1f} ms of CPU (median, {precision.TOKENS} tokens).",
        f"{agreed}",
    ]
    results: dict[str, Any] = {"rows": figures.as_json(found), "int8": figures.as_json(asdict(agreed)), "encoder_ms": encoder_ms}
    given.out.mkdir(parents=True, exist_ok=True)
    write_choices(given.out / "choices.csv", rows.values(), test)
    if money is None:
        shown.append("Costs unknown: name a price file (`--prices`), and `--output-tokens` where answers were not counted.")
    else:
        paid = costs.compare(rows, parts, money)
        curves.write(given.out, paid, curves.points(test, money.test_QL))
        shown.append(costs.table(paid))
        if money.assumed:
            shown.append(f"{money.assumed:.0%} of the test answers' costs are not recorded and taken at what is expected.")
        results["costs"] = {name: asdict(row) | {"bar": row.bar} for name, row in paid.items()}
    machine.write(given.out, shown, results, PACKAGES)
    if given.leave_out:
        apart = left_out(data, embed, each_seed[0])
        shown.append(tables.left_out_table(apart))
        results["left_out"] = figures.as_json(apart)
        machine.write(given.out, shown, results, PACKAGES)
    return "\n\n".join(shown)


def main() -> None:
    """Reads the command line, runs, prints."""
    parser = recorded.arguments(__doc__ or "", priced=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a value of the section `train`")
    parser.add_argument("--leave-out", action="store_true", help="also test on each group without training on it")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/scorer"))
    try:
        print(run(parser.parse_args()))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
