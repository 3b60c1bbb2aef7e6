"""Takes served queries back into the query pool, deduplicated and redacted: `python -m pipelines.harvest`.

Only records whose text was kept can be taken (the operator turns that on). A query with a reported outcome brings a label for the LLM
that answered it; every other answer to it is graded by the judge, where `label.judge` names one.
"""

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from monitoring.records import Record, RecordStore
from pipelines import queries, tables
from pipelines.graders.kinds import JUDGE
from pipelines.project import Project
from pipelines.redaction import redact
from registry.settings import Settings
from scorer.errors import RouteMoAError

DATASET = "harvested"
GRADER = "outcome"
GRADER_VERSION = "1"
SOURCE = "served traffic"
LICENCE = "not for publication"
EVER = 1e12  # seconds since the epoch, far from now


@dataclass(frozen=True, slots=True)
class Harvested:
    """What a harvest brought: `seen` records, those of them with text, new queries, new labels."""

    seen: int
    with_text: int
    new_queries: int
    new_labels: int

    @property
    def changed(self) -> bool:
        """Whether data/ is another one now."""
        return bool(self.new_queries or self.new_labels)

    def __str__(self) -> str:
        if self.seen and not self.with_text:
            return f"{self.seen} records, none with text: nothing to harvest. Set ROUTEMOA_STORE_TEXT=true for the server to keep texts."
        return f"{self.seen} records, {self.with_text} with text: {self.new_queries} new queries, {self.new_labels} new labels."


def harvest(project: Project) -> Harvested:
    """Adds what is new in the project's records to data/harvested.parquet, data/queries.parquet and data/recorded/LLM.labels.parquet."""
    if not project.records.exists():
        return Harvested(0, 0, 0, 0)
    records = RecordStore(project.records).scan(0, EVER)
    usable = [(_row(record), record) for record in records if record.text and record.status == "ok"]
    new = _keep_queries(project, [row for row, _ in usable])
    ours = {row["query_id"] for row in _read(project.harvested)}  # a query that was in the pool before has its own grader
    labels = _keep_labels(project, [(row["query_id"], record) for row, record in usable if row["query_id"] in ours])
    return Harvested(len(records), len(usable), new, labels)


def _row(record: Record) -> dict[str, Any]:
    """A row of QUERIES; the same text, redacted, is the same query whoever asked it."""
    text = redact(record.text or "").strip()
    return {
        "query_id": f"{DATASET}-{hashlib.sha256(queries.normal(text).encode()).hexdigest()[:12]}",
        "dataset": DATASET,
        "domain": record.domain or "unknown",
        "language": "und",  # undetermined, as BCP 47 says it
        "text": text,
        "choices": [],
        "reference": None,
        "grader": JUDGE,
        "source": SOURCE,
        "licence": LICENCE,
    }


def _keep_queries(project: Project, rows: list[dict[str, Any]]) -> int:
    """Appends the rows whose text is not in the pool yet; returns how many."""
    pool = _read(project.queries)
    texts = {queries.normal(row["text"]) for row in pool}
    new = [row for row in queries.merged(rows) if queries.normal(row["text"]) not in texts]
    if new:
        queries.write(queries.merged([*_read(project.harvested), *new]), project.harvested)
        queries.write(queries.merged([*pool, *new]), project.queries)
    return len(new)


def _keep_labels(project: Project, served: Iterable[tuple[str, Record]]) -> int:
    """Writes the mean outcome of each LLM on each query; returns how many labels are new or changed. `served`: query id and record."""
    scores: dict[str, dict[str, list[float]]] = {}
    for query_id, record in served:
        if record.llm is not None and record.outcome is not None:
            scores.setdefault(record.llm, {}).setdefault(query_id, []).append(record.outcome.score)
    changed = 0
    for llm, by_query in scores.items():
        path = project.recorded_labels(llm)
        kept = {(row["query_id"], row["grader"]): row for row in pq.read_table(path).to_pylist()} if path.exists() else {}
        for query_id, outcomes in by_query.items():
            score = sum(outcomes) / len(outcomes)
            row = {"query_id": query_id, "llm": llm, "score": score, "grader": GRADER, "grader_version": GRADER_VERSION}
            changed += kept.get((query_id, GRADER)) != row
            kept[query_id, GRADER] = row
        tables.write(path, pd.DataFrame([kept[key] for key in sorted(kept)]), tables.LABELS)
    return changed


def _read(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path, schema=tables.QUERIES).to_pylist()) if path.exists() else []


def main() -> None:
    """Harvests this project's records; prints what it brought."""
    try:
        print(harvest(Project(Settings().home)))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
