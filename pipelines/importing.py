"""Brings a user's queries and recorded answers into data/: `routemoa import --queries F --answers F --name N`.

CSV, JSONL or Parquet. Queries need a text; answers need a query (its id in the queries file or the pool, or its text), an LLM, and a score
in [0, 1] or the answer's text. New queries go to data/imported/N.parquet and into data/queries.parquet, answers to
data/recorded/LLM.parquet, scores to data/recorded/LLM.labels.parquet. Everything is checked before anything is written.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from pipelines import recorded_llms, tables
from pipelines.errors import ImportRefused
from pipelines.import_checks import Defaults, Staged, beside, slug, stage_answers, stage_queries
from pipelines.project import Project
from pipelines.queries import WRITING, merged
from pipelines.user_tables import read_answers, read_queries
from registry import pool
from registry.settings import Settings
from scorer.atomic_write import replacing
from scorer.errors import RouteMoAError

SHOWN = 5  # rows named of those left out


@dataclass(frozen=True, slots=True)
class Imported:
    """How many queries, answers and labels an import brought.

    contradicted: rows of the queries file left out, with the text of an earlier row and another reference.
    repeated: rows of the answers file left out, with the LLM and query of an earlier row.
    """

    new_queries: int
    known_queries: int
    answers: int
    labels: int
    llms: Mapping[str, str]
    contradicted: Sequence[int] = ()
    repeated: Sequence[int] = ()


def import_files(project: Project, queries: Path | None, answers: Path | None, defaults: Defaults) -> Imported:
    """Checks both files, then writes their content into data/; an import of the same name replaces the former one's queries.

    Raises ImportRefused naming file, row and field; nothing has been written then.
    """
    if queries is None and answers is None:
        raise ImportRefused("Nothing to import.", next_step="Give --queries, --answers or both.")
    if slug(defaults.name) != defaults.name:
        raise ImportRefused(f"The name {defaults.name!r} is not a slug.", next_step=f"Use {slug(defaults.name) or 'letters and digits'!r}.")
    project.build.mkdir(parents=True, exist_ok=True)
    with FileLock(project.import_lock):
        others = pq.read_table(project.queries, schema=tables.QUERIES).to_pylist() if project.queries.exists() else []
        if queries is not None:
            others = [row for row in others if row["source"] != defaults.source]
        staged = beside(others)
        outcomes = read_answers(answers) if answers is not None else []
        if queries is not None:
            scored = {row.query_id for row in outcomes if row.score is not None}
            stage_queries(staged, queries, read_queries(queries), defaults, scored)
        if answers is not None:
            stage_answers(staged, answers, outcomes)
        return _write(project, staged, others, defaults, replace=queries is not None)


def _write(project: Project, staged: Staged, others: list[dict[str, Any]], defaults: Defaults, *, replace: bool) -> Imported:
    """Writes every file beside its place first, then renames all: a full disk leaves what was there."""
    written: dict[Path, pa.Table] = {}
    if replace:
        written[project.imports / f"{defaults.name}.parquet"] = _table(merged(staged.rows), tables.QUERIES)
    for llm, rows in staged.labels.items():
        target = project.recorded_labels(llm)
        written[target] = _joined(target, rows, tables.LABELS)
    for llm, rows in staged.answers.items():
        target = project.recorded_answers(llm)
        written[target] = _joined(target, rows, tables.ANSWERS)
    if staged.splits:
        pairs = [{"query_id": query_id, "split": split} for query_id, split in sorted(staged.splits.items())]
        written[project.recorded_splits(defaults.name)] = _table(pairs, tables.SPLITS)
    if replace:
        written[project.queries] = _table(merged([*others, *staged.rows]), tables.QUERIES)
    _commit(written)
    return Imported(
        new_queries=len(staged.rows),
        known_queries=staged.merged,
        answers=sum(map(len, staged.answers.values())),
        labels=sum(map(len, staged.labels.values())),
        llms=staged.names,
        contradicted=tuple(staged.contradicted),
        repeated=tuple(staged.repeated),
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


def report(imported: Imported, pool_file: Path) -> str:
    """What was imported and what to do next, for a person."""
    missing = recorded_llms.missing(imported.llms, pool_file)
    outcomes = f"{imported.labels} labels and {imported.answers} answers of {len(imported.llms)} LLMs"
    lines = [f"{imported.new_queries} new queries ({imported.known_queries} had a text already there); {outcomes}."]
    if imported.contradicted:
        lines.append(f"Left out: {_rows(imported.contradicted)} of the queries, with the text of an earlier row and another reference.")
    if imported.repeated:
        lines.append(f"Left out: {_rows(imported.repeated)} of the answers, with an LLM and a query that an earlier row has.")
    if missing:
        lines.append(f"Not in {pool_file.name} yet: {', '.join(sorted(missing))}. Add them with --add-llms (and --prices FILE).")
    called = [llm.id for llm in pool.load(pool_file).active if llm.endpoint]
    if called:
        lines.append(
            f"`dvc repro` asks the LLMs with an endpoint what they have no answer to: {', '.join(called)}. "
            "One that should not be asked: routemoa set-llm ID --status retired."
        )
    return "\n".join([*lines, "Next: routemoa up (MLflow, where versions go), then in another terminal: dvc add data && dvc repro"])


def _rows(numbers: Sequence[int]) -> str:
    """The first few rows by number, and how many more."""
    first, more = ", ".join(map(str, numbers[:SHOWN])), len(numbers) - SHOWN
    return f"row{'s' if len(numbers) > 1 else ''} {first}{f' and {more} more' if more > 0 else ''}"


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line; prints what was imported and what to do next."""
    parser = argparse.ArgumentParser(prog="routemoa import", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=Path, help="CSV, JSONL or Parquet with a text (query, prompt, question) a row")
    parser.add_argument("--answers", type=Path, help="CSV, JSONL or Parquet with a query, an LLM and a score or an answer a row")
    parser.add_argument("--name", required=True, help="a slug for this import; the same name again replaces it")
    parser.add_argument("--grader", help="of queries that have a reference and name no grader")
    parser.add_argument("--domain", help="of queries that name none")
    parser.add_argument("--licence", default="unknown", help="of queries that name none")
    parser.add_argument("--add-llms", action="store_true", help="add the LLMs to the pool as recorded ones: replayed, never called")
    parser.add_argument("--prices", type=Path, help="YAML or JSON: NAME: {input: USD, output: USD}, per million tokens")
    command_line = parser.parse_args(arguments)
    settings = Settings()
    pool_file = settings.pool_file
    defaults = Defaults(command_line.name, command_line.grader, command_line.domain, command_line.licence)
    try:
        prices = recorded_llms.read_prices(command_line.prices) if command_line.prices else {}
        imported = import_files(Project(settings.home), command_line.queries, command_line.answers, defaults)
        if command_line.add_llms:
            print("\n".join(recorded_llms.add(imported.llms, prices, pool_file)))
        print(report(imported, pool_file))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
