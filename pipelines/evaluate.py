"""Judges the scorer artifact as it will be served, beside its baselines: `python -m pipelines.evaluate`.

Writes build/evaluation, build/metrics.json and the ten figures of build/headline.json. Baselines are fitted on
training queries and their settings chosen on validation queries; test and out-of-domain queries only report.
"""

import csv
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines import comparison, dataset, embeddings, json_files, params, plots, qualities, scorer_run
from pipelines.comparison import OURS, Row
from pipelines.dataset import Dataset
from pipelines.errors import PipelineError
from pipelines.params import Evaluate
from pipelines.project import Project, stage_settings
from registry import headline
from scorer import metrics, runtime
from scorer.baselines import Baseline, Embed
from scorer.errors import RouteMoAError
from scorer.runtime import Precision, RuntimeScorer
from scorer.types import Floats

AGREEMENT_QUERIES = 200  # fp32 costs twice the time of int8; so many settle a rate to a few points
LEAST_IN_SLICE = 5  # a domain with fewer test queries says nothing


@dataclass(frozen=True, slots=True)
class Judged:
    """One set of queries: its data, our scores, and every row on it."""

    data: Dataset
    scores_QL: Floats
    rows: list[Row]


def run(project: Project) -> dict[str, float]:
    """Writes build/evaluation, build/metrics.json and build/headline.json; returns the figures.

    Raises PipelineError where there is no labelled validation or test query, ArtifactRefused where the scorer is not sound.
    """
    settings = params.load(project.params)
    ours = runtime.load(project.scorer, cache=0)
    full = dataset.load(project.dataset)
    data = full.columns(np.isin(np.array(full.roster), ours.roster))
    if data.roster != ours.roster:
        raise PipelineError(
            f"the scorer's roster is {', '.join(ours.roster)}, the dataset's {', '.join(full.roster)}.", next_step="Run `dvc repro train`."
        )
    embed = embeddings.as_served(project.scorer, ours.manifest, ours.precision, project.embeddings, loaded=ours.encoder)
    to_choose = min(2, len(data.roster))  # labels without which there is no choice to judge
    splits = {"train": data.take("train").labelled()}
    splits |= {name: data.take(name).labelled(to_choose) for name in ("validation", "test", "ood")}
    for name in ("train", "validation", "test"):
        if not len(splits[name].queries):
            raise PipelineError(
                f"no labelled query in the {name} split (to be judged on, two LLMs must be labelled).",
                next_step="Label more answers, or change assemble.shares.",
            )
    labelled = data.labelled()
    rivals = comparison.rivals(
        splits["train"], splits["validation"], labelled, embed, neighbours=settings.evaluate.neighbours, seed=settings.train.seed
    )
    judged = {
        name: judge(splits[name], ours, rivals, embed, settings.evaluate)
        for name in ("validation", "test", "ood")
        if len(splits[name].queries)
    }
    report = {**figures(judged, settings.evaluate), **agreement(project, judged["test"].data, ours)}
    _write(project.evaluation, judged, report, comparison.expected_cost(splits["train"]), settings.evaluate)
    write_decisions(project.evaluation / "decisions.csv", labelled, dataset.own_ids(project.dataset), ours, embed)
    json_files.write(project.metrics, report)
    json_files.write(project.headline, headline.ten(report))
    return report


def judge(data: Dataset, ours: RuntimeScorer, rivals: list[tuple[Baseline, str]], embed: Embed, settings: Evaluate) -> Judged:
    """Every row on the queries of `data`, ours first."""
    texts = data.queries["text"].tolist()
    scores_QL = ours.score_embedded(embed(texts))
    others = [(rival.name, detail, rival.order(texts)) for rival, detail in rivals]
    rows = comparison.rows([(OURS, f"as served, {ours.precision}", scores_QL), *others], data, resamples=settings.bootstrap)
    return Judged(data, scores_QL, rows)


def figures(judged: dict[str, Judged], settings: Evaluate) -> dict[str, float]:
    """Flat names: SPLIT.ROW.FIGURE with .low and .high, gains over each row, calibration, quality per domain."""
    values: dict[str, float] = {}
    for split, one in judged.items():
        values |= comparison.flat(split, one.rows)
        values |= {f"{split}.{OURS}.ece": metrics.calibration_error(one.scores_QL, one.data.labels_QL)}
        values |= {f"{split}.{OURS}.brier": metrics.brier(one.scores_QL, one.data.labels_QL)}
        values |= {f"{split}.queries": float(len(one.data.queries))}
        for name, gain in comparison.gains(one.rows, resamples=settings.bootstrap).items():
            over = f"{split}.gain_over_{name.replace(' ', '_')}"
            values |= {over: gain.mean, f"{over}.low": gain.low, f"{over}.high": gain.high}
    for domain, quality in domains(judged, settings).items():
        for name in (OURS, "best single", "oracle"):
            key = f"domain.{domain}.{name.replace(' ', '_')}"
            values |= {key: quality[name].mean, f"{key}.low": quality[name].low, f"{key}.high": quality[name].high}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def domains(judged: dict[str, Judged], settings: Evaluate) -> dict[str, dict[str, metrics.Interval]]:
    """Quality of every row per domain of the test and out-of-domain queries."""
    qualities = {}
    for split in ("test", "ood"):
        if split not in judged:
            continue
        one = judged[split]
        of_query = one.data.queries["domain"].to_numpy(dtype=np.str_)
        for domain in sorted(set(of_query)):
            inside_Q = of_query == domain
            if inside_Q.sum() >= LEAST_IN_SLICE:
                label = f"{domain} (ood)" if split == "ood" else str(domain)
                found = comparison.intervals([row.quality_Q[inside_Q] for row in one.rows], resamples=settings.bootstrap)
                qualities[label] = {row.name: interval for row, interval in zip(one.rows, found, strict=True)}
    return qualities


def agreement(project: Project, test: Dataset, ours: RuntimeScorer) -> dict[str, float]:
    """int8 against fp32 on this machine: share of queries with the same best LLM, and the largest difference in any score."""
    texts = test.queries["text"].tolist()[:AGREEMENT_QUERIES]

    def scores_QL(precision: Precision) -> Floats:
        loaded = ours.encoder if precision == ours.precision else None
        embed = embeddings.as_served(project.scorer, ours.manifest, precision, project.embeddings, loaded=loaded)
        return ours.score_embedded(embed(texts))

    full_QL, int8_QL = scores_QL("fp32"), scores_QL("int8")
    same = full_QL.argmax(axis=1) == int8_QL.argmax(axis=1)
    return {"int8.same_choice": float(same.mean()), "int8.largest_difference": float(np.abs(full_QL - int8_QL).max())}


def write_decisions(path: Path, data: Dataset, own_ids: Mapping[str, list[str]], ours: RuntimeScorer, embed: Embed) -> None:
    """decisions.csv: the best-scored LLM of every query of `data`, whichever LLMs are labelled for it.

    own_ids: what their owners call imported queries; a query that was imported under two ids has a line for each.
    """
    scores_QL = ours.score_embedded(embed(data.queries["text"].tolist()))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query_id", "own_id", "split", "llm", "score"])
        for query_id, split, scores_L in zip(data.queries["query_id"], data.splits_Q, scores_QL, strict=True):
            best = int(scores_L.argmax())
            for own_id in own_ids.get(query_id, [""]):
                writer.writerow([query_id, own_id, split, ours.roster[best], f"{scores_L[best]:.4f}"])


def _write(folder: Path, judged: dict[str, Judged], report: dict[str, float], cost_L: NDArray[np.float64], settings: Evaluate) -> None:
    """Everything of build/evaluation but decisions.csv, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "plots").mkdir(parents=True)
    test = judged["test"]
    per_domain = domains(judged, settings)
    gained = {split: comparison.gains(one.rows, resamples=settings.bootstrap) for split, one in judged.items()}
    parts = [f"## {split}: {len(one.data.queries)} queries\n\n{comparison.table(one.rows, gained[split])}" for split, one in judged.items()]
    notes = "Mean [95 % bootstrap interval]. Choices are among the labelled LLMs, at least two. `any` / `split`: how ties count."
    (folder / "table.md").write_text("\n\n".join([notes, *parts]) + "\n", encoding="utf-8")
    frontier = metrics.frontier(test.scores_QL, test.data.labels_QL, test.data.cost_QL, cost_L)
    reliability = metrics.reliability(test.scores_QL, test.data.labels_QL)
    results: dict[str, Any] = {
        "rows": {split: [_as_json(row) for row in one.rows] for split, one in judged.items()},
        "gains": {split: {name: asdict(gain) for name, gain in one.items()} for split, one in gained.items()},
        "domains": {domain: {name: asdict(value) for name, value in rows.items()} for domain, rows in per_domain.items()},
        "frontier": [asdict(point) for point in frontier],
        "reliability": [asdict(bin_) for bin_ in reliability],
    }
    json_files.write(folder / "results.json", results)
    qualities.write(folder, [qualities.rows_of(split, one.data, one.scores_QL, one.rows) for split, one in judged.items()])
    if all(np.isfinite(point.cost) for point in frontier):
        plots.quality_cost(folder / "plots" / "quality-cost.png", frontier, test.rows)
    plots.calibration(folder / "plots" / "calibration.png", reliability, report[f"test.{OURS}.ece"])
    plots.domains(folder / "plots" / "domains.png", per_domain)


def _as_json(row: Row) -> dict[str, Any]:
    return {"name": row.name, "detail": row.detail, "figures": {name: asdict(value) for name, value in row.figures.items()}}


def main() -> None:
    """Judges and prints the test table."""
    settings = stage_settings()
    project = Project(settings.home)
    try:
        with scorer_run.noting_failure(settings, "evaluate"):
            report = run(project)
    except RouteMoAError as exc:
        sys.exit(str(exc))
    print((project.evaluation / "table.md").read_text(encoding="utf-8"))
    print(f"ECE {report[f'test.{OURS}.ece']:.3f}; int8 chooses as fp32 for {report['int8.same_choice']:.1%} of the queries.")


if __name__ == "__main__":
    main()
