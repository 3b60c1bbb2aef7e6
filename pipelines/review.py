"""What a reviewer finds in a scorer's run beside its headline: the datasets it was made from and judged on, tables to read, its files."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import dataset, json_files, tables
from pipelines.dataset import Dataset
from pipelines.errors import PipelineError
from pipelines.project import Project
from pipelines.query_selection import in_hash_order
from registry.lineage import Lineage
from registry.mlflow_runs import RunContent, RunInput

MOST_ROWS = 400  # of a newcomer's answers: what a person skims
LONGEST_CELL = 2_000  # characters
CONTEXTS = {"train": "training", "validation": "validation", "test": "test"}
COMPARED = ("queries", "choice by", "setting", "quality", "quality, low", "quality, high", "gain of this scorer", "USD per 1,000 queries")
ANSWERED = ("LLM", "domain", "question", "answer", "score", "USD", "seconds", "output tokens", "used for")


def content(project: Project, lineage: Lineage, newcomers: Sequence[str]) -> RunContent:
    """Datasets, tables and files of the run of what lies in build/. `newcomers`: LLMs that the version before does not have.

    Raises TableRefused where build/dataset or an answers table is not what its schema says.
    """
    data = dataset.load(project.dataset) if project.dataset.exists() else None  # a clone that restored a scorer lacks it
    restoring = [
        path for path in (project.home / "registry" / "pool.yaml", project.params, project.lock, project.data_pin) if path.exists()
    ]
    validation = [path for path in (project.validation / "report.html", project.validation / "report.json") if path.exists()]
    return RunContent(
        inputs=[_input(project, data, split, context, lineage) for split, context in CONTEXTS.items()] if data else [],
        files={"project": _there(*restoring), "validation": _there(*validation), "": _there(project.metrics, project.training)},
        tables={**comparison(project), **(answers(project, data, newcomers) if data else {})},
    )


def broken_expectations(project: Project) -> dict[str, int]:
    """How many expectations of the tables were broken, by severity; empty where nothing was validated."""
    try:
        report = json_files.read(project.validation / "report.json", "validate")
    except PipelineError:
        return {}
    return {"warnings": int(report["warnings"]), "failures": int(report["critical"])}


def comparison(project: Project) -> dict[str, dict[str, list[Any]]]:
    """The table `comparison`: every way of choosing that the evaluation compared, on every split; none before an evaluation."""
    path = project.evaluation / "results.json"
    if not path.exists():
        return {}
    results, rows = json_files.read(path, "evaluate"), []
    for split, judged in results["rows"].items():
        for row in judged:
            quality, cost = row["figures"]["quality"], row["figures"].get("cost_usd", {}).get("mean")
            gain = results["gains"][split].get(row["name"], {}).get("mean")
            name = "this scorer" if row["name"] == "ours" else row["name"]
            usd = None if cost is None else 1000 * cost
            rows.append((split, name, row["detail"], quality["mean"], quality["low"], quality["high"], gain, usd))
    return {"comparison": _columns(COMPARED, rows)}


def answers(project: Project, data: Dataset, newcomers: Sequence[str]) -> dict[str, dict[str, list[Any]]]:
    """The table `newcomers_answers`: what they answered, what that was found worth, what it cost and took; at most MOST_ROWS."""
    place = {query_id: at for at, query_id in enumerate(data.queries["query_id"])}
    rows = []
    for llm in newcomers:
        column = data.roster.index(llm)
        told = tables.read_if_there(project.answers(llm), tables.ANSWERS).drop_duplicates("query_id")
        by_query = {row["query_id"]: row for row in told.to_dict("records") if row["query_id"] in place}
        labelled = [query_id for query_id in in_hash_order(by_query) if not np.isnan(data.labels_QL[place[query_id], column])]
        for query_id in labelled[: MOST_ROWS // len(newcomers)]:
            at, answer = place[query_id], by_query[query_id]
            query = data.queries.iloc[at]
            rows.append(
                (
                    *(llm, query["domain"], _cell(query["text"]), _cell(answer["text"]), _number(data.labels_QL[at, column])),
                    *(_number(data.cost_QL[at, column]), _number(data.latency_QL[at, column]), _number(answer["output_tokens"])),
                    str(data.splits_Q[at]),
                )
            )
    return {"newcomers_answers": _columns(ANSWERED, rows)} if rows else {}


def _there(*paths: Path) -> list[Path]:
    return [path for path in paths if path.exists()]


def _columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}


def _input(project: Project, data: Dataset, split: str, context: str, lineage: Lineage) -> RunInput:
    """One split as a dataset of MLflow's, with a digest of its queries and labels."""
    part = data.take(split)
    digest = hashlib.md5("\n".join(part.queries["query_id"]).encode(), usedforsecurity=False)
    digest.update(np.ascontiguousarray(part.labels_QL).tobytes())
    described: Mapping[str, str] = {"text": "string", "domain": "string", "dataset": "string", "language": "string"}
    labels = ~np.isnan(part.labels_QL)
    domains = part.queries["domain"].value_counts().to_dict()
    return RunInput(
        name=f"queries-{split}",
        source=project.name_of(project.dataset),
        digest=digest.hexdigest()[:8],
        context=context,
        columns={**described, **dict.fromkeys(part.roster, "double")},
        profile={
            "num_rows": len(part.queries),
            "num_elements": int(labels.sum()),
            "queries": len(part.queries),
            "labels": int(labels.sum()),
            "queries by domain": {str(name): int(count) for name, count in domains.items()},
        },
        tags={key: value for key, value in lineage.tags().items() if key.endswith("_md5")},
    )


def _cell(text: Any) -> str:
    text = "" if text is None else str(text)
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]} …"


def _number(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
