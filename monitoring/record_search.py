"""Looks records up by what a person remembers of them: the newest first, a page at a time. Blocks: for people."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitoring.errors import RecordsRefused

SHOWN = (
    *("id", "created_at", "virtual_model", "scorer_version", "llm", "cost_usd", "latency_s", "input_tokens", "output_tokens"),
    *("status", "domain", "asked_by", "text"),
)
LONGEST_TEXT = 300  # characters of a query in a list
BUSY_S = 10.0
ESCAPE = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the records of a search have in common; None: anything.

    words: a part of the id, or of the query where texts are kept. judged: whether somebody said how good the answer was.
    before: the `number` of the last record of the page before.
    """

    words: str | None = None
    llm: str | None = None
    model: str | None = None
    status: str | None = None
    domain: str | None = None
    asked_by: str | None = None
    version: str | None = None
    judged: bool | None = None
    before: int | None = None


def search(path: Path, wanted: Wanted, most: int) -> list[dict[str, Any]]:
    """At most `most` records of the file at `path` as JSON-ready rows, without decision and embedding. Raises RecordsRefused."""
    clauses, values = _where(wanted)
    fields = ", ".join(f"records.{name}" for name in SHOWN)
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    query = f"""SELECT number, {fields}, outcomes.score, outcomes.source FROM records LEFT JOIN outcomes ON record_id = id
        {where} ORDER BY number DESC LIMIT ?"""  # noqa: S608  names and clauses are ours
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as connection:
            rows = connection.execute(query, (*values, most)).fetchall()
    except sqlite3.Error as exc:
        raise RecordsRefused(f"{path}: records cannot be read ({exc}).", next_step="Free the file's lock, or try again.") from exc
    names = ("number", *SHOWN, "score", "source")
    found = (dict(zip(names, row, strict=True)) for row in rows)
    return [each | {"text": each["text"] and each["text"][:LONGEST_TEXT]} for each in found]


def _where(wanted: Wanted) -> tuple[list[str], list[Any]]:
    equal = {
        "records.llm": wanted.llm,
        "virtual_model": wanted.model,
        "status": wanted.status,
        "domain": wanted.domain,
        "asked_by": wanted.asked_by,
        "scorer_version": wanted.version,
    }
    clauses, values = [f"{name} = ?" for name, value in equal.items() if value], [value for value in equal.values() if value]
    if wanted.words:
        clauses.append("(records.id LIKE ? ESCAPE '\\' OR records.text LIKE ? ESCAPE '\\')")
        values += [f"%{wanted.words.translate(ESCAPE)}%"] * 2
    if wanted.judged is not None:
        clauses.append(f"outcomes.score IS {'NOT ' if wanted.judged else ''}NULL")
    return (clauses, values) if wanted.before is None else ([*clauses, "number < ?"], [*values, wanted.before])
