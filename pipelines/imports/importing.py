"""Brings a user's queries and recorded answers into data/ (`pipelines.imports.import_command` is the command).

New queries go to data/imported/N.parquet and into data/queries.parquet, answers to
data/recorded/LLM.parquet, scores to data/recorded/LLM.labels.parquet, the queries' own ids and splits to data/recorded/N.ids.parquet and
N.splits.parquet. Everything is checked before anything is written.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from pipelines import query_pool, tables
from pipelines.data_pin import let_push
from pipelines.errors import ImportRefused
from pipelines.imports.checks import Defaults, Scored, Staged, beside, stage_queries
from pipelines.imports.outcomes import stage_answers
from pipelines.project import Project
from pipelines.query_pool import WRITING, merged
from pipelines.user_files.tables import AnswerRow, QueryRow, Table, read_answers, read_queries
from scorer.atomic_write import replacing


@dataclass(frozen=True, slots=True)
class Imported:
    """How many queries, answers and labels an import brought, and which rows were left out of it.

    contradicted: rows of the queries file, with the text of another query and another reference.
    unasked: rows of the answers file that answer those; repeated: with the LLM and query of an earlier row; unanswered: with neither a
    score nor an answer. splits: how many queries came with each; unsplit: how many new ones with none; moved: how many
    stood in several, and stay in the one farthest from training. notes: sentences on how the files were read.
    """

    new_queries: int
    known_queries: int
    answers: int
    labels: int
    llms: Mapping[str, str]
    contradicted: Sequence[int] = ()
    unasked: Sequence[int] = ()
    repeated: Sequence[int] = ()
    unanswered: Sequence[int] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    unsplit: int = 0
    moved: int = 0
    notes: Sequence[str] = ()


def import_files(
    project: Project, queries: Path | None, answers: Path | None, defaults: Defaults, llms: Mapping[str, str] = MappingProxyType({})
) -> Imported:
    """Checks both files, then writes their content into data/; an import of the same name replaces the former one's queries.

    llms: names of LLMs in the pool -> their ids. Raises ImportRefused naming file, row and field; nothing has been written then.
    """
    if queries is None and answers is None:
        raise ImportRefused("Nothing to import.", next_step="Give --queries, --answers or both.")
    defaults.check()
    outcomes = read_answers(answers) if answers is not None else None
    asked = read_queries(queries) if queries is not None else None
    return import_rows(project, asked, outcomes, defaults, llms)


def import_rows(
    project: Project, asked: Table[QueryRow] | None, outcomes: Table[AnswerRow] | None, defaults: Defaults, llms: Mapping[str, str]
) -> Imported:
    """The same for rows that were read already."""
    defaults.check()
    project.build.mkdir(parents=True, exist_ok=True)
    with FileLock(project.import_lock):
        others = query_pool.rows(project)
        if asked is not None:
            others = [row for row in others if row["source"] != defaults.source]
        staged = beside(others, _own_ids(project, defaults.name) if asked is None else {})
        if asked is not None:
            stage_queries(staged, asked, defaults, Scored.by(outcomes.rows if outcomes else []))
        if outcomes is not None:
            stage_answers(staged, outcomes, llms)
        notes = [note for table in (asked, outcomes) if table is not None for note in table.notes]
        return _write(project, staged, others, defaults, notes, replace=asked is not None)


def _own_ids(project: Project, name: str) -> dict[str, str]:
    """What the owner of the import `name` calls its queries -> their ids."""
    path = project.recorded_ids(name)
    rows = pq.read_table(path, schema=tables.OWN_IDS).to_pylist() if path.exists() else []
    return {row["own_id"]: row["query_id"] for row in rows}


def _write(
    project: Project, staged: Staged, others: list[dict[str, Any]], defaults: Defaults, notes: Sequence[str], *, replace: bool
) -> Imported:
    """Writes every file beside its place first, then renames all: a full disk leaves what was there."""
    written: dict[Path, pa.Table] = {}
    if replace:
        written[project.imports / f"{defaults.name}.parquet"] = _table(merged(staged.rows.values()), tables.QUERIES)
    for llm, rows in staged.labels.items():
        target = project.recorded_labels(llm)
        written[target] = _joined(target, rows, tables.LABELS)
    for llm, rows in staged.answers.items():
        target = project.recorded_answers(llm)
        written[target] = _joined(target, rows, tables.ANSWERS)
    if replace:
        own_ids = [{"query_id": query_id, "own_id": own_id} for own_id, query_id in sorted(staged.own_ids.items())]
        splits = [{"query_id": query_id, "split": split} for query_id, split in sorted(staged.splits.items())]
        for path, rows, schema in (
            (project.recorded_ids(defaults.name), own_ids, tables.OWN_IDS),
            (project.recorded_splits(defaults.name), splits, tables.SPLITS),
        ):
            if rows or path.exists():  # of an earlier import of this name
                written[path] = _table(rows, schema)
        written[project.queries] = _table(merged([*others, *staged.rows.values()]), tables.QUERIES)
    _commit(written)
    if packaged := query_pool.of_packages(others):
        query_pool.write_pin(project, packaged)
    let_push(project)
    return Imported(
        new_queries=len(staged.rows),
        known_queries=staged.merged,
        answers=sum(map(len, staged.answers.values())),
        labels=sum(map(len, staged.labels.values())),
        llms=staged.names,
        contradicted=tuple(staged.contradicted),
        unasked=tuple(staged.unasked),
        repeated=tuple(staged.repeated),
        unanswered=tuple(staged.unanswered),
        splits=Counter(staged.splits.values()),
        unsplit=len(staged.rows.keys() - staged.splits.keys()),
        moved=len(staged.moved),
        notes=tuple(notes),
    )


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema)


def _joined(target: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """The recorded rows and `rows`, which win for the same query; sorted, so that order of import leaves no trace."""
    fresh = {row["query_id"] for row in rows}
    before = pq.read_table(target, schema=schema).to_pylist() if target.exists() else []
    return _table(sorted([*(row for row in before if row["query_id"] not in fresh), *rows], key=lambda row: str(row["query_id"])), schema)


def _commit(written: dict[Path, pa.Table]) -> None:
    try:
        with ExitStack() as written_beside:
            for path, table in reversed(written.items()):  # so that they are put in place first to last
                pq.write_table(table, written_beside.enter_context(replacing(path)), **WRITING)
    except OSError as exc:
        raise ImportRefused(
            f"Cannot write {exc.filename or 'the data folder'} ({exc.strerror}).", next_step="Free space and repeat."
        ) from exc
