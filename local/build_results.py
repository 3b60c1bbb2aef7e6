"""What the pipeline left in a project, as the demo reads it: the registered version, its figures, its gate, queries to send."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipelines import dataset, json_files
from pipelines.project import Project
from pipelines.query_selection import in_hash_order
from registry import pool as pools


def version(home: Path) -> str:
    """The scorer version that was registered last."""
    return str(json_files.read(Project(home).registered, "register")["version"])


def registered(home: Path) -> str:
    """The version and its quality on the test split beside the best single LLM's, in words."""
    metrics = json_files.read(Project(home).metrics, "evaluate")
    ours, single = metrics["test.ours.quality"], metrics["test.best_single.quality"]
    return f"version {version(home)} registered, test quality {ours:.3f} (best single LLM {single:.3f})"


def beside_best(home: Path) -> str:
    """On the test split, the quality and cost of the scorer's choices beside those of the best single LLM, in words."""
    metrics = json_files.read(Project(home).metrics, "evaluate")
    ours, single = (metrics[f"test.{name}.quality"] for name in ("ours", "best_single"))
    share = metrics.get("test.ours.cost_usd", float("nan")) / metrics.get("test.best_single.cost_usd", float("nan"))
    cost = f" at {share:.0%} of its cost" if share == share else ""  # noqa: PLR0124 - NaN where costs are unknown
    return f"on the test split {ours:.3f} right, always the best single LLM {single:.3f}{cost}"


def gate_passed(home: Path) -> bool:
    """Whether the gate let the registered version through."""
    return bool(json_files.read(Project(home).gate, "gate")["passed"])


def sample(home: Path, count: int, split: str) -> list[dict[str, Any]]:
    """The first `count` queries of a split that no scorer was trained on, in hash order; a query is a row of the QUERIES table."""
    queries = dataset.load(Project(home).dataset).take(split).queries
    rows = {row["query_id"]: {str(name): value for name, value in row.items()} for row in queries.to_dict("records")}
    return [rows[query_id] for query_id in in_hash_order(rows)[:count]]


def query_count(home: Path) -> int:
    """How many queries the pool holds."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(Project(home).queries).num_rows)


def stages_to_pull(home: Path) -> list[str]:
    """The answer stages whose output travels with the checkout and is not here yet; a pull would remove newer answers that are."""
    locked = YAML(typ="safe").load(lock)["stages"] if (lock := home / "dvc.lock").exists() else {}
    ids = [llm.id for llm in pools.load(home / "registry" / "pool.yaml").active if not Project(home).answers(llm.id).exists()]
    return [f"answer@{llm}" for llm in ids if f"answer@{llm}" in locked]
