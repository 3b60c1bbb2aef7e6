"""Judges the scorer artifact as it will be served, beside its baselines: `python -m pipelines.evaluate`.

Writes build/evaluation and build/metrics.json. Baselines are fitted on training queries and their settings
chosen on validation queries; test and out-of-domain queries only report.
"""

import csv
import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines import comparison, dataset, embeddings, params, plots
from pipelines.comparison import OURS, Row
from pipelines.dataset import Dataset
from pipelines.errors import PipelineError
from pipelines.params import Evaluate
from pipelines.train import DATASET, SCORER, columns
from scorer import calibration, metrics, runtime
from scorer.baselines import Baseline, Embed
from scorer.errors import RouteMoAError
from scorer.runtime import Precision, RuntimeScorer
from scorer.types import Floats

EVALUATION = Path("build/evaluation")
METRICS = Path("build/metrics.json")
AGREEMENT_QUERIES = 200  # fp32 costs twice the time of int8; so many settle a rate to a few points
LEAST_IN_SLICE = 5  # a domain with fewer test queries says nothing


@dataclass(frozen=True, slots=True)
class Judged:
    """One set of queries: its data, our scores, and every row on it."""

    data: Dataset
    scores_QL: Floats
    rows: list[Row]


def run(home: Path = Path()) -> dict[str, float]:
    """Writes build/evaluation and build/metrics.json under `home`; returns the figures.

    Raises PipelineError where there is no labelled validation or test query, ArtifactRefused where the scorer is not sound.
    """
    settings = params.load(home / "params.yaml")
    ours = runtime.load(home / SCORER, cache=0)
    full = dataset.load(home / DATASET)
    data = columns(full, np.isin(np.array(full.roster), ours.roster))
    if data.roster != ours.roster:
        raise PipelineError(
            f"the scorer's roster is {', '.join(ours.roster)}, the dataset's {', '.join(full.roster)}.", next_step="Run `dvc repro train`."
        )
    embed = embeddings.as_served(home / SCORER, ours.manifest, ours.precision, home / embeddings.CACHE, loaded=ours.encoder)
    splits = {"train": _labelled(data.take("train"))} | {name: _with_a_choice(data.take(name)) for name in ("validation", "test", "ood")}
    for name in ("train", "validation", "test"):
        if not len(splits[name].queries):
            raise PipelineError(
                f"no labelled query in the {name} split (to be judged on, two LLMs must be labelled).",
                next_step="Label more answers, or change assemble.shares.",
            )
    told = _labelled(data)
    found = comparison.rivals(
        splits["train"], splits["validation"], told, embed, neighbours=settings.evaluate.neighbours, seed=settings.train.seed
    )
    judged = {
        name: judge(splits[name], ours, found, embed, settings.evaluate)
        for name in ("validation", "test", "ood")
        if len(splits[name].queries)
    }
    report = {**figures(judged, settings.evaluate), **agreement(home, judged["test"].data, ours)}
    _write(home, judged, report, comparison.expected_cost(splits["train"]), settings.evaluate)
    write_decisions(home / EVALUATION / "decisions.csv", told, ours, embed)
    return report


def judge(data: Dataset, ours: RuntimeScorer, rivals: list[tuple[Baseline, str]], embed: Embed, settings: Evaluate) -> Judged:
    """Every row on the queries of `data`, ours first."""
    texts = data.queries["text"].tolist()
    scores_QL = ours.score_embedded(embed(texts))
    rows = [comparison.row(OURS, f"as served, {ours.precision}", scores_QL, data, resamples=settings.bootstrap)]
    for rival, detail in rivals:
        rows.append(comparison.row(rival.name, detail, rival.order(texts), data, resamples=settings.bootstrap))
    return Judged(data, scores_QL, rows)


def figures(judged: dict[str, Judged], settings: Evaluate) -> dict[str, float]:
    """Flat names: SPLIT.ROW.FIGURE with .low and .high, gains over each row, calibration, quality per domain."""
    found: dict[str, float] = {}
    for split, one in judged.items():
        found |= comparison.flat(split, one.rows)
        found |= {f"{split}.{OURS}.ece": calibration.ece(one.scores_QL, one.data.labels_QL)}
        found |= {f"{split}.{OURS}.brier": calibration.brier(one.scores_QL, one.data.labels_QL)}
        found |= {f"{split}.queries": float(len(one.data.queries))}
        for name, gain in comparison.gains(one.rows, resamples=settings.bootstrap).items():
            over = f"{split}.gain_over_{name.replace(' ', '_')}"
            found |= {over: gain.mean, f"{over}.low": gain.low, f"{over}.high": gain.high}
    for domain, quality in domains(judged, settings).items():
        for name in (OURS, "best single", "oracle"):
            key = f"domain.{domain}.{name.replace(' ', '_')}"
            found |= {key: quality[name].mean, f"{key}.low": quality[name].low, f"{key}.high": quality[name].high}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def domains(judged: dict[str, Judged], settings: Evaluate) -> dict[str, dict[str, metrics.Interval]]:
    """Quality of every row per domain of the test and out-of-domain queries."""
    found = {}
    for split in ("test", "ood"):
        if split not in judged:
            continue
        one = judged[split]
        of_query = one.data.queries["domain"].to_numpy(dtype=np.str_)
        for domain in sorted(set(of_query)):
            inside_Q = of_query == domain
            if inside_Q.sum() >= LEAST_IN_SLICE:
                label = f"{domain} (ood)" if split == "ood" else str(domain)
                found[label] = {row.name: metrics.interval(row.quality_Q[inside_Q], resamples=settings.bootstrap) for row in one.rows}
    return found


def agreement(home: Path, test: Dataset, ours: RuntimeScorer) -> dict[str, float]:
    """int8 against fp32 on this machine: share of queries with the same best LLM, and the largest difference in any score."""
    texts = test.queries["text"].tolist()[:AGREEMENT_QUERIES]

    def scores_QL(precision: Precision) -> Floats:
        loaded = ours.encoder if precision == ours.precision else None
        embed = embeddings.as_served(home / SCORER, ours.manifest, precision, home / embeddings.CACHE, loaded=loaded)
        return ours.score_embedded(embed(texts))

    full_QL, int8_QL = scores_QL("fp32"), scores_QL("int8")
    same = full_QL.argmax(axis=1) == int8_QL.argmax(axis=1)
    return {"int8.same_choice": float(same.mean()), "int8.largest_difference": float(np.abs(full_QL - int8_QL).max())}


def write_decisions(path: Path, data: Dataset, ours: RuntimeScorer, embed: Embed) -> None:
    """decisions.csv: the best-scored LLM of every query of `data`, whichever LLMs are labelled for it."""
    scores_QL = ours.score_embedded(embed(data.queries["text"].tolist()))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query_id", "split", "llm", "score"])
        for query_id, split, scores_L in zip(data.queries["query_id"], data.splits_Q, scores_QL, strict=True):
            best = int(scores_L.argmax())
            writer.writerow([query_id, split, ours.roster[best], f"{scores_L[best]:.4f}"])


def _write(home: Path, judged: dict[str, Judged], report: dict[str, float], cost_L: NDArray[np.float64], settings: Evaluate) -> None:
    folder = home / EVALUATION
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "plots").mkdir(parents=True)
    test, validation = judged["test"], judged["validation"]
    per_domain = domains(judged, settings)
    gained = {split: comparison.gains(one.rows, resamples=settings.bootstrap) for split, one in judged.items()}
    parts = [f"## {split}: {len(one.data.queries)} queries\n\n{comparison.table(one.rows, gained[split])}" for split, one in judged.items()]
    notes = "Mean [95 % bootstrap interval]. Choices are among the labelled LLMs, at least two. `any` / `split`: how ties count."
    (folder / "table.md").write_text("\n\n".join([notes, *parts]) + "\n", encoding="utf-8")
    frontier = metrics.frontier(test.scores_QL, test.data.labels_QL, test.data.cost_QL, cost_L)
    reliability = calibration.reliability(test.scores_QL, test.data.labels_QL)
    results: dict[str, Any] = {
        "rows": {split: [_as_json(row) for row in one.rows] for split, one in judged.items()},
        "gains": {split: {name: asdict(gain) for name, gain in one.items()} for split, one in gained.items()},
        "domains": {domain: {name: asdict(value) for name, value in rows.items()} for domain, rows in per_domain.items()},
        "frontier": [asdict(point) for point in frontier],
        "reliability": [asdict(bin_) for bin_ in reliability],
    }
    (folder / "results.json").write_text(json.dumps(_finite(results), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if all(np.isfinite(point.cost) for point in frontier):
        plots.quality_cost(folder / "plots" / "quality-cost.png", frontier, test.rows)
    plots.calibration(folder / "plots" / "calibration.png", reliability, report[f"test.{OURS}.ece"])
    plots.domains(folder / "plots" / "domains.png", per_domain)
    np.savez(
        folder / "validation.npz",
        roster=np.array(test.data.roster, dtype=str),
        query_ids=validation.data.queries["query_id"].to_numpy(dtype=np.str_),
        domains=validation.data.queries["domain"].to_numpy(dtype=np.str_),
        scores_QL=validation.scores_QL,
        labels_QL=validation.data.labels_QL,
    )
    (home / METRICS).write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _labelled(data: Dataset) -> Dataset:
    """Only queries with a label to learn from."""
    return data.where(np.any(~np.isnan(data.labels_QL), axis=1))


def _with_a_choice(data: Dataset) -> Dataset:
    """The queries on which there is a choice to judge: two LLMs are labelled (the only one, where the roster has one)."""
    return data.where(np.sum(~np.isnan(data.labels_QL), axis=1) >= min(2, len(data.roster)))


def _as_json(row: Row) -> dict[str, Any]:
    return {"name": row.name, "detail": row.detail, "figures": {name: asdict(value) for name, value in row.figures.items()}}


def _finite(value: Any) -> Any:
    """The same with None for numbers that are not finite: JSON has no word for them."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def main() -> None:
    """Judges and prints the test table."""
    try:
        report = run()
    except RouteMoAError as exc:
        sys.exit(str(exc))
    print((EVALUATION / "table.md").read_text(encoding="utf-8"))
    print(f"ECE {report[f'test.{OURS}.ece']:.3f}; int8 chooses as fp32 for {report['int8.same_choice']:.1%} of the queries.")


if __name__ == "__main__":
    main()
