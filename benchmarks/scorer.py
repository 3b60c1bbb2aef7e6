"""The scorer beside every baseline on recorded outcomes: `python -m benchmarks.scorer FOLDER [--llms a,b] [--group domain] [--keep train]`.

FOLDER holds queries.parquet (query_id, dataset, domain, query; split where it has its own) and outcomes.parquet (query_id, llm,
score), your own or another's. All choices (epoch, neighbours, penalties, ranks, clusters, learning rates) are made on validation
queries; the test queries are read once, at the end. Figures are means over `--seeds` seeds, whose
spread has its own column; intervals are bootstraps over test queries of those means, paired where two systems are compared.
`--leave-out` also trains once without each group and tests on all of it. `--set ridge=30` trains ours with another value of the section
`train` of params.yaml. `--out` gets table.md, results.json and choices.csv.
"""

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import track
from ruamel.yaml import YAML

from benchmarks import machine, outcomes, routerdc
from pipelines import comparison, embeddings, params, train
from pipelines.comparison import OURS
from pipelines.dataset import Dataset
from scorer import calibration, metrics, training

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scorer.baselines import Embed

RESAMPLES = 2000
SINGLE, ORACLE, PUBLISHED = "best single", "oracle", "RouterDC's recipe"
PROBABILITIES = frozenset({OURS, "kNN", "ridge", "matrix factorisation", "cluster lookup", SINGLE})  # rows whose scores claim to be them
HITS = ("hit1_any", "hit1_split", "hit3_any", "hit3_split", "agree3_any", "agree3_split")
UNPRICED = frozenset({"cheapest"})  # recorded outcomes come without prices

Scored = tuple[str, Any, float | None]  # what was chosen, scores_QL of the test queries, CPU seconds of training


@dataclass(frozen=True, slots=True)
class System:
    """One row of the table on the test queries: scores_SQL of each seed, what was chosen for it, CPU seconds of its training."""

    name: str
    detail: str
    scores_SQL: "NDArray[np.floating]"
    cpu_s: float | None = None

    def mean(self, figure: Callable[["NDArray[np.floating]"], Any]) -> "NDArray[np.float64]":
        """`figure` of each seed's scores, averaged over seeds."""
        return np.mean([figure(scores_QL) for scores_QL in self.scores_SQL], axis=0)


def systems(parts: dict[str, Dataset], embed: "Embed", plans: Iterable[training.Plan], *, published: bool = True) -> list[System]:
    """Every system trained with each plan's seed, ours by the plan, scoring the test queries."""
    runs = [_one_seed(parts, embed, plan, published=published) for plan in plans]
    found = []
    for name, (detail, _, cpu_s) in runs[0].items():
        mean_s = None if cpu_s is None else float(np.mean([run[name][2] for run in runs]))
        found.append(System(name, detail, np.stack([run[name][1] for run in runs]), mean_s))
    return found


def _one_seed(parts: dict[str, Dataset], embed: "Embed", plan: training.Plan, *, published: bool) -> dict[str, Scored]:
    test_texts = parts["test"].queries["text"].tolist()
    embedded = {name: embed(part.queries["text"].tolist()) for name, part in parts.items()}
    known = {name: training.Embedded(embedded[name], part.labels_QL) for name, part in parts.items()}
    trained = training.train(parts["train"].roster, known["train"], known["validation"], plan)
    fitted = calibration.fit(trained.weights.logits(embedded["calibration"]), parts["calibration"].labels_QL)
    scores = fitted.probabilities(trained.weights.logits(embedded["test"]))
    found: dict[str, Scored] = {OURS: ("", scores, trained.cpu_s)}
    for rival, detail in comparison.rivals(parts["train"], parts["validation"], parts["test"], embed, neighbours=100, seed=plan.seed):
        if rival.name not in UNPRICED:
            found[rival.name] = (detail, rival.order(test_texts), None)
    if published:
        began = time.process_time()
        scores = routerdc.scores(known["train"], known["validation"], embedded["test"], plan.seed)
        found[PUBLISHED] = ("on the frozen encoder", scores, (time.process_time() - began) / len(routerdc.RATES))
    return found


def figures(system: System, rows: dict[str, System], labels_QL: "NDArray[np.float64]") -> dict[str, Any]:
    """Everything the table shows of one system."""

    def quality(of: System) -> "NDArray[np.float64]":
        return of.mean(lambda scores_QL: metrics.quality(scores_QL, labels_QL))

    def gained(over: System) -> metrics.Interval:
        return metrics.difference(quality(system), quality(over), resamples=RESAMPLES)

    single_Q, oracle_Q = quality(rows[SINGLE]), quality(rows[ORACLE])
    gap = np.nanmean(oracle_Q - single_Q)
    hits = [comparison.hits(scores_QL, labels_QL) for scores_QL in system.scores_SQL]
    found: dict[str, Any] = {
        "quality": metrics.interval(quality(system), resamples=RESAMPLES),
        "over seeds": float(np.std([metrics.mean(metrics.quality(scores_QL, labels_QL)) for scores_QL in system.scores_SQL])),
        "over best single": gained(rows[SINGLE]),
        "ours − this": metrics.difference(quality(rows[OURS]), quality(system), resamples=RESAMPLES),
        "gap closed": float(np.nanmean(quality(system) - single_Q) / gap) if gap > 0 else float("nan"),
        "regret": float(np.nanmean(system.mean(lambda scores_QL: metrics.regret(scores_QL, labels_QL)))),
        **{name: float(np.mean([metrics.mean(seed[name]) for seed in hits])) for name in HITS},
        "training CPU s": system.cpu_s,
    }
    if system.name in PROBABILITIES:
        claimed = replace(system, scores_SQL=np.clip(system.scores_SQL, 0.0, 1.0))
        labelled = np.flatnonzero((~np.isnan(labels_QL)).any(axis=0))
        ece_L = claimed.mean(lambda scores_QL: [calibration.ece(scores_QL[:, llm], labels_QL[:, llm]) for llm in labelled])
        found |= {"ECE": float(ece_L.mean()), "worst ECE": float(ece_L.max())}
        found |= {"Brier": float(claimed.mean(lambda scores_QL: calibration.brier(scores_QL, labels_QL)))}
    return found


def table(found: dict[str, dict[str, Any]], details: dict[str, str]) -> str:
    """The figures as Markdown, one row a system."""
    columns = list(found[OURS])
    lines = [f"| system | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in found.items():
        cells = ["" if row.get(column) is None or (name == OURS and "this" in column) else _cell(row[column]) for column in columns]
        lines.append(f"| {name}{f' ({details[name]})' if details[name] else ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def left_out(data: Dataset, embed: "Embed", plan: training.Plan) -> dict[str, dict[str, metrics.Interval]]:
    """For each group: trained on the others, tested on all of it; ours over the best single LLM of the others, and its quality."""
    groups_Q = data.queries["dataset"].to_numpy(dtype=np.str_)
    found = {}
    for group in track(sorted(set(groups_Q)), description="leaving out"):
        others = data.where(groups_Q != group)
        parts = {name: others.take(name) for name in ("train", "calibration", "validation")} | {"test": data.where(groups_Q == group)}
        rows = {system.name: system for system in systems(parts, embed, [plan], published=False)}
        quality = {name: metrics.quality(system.scores_SQL[0], parts["test"].labels_QL) for name, system in rows.items()}
        found[group] = {name: metrics.interval(values_Q, resamples=RESAMPLES) for name, values_Q in quality.items()}
        found[group]["gain"] = metrics.difference(quality[OURS], quality[SINGLE], resamples=RESAMPLES)
    return found


def left_out_table(found: dict[str, dict[str, metrics.Interval]]) -> str:
    """One row a group, and the mean over groups."""
    columns = (SINGLE, OURS, "gain", "ridge", "kNN", "cluster lookup", ORACLE)
    lines = [f"| left out | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for group, row in found.items():
        lines.append(f"| {group} | {' | '.join(str(row[name]) if name == 'gain' else f'{row[name].mean:.3f}' for name in columns)} |")
    means = [f"{np.mean([row[name].mean for row in found.values()]):.3f}" for name in columns]
    return "\n".join([*lines, f"| mean of groups | {' | '.join(means)} |"])


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
    """The section `train` with the values of some KEY=VALUE. Raises what pydantic says of a key or value that is none."""
    values = YAML(typ="safe").load("\n".join(pair.replace("=", ": ", 1) for pair in pairs) or "{}")
    return params.Train.model_validate({**params.load().train.model_dump(), **values})


def plans(settings: params.Train, seeds: int) -> list[training.Plan]:
    """One plan a seed, from 0."""
    return [train.plan_of(settings.model_copy(update={"seed": seed})) for seed in range(seeds)]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.3f}"
    return str(value)


def _json(value: Any) -> Any:
    """Intervals as lists; None for a figure that is undefined here (Agree@3 of three LLMs)."""
    if isinstance(value, metrics.Interval):
        return [value.mean, value.low, value.high]
    return None if isinstance(value, float) and np.isnan(value) else value


def main() -> None:
    """Embeds once, trains per seed, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--llms", default="", help="comma-separated; all where none is named")
    parser.add_argument("--group", default="dataset", help="column that says which queries belong together")
    parser.add_argument("--keep", help="use only this split of the folder's own, cut anew by hash")
    parser.add_argument("--most", type=int, help="take at most this many queries")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a value of the section `train`")
    parser.add_argument("--leave-out", action="store_true", help="also test on each group without training on it")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/scorer"))
    given = parser.parse_args()
    llms = tuple(name for name in given.llms.split(",") if name)
    data = outcomes.read(outcomes.Recorded(given.folder, llms, given.group, given.keep, given.most))
    texts = data.queries["text"].tolist()
    settings = changed(given.set)
    vectors = dict(zip(texts, embeddings.trained_on(train.load_encoder(settings), texts), strict=True))

    def embed(asked: Iterable[str]) -> Any:
        return np.stack([vectors[text] for text in asked])

    parts = {name: data.take(name) for name in outcomes.SHARES}
    each_seed = plans(settings, given.seeds)
    rows = {system.name: system for system in systems(parts, embed, each_seed)}
    found = {name: figures(system, rows, parts["test"].labels_QL) for name, system in rows.items()}
    details = {name: system.detail for name, system in rows.items()}
    sizes = ", ".join(f"{len(part.queries)} {name}" for name, part in parts.items())
    shown = [f"`{machine.command()}`", f"{len(data.roster)} LLMs; queries: {sizes}; {given.seeds} seeds.", table(found, details)]
    results: dict[str, Any] = {"rows": {name: {key: _json(value) for key, value in row.items()} for name, row in found.items()}}
    given.out.mkdir(parents=True, exist_ok=True)
    write_choices(given.out / "choices.csv", rows.values(), parts["test"])
    _write(given.out, shown, results)
    if given.leave_out:
        apart = left_out(data, embed, each_seed[0])
        shown.append(left_out_table(apart))
        results["left_out"] = {group: {name: _json(value) for name, value in row.items()} for group, row in apart.items()}
        _write(given.out, shown, results)
    print("\n\n".join(shown))


def _write(folder: Path, shown: list[str], results: dict[str, Any]) -> None:
    (folder / "table.md").write_text("\n\n".join(shown) + "\n", encoding="utf-8")
    about = {"command": machine.command(), "machine": machine.facts(["torch", "scikit-learn", "numpy"])}
    (folder / "results.json").write_text(json.dumps(results | about, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
