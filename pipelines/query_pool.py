"""The query pool: what makes a query the one it is, and all queries of a project put together from their parts.

data/queries.parquet holds them all, and DVC ignores it: the texts of packages are not ours to pass on. What DVC tracks and pushes is the
user's (data/imported, data/harvested.parquet, data/recorded) and data/packaged.json, which says what the packaged queries are.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import tables
from pipelines.errors import TableRefused
from pipelines.project import Project
from pipelines.tables import QUERIES
from scorer.atomic_write import replacing

IMPORTED = "import:"  # what the source of imported queries begins with
SERVED = "served traffic"  # the source of harvested ones
BUILD = "Run `python -m pipelines.queries`."

Identity = tuple[str, tuple[str, ...]]
WRITING: dict[str, Any] = {"compression": "zstd", "compression_level": 9, "row_group_size": 1 << 20, "version": "2.6"}


def identity(text: str, choices: Iterable[str] | None = ()) -> Identity:
    """What makes a query the one it is: its text, but for the spaces around it and how line ends and accents are coded, and its options.

    Case and inner spacing count: what `'ab'.upper()` prints is not what `'AB'.upper()` prints.
    """
    coded = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    return coded, tuple(choices) if choices is not None else ()


def normal(text: str) -> str:
    """Text up to case, spacing and Unicode form: how people may write the same text, not what makes two queries one."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def merged(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """`rows` in the order of their ids, the first of equal queries and of equal ids."""
    kept: dict[Identity, dict[str, Any]] = {}
    for row in rows:
        kept.setdefault(identity(row["text"], row["choices"]), row)
    by_id: dict[str, dict[str, Any]] = {}
    for row in kept.values():
        by_id.setdefault(row["query_id"], row)
    return [by_id[query_id] for query_id in sorted(by_id)]


def write(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Writes rows of QUERIES so that the same rows give the same bytes: no time, no pandas version, a fixed compression."""
    table = pa.Table.from_pylist(list(rows), schema=QUERIES)
    with replacing(path) as partial:
        pq.write_table(table, partial, **WRITING)


def imported_and_harvested(project: Project) -> list[dict[str, Any]]:
    """Rows that came from elsewhere: imports in the order of their names, then served traffic."""
    paths = [*sorted(project.imports.glob("*.parquet")), project.harvested]
    return [row for path in paths if path.exists() for row in pq.read_table(path, schema=QUERIES).to_pylist()]


def rows(project: Project) -> list[dict[str, Any]]:
    """Every query of the project; none where there is none yet. Raises TableRefused where the packaged ones are not here."""
    packaged = _packaged(project)
    brought = imported_and_harvested(project)
    return merged([*packaged, *brought]) if brought else packaged


def read(project: Project) -> pd.DataFrame:
    """The query pool as a table. Raises TableRefused where there is none, or its packaged queries are not here."""
    brought = imported_and_harvested(project)
    packaged = _packaged(project)
    if not brought and not project.queries.exists():
        raise TableRefused(
            f"{project.queries}: there is no query pool.", next_step=f"{BUILD} Or bring queries of your own: `routemoa import`."
        )
    if not brought:
        return tables.read(project.queries, QUERIES)
    table: pd.DataFrame = pa.Table.from_pylist(merged([*packaged, *brought]), schema=QUERIES).to_pandas()
    return table


def of_packages(every: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the rows that nobody brought."""
    return [row for row in every if not str(row["source"]).startswith(IMPORTED) and row["source"] != SERVED]


def pin(packaged: Sequence[Mapping[str, Any]]) -> str:
    """The content of data/packaged.json: how many packaged queries the pool has, and a hash of what they say."""
    said = json.dumps(sorted(packaged, key=lambda row: str(row["query_id"])), sort_keys=True, ensure_ascii=False)
    return json.dumps({"queries": len(packaged), "sha256": hashlib.sha256(said.encode()).hexdigest()}, indent=2) + "\n"


def replace(project: Project, every: list[dict[str, Any]]) -> None:
    """Makes `every` the query pool, of which the packaged ones are pinned."""
    write(every, project.queries)
    write_pin(project, of_packages(every))


def write_pin(project: Project, packaged: Sequence[Mapping[str, Any]]) -> None:
    """Says in data/packaged.json which packaged queries the pool has; without any there is no such file."""
    if not packaged:
        project.packaged.unlink(missing_ok=True)
        return
    with replacing(project.packaged) as partial:
        partial.write_text(pin(packaged), encoding="utf-8")


def _packaged(project: Project) -> list[dict[str, Any]]:
    """The packaged queries. Raises TableRefused where data/packaged.json names some that are not here, as in a fresh clone."""
    every = pq.read_table(project.queries, schema=QUERIES).to_pylist() if project.queries.exists() else []
    packaged = of_packages(every)
    if project.packaged.exists() and project.packaged.read_text(encoding="utf-8") != pin(packaged):
        raise TableRefused(
            f"{project.queries}: its packaged queries are not those of {project.packaged.name}; DVC does not pass them on.", next_step=BUILD
        )
    return packaged
