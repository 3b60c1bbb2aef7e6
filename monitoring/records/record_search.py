"""Looks records up by what a person remembers of them: the newest first, a page at a time. Blocks: for people."""

from dataclasses import dataclass
from typing import Any

from monitoring.records.store import RecordStore

SHOWN = (
    *("id", "created_at", "virtual_model", "scorer_version", "llm", "cost_usd", "latency_s", "input_tokens", "output_tokens"),
    *("status", "domain", "asked_by", "text"),
)
LONGEST_TEXT = 300  # characters of a query in a list
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


def search(records: RecordStore, wanted: Wanted, most: int) -> list[dict[str, Any]]:
    """At most `most` records as JSON-ready rows, without decision and embedding. Raises RecordsRefused."""
    clauses, values = _where(wanted)
    fields = ", ".join(f"records.{name}" for name in SHOWN)
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    query = f"""SELECT records.number, {fields}, outcomes.score, outcomes.source FROM records LEFT JOIN outcomes ON record_id = id
        {where} ORDER BY records.number DESC LIMIT ?"""  # noqa: S608  names and clauses are ours
    names = ("number", *SHOWN, "score", "source")
    found = (dict(zip(names, row, strict=True)) for row in records.ask(query, (*values, most)))
    return [each | {"text": each["text"] and each["text"][:LONGEST_TEXT]} for each in found]


def _where(wanted: Wanted) -> tuple[list[str], list[Any]]:
    equal = {
        "records.llm": wanted.llm,
        "records.virtual_model": wanted.model,
        "records.status": wanted.status,
        "records.domain": wanted.domain,
        "records.asked_by": wanted.asked_by,
        "records.scorer_version": wanted.version,
    }
    clauses, values = [f"{name} = ?" for name, value in equal.items() if value], [value for value in equal.values() if value]
    if wanted.words:
        clauses.append("(lower(records.id) LIKE ? ESCAPE '\\' OR lower(records.text) LIKE ? ESCAPE '\\')")
        values += [f"%{wanted.words.lower().translate(ESCAPE)}%"] * 2
    if wanted.judged is not None:
        clauses.append(f"outcomes.score IS {'NOT ' if wanted.judged else ''}NULL")
    return (clauses, values) if wanted.before is None else ([*clauses, "records.number < ?"], [*values, wanted.before])
