"""Builds the query pool, data/queries.parquet, from pinned packages and seeded generators: `python -m pipelines.queries`.

Queries imported by the user (data/imported) and harvested from traffic (data/harvested.parquet) stay in it. data/packaged.json then says
which the others are. `python -m pipelines.queries --check` builds them elsewhere and compares them with what data.dvc pins.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines import data_pin
from pipelines.errors import TableRefused
from pipelines.packages import fetch, package
from pipelines.project import Project
from pipelines.query_pool import imported_and_harvested, merged, normal, pin, replace
from pipelines.sources import code, evals, facts, human_eval, instructions, mathematics, passages, reasoning, sql
from pipelines.sources.row import SourceQuery
from registry.settings import Settings
from scorer.errors import RouteMoAError

LONGEST = 900  # characters; longer prompts cost the small LLMs of the default pool more than they teach


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


def build(project: Project) -> list[dict[str, Any]]:
    """All rows of the project's query pool."""
    return merged([*packaged(), *imported_and_harvested(project)])


def packaged() -> list[dict[str, Any]]:
    """The rows that come from packages and generators."""
    return [query.as_row() for query in collect()]


def check(project: Project) -> str:
    """Builds the packaged queries in a temporary folder and compares; returns their hash. Raises TableRefused where they are others."""
    pinned = data_pin.pinned(project)
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / project.packaged.name
        built.write_text(pin(packaged()), encoding="utf-8")
        others = [path for path in data_pin.tracked(project) if path not in {project.queries, project.packaged}]
        listed = data_pin.folder_md5({built: built.name} | {path: path.relative_to(project.data).as_posix() for path in others})
        if listed != pinned:
            raise TableRefused(
                f"The rebuilt query pool gives {listed}, {project.name_of(project.data_pin)} pins {pinned}.",
                next_step="Install the locked dependencies; if the sources were changed on purpose, run `dvc add data`.",
            )
        return str(json.loads(built.read_text(encoding="utf-8"))["sha256"])


def main(arguments: list[str]) -> None:
    """Builds, or with --check only compares."""
    project = Project(Settings().home)
    try:
        print(f"The rebuilt query pool is the pinned one (sha256 {check(project)})." if "--check" in arguments else _built(project))
    except RouteMoAError as exc:
        sys.exit(str(exc))


def _built(project: Project) -> str:
    rows = build(project)
    replace(project, rows)
    data_pin.let_push(project)
    counts = {column: Counter(row[column] for row in rows) for column in ("domain", "grader")}
    lines = [f"{column}: {', '.join(f'{key} {n}' for key, n in sorted(by_key.items()))}" for column, by_key in counts.items()]
    name = project.name_of(project.queries)
    return "\n".join([*lines, f"{len(rows)} queries in {name} (md5 {data_pin.md5(project.queries)}). Pin them: dvc add data"])


if __name__ == "__main__":
    main(sys.argv[1:])
