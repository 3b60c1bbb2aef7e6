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


def harvest(records_file: Path, data: Path) -> Harvested:
    """Adds what is new to data/harvested.parquet, data/queries.parquet and data/recorded/LLM.labels.parquet."""
    if not records_file.exists():
        return Harvested(0, 0, 0, 0)
    records = RecordStore(records_file).scan(0, EVER)
    told = [(_row(record), record) for record in records if record.text and record.status == "ok"]
    new = _keep_queries(data, [row for row, _ in told])
    ours = {row["query_id"] for row in _read(data / "harvested.parquet")}  # a query that was in the pool before has its own grader
    labels = _keep_labels(data / "recorded", [(row["query_id"], record) for row, record in told if row["query_id"] in ours])
    return Harvested(len(records), len(told), new, labels)


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


def _keep_queries(data: Path, rows: list[dict[str, Any]]) -> int:
    """Appends the rows whose text is not in the pool yet; returns how many."""
    pool = _read(data / "queries.parquet")
    known = {queries.normal(row["text"]) for row in pool}
    new = [row for row in queries.merged(rows) if queries.normal(row["text"]) not in known]
    if new:
        queries.write(queries.merged([*_read(data / "harvested.parquet"), *new]), data / "harvested.parquet")
        queries.write(queries.merged([*pool, *new]), data / "queries.parquet")
    return len(new)


def _keep_labels(folder: Path, told: Iterable[tuple[str, Record]]) -> int:
    """Writes the mean outcome of each LLM on each query; returns how many labels are new or changed."""
    scores: dict[str, dict[str, list[float]]] = {}
    for query_id, record in told:
        if record.llm is not None and record.outcome is not None:
            scores.setdefault(record.llm, {}).setdefault(query_id, []).append(record.outcome.score)
    changed = 0
    for llm, by_query in scores.items():
        path = folder / f"{llm}.labels.parquet"
        kept = {(row["query_id"], row["grader"]): row for row in pq.read_table(path).to_pylist()} if path.exists() else {}
        for query_id, found in by_query.items():
            row = {"query_id": query_id, "llm": llm, "score": sum(found) / len(found), "grader": GRADER, "grader_version": GRADER_VERSION}
            changed += kept.get((query_id, GRADER)) != row
            kept[query_id, GRADER] = row
        tables.write(path, pd.DataFrame([kept[key] for key in sorted(kept)]), tables.LABELS)
    return changed


def _read(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path, schema=tables.QUERIES).to_pylist()) if path.exists() else []


def main() -> None:
    """Harvests this project's records; says what it brought."""
    settings = Settings()
    try:
        print(harvest(settings.var / "records.db", settings.home / "data"))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
