"""Keeps records: an append returns only when its record would survive `kill -9` and a power cut."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from monitoring.errors import RecordNotKept, RecordRefused, RecordsRefused
from monitoring.records import graded_draws
from monitoring.records.record import AUDIT, COLUMNS, Draw, Outcome, Record, from_row, to_row
from monitoring.records.record_file import RecordFile
from monitoring.records.record_place import Notice, Noticed, PlaceFailed, RecordPlace
from monitoring.records.record_tables import RecordTables
from monitoring.records.record_writer import Writer
from monitoring.records.reference import Reference, redacted
from monitoring.records.shadow import INSERT as INSERT_SHADOW
from monitoring.records.shadow import OF_RECORD as SHADOWS_OF_RECORD
from monitoring.records.shadow import SHOWN, Shadow
from monitoring.records.shadow import to_row as to_shadow_row
from registry.database.shared import shared
from registry.errors import DatabaseFailed
from registry.settings import Settings

__all__ = ["Noticed", "Outcome", "Record", "RecordStore"]

INSERT = f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT (id) DO NOTHING"  # noqa: S608
OUTCOME = ("score", "source", "reported_at", "grader", "reference", "choices", "reported_by")
REPORT = f"""INSERT INTO outcomes (record_id, {", ".join(OUTCOME)}) SELECT id, ?, ?, ?, ?, ?, ?, ? FROM records WHERE id = ?
    ON CONFLICT (record_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in OUTCOME)}
    WHERE outcomes.source <> '{AUDIT}' OR excluded.source = '{AUDIT}'"""  # noqa: S608
FIELDS = ", ".join((*(f"records.{name}" for name in COLUMNS), *OUTCOME, "probability"))
SELECT = f"""SELECT {FIELDS} FROM records LEFT JOIN outcomes ON record_id = id
    LEFT JOIN draws ON draws.number = records.number AND drawn = 1"""  # noqa: S608
SCORED = "scorer_version = ? AND length(embedding) > 0"
WITHIN_S = 30.0
MOST_AT_ONCE = 500  # records removed in one transaction: appends wait for it


class RecordStore:
    """The records of a place, written by one thread of each process and read from any.

    where: the place, or the path of an SQLite file. Raises RecordsRefused where it cannot hold records. `clock` stamps outcomes.
    noticed: called by the writer's thread, with words.
    """

    def __init__(self, where: RecordPlace | Path, *, clock: Callable[[], float] = time.time, noticed: Notice = lambda *_: None) -> None:
        self.place: RecordPlace = RecordFile(where) if isinstance(where, Path) else where
        self._clock = clock
        self._writer = Writer(self.place, noticed)
        self.place.require()

    @classmethod
    def of(cls, settings: Settings, *, noticed: Notice = lambda *_: None) -> "RecordStore":
        """Those of this host (`var/records.db`), or of all hosts that share its database. Raises RecordsRefused."""
        try:
            database = shared(settings)
        except DatabaseFailed as exc:
            raise RecordsRefused(f"Records cannot be kept: {exc.what}", next_step=exc.next_step) from exc
        return cls(settings.var / "records.db" if database is None else RecordTables(database), noticed=noticed)

    async def append(self, record: Record, *, within_s: float = WITHIN_S) -> None:
        """Keeps `record`; returns only when it is on disk. A second append of the same id changes nothing.

        Raises RecordNotKept, at the latest after `within_s`: the record may not be acknowledged. While `refusal` says why commits
        fail, nothing should be begun whose record matters.
        """
        await self._writer.write(INSERT, to_row(record), within_s)

    async def report_outcome(
        self,
        id: str,  # noqa: A002
        score: float,
        source: str,
        reference: Reference | None = None,
        reported_by: str | None = None,
    ) -> bool:
        """Keeps the outcome of record `id` (the last report wins, but none over an audit's); False where none is kept.

        Raises RecordRefused for a score outside [0, 1], ReferenceRefused, RecordNotKept where it is not on disk.
        """
        if not 0 <= score <= 1:
            raise RecordRefused(f"Outcome {score!r} of record {id} is outside [0, 1].", next_step="Report a quality from 0 to 1.")
        grading: tuple[str | None, ...] = (None, None, None)
        if reference is not None:
            kept = redacted(reference)
            grading = (kept.grader, kept.text, orjson.dumps(kept.choices).decode())
        return await self._writer.write(REPORT, (float(score), source, self._clock(), *grading, reported_by, id), WITHIN_S)

    async def add_shadow(self, shadow: Shadow) -> bool:
        """Keeps what another version would have decided beside its record; False where there is none. Raises RecordNotKept."""
        return await self._writer.write(INSERT_SHADOW, to_shadow_row(shadow), WITHIN_S)

    async def get(self, id: str) -> dict[str, Any] | None:  # noqa: A002
        """Record `id` as JSON-ready values with `scores` by LLM, without embedding and text; None where there is none."""
        records = await asyncio.to_thread(self._select, "WHERE id = ?", (id,))
        if not records:
            return None
        shadows = await asyncio.to_thread(self.ask, SHADOWS_OF_RECORD, (id,))
        return _as_dict(records[0]) | ({"shadows": [dict(zip(SHOWN, row, strict=True)) for row in shadows]} if shadows else {})

    def scan(self, since: float, until: float) -> list[Record]:
        """Records with `since <= created_at < until` in order of time, each with its outcome. Blocks: for reports."""
        return self._select("WHERE created_at >= ? AND created_at < ? ORDER BY created_at, records.number", (since, until))

    def count_scored(self, scorer_version: str) -> int:
        """How many records this scorer version made a prediction for, forgotten ones included. Blocks: for reports."""
        kept = int(self.ask(f"SELECT count(*) FROM records WHERE {SCORED}", (scorer_version,))[0][0])  # noqa: S608
        return kept + self._forgotten(scorer_version)

    def scored(self, scorer_version: str, first: int, most: int) -> list[Record]:
        """Records `first` .. `first + most - 1` of those that this version scored, in the order they were appended. Blocks: for reports.

        Forgotten ones are counted and left out.
        """
        forgotten = self._forgotten(scorer_version)
        first_left, end = max(first, forgotten), first + most
        where = f"WHERE {SCORED} ORDER BY records.number LIMIT ? OFFSET ?"
        return self._select(where, (scorer_version, max(0, end - first_left), first_left - forgotten))

    def audited(self, scorer_version: str) -> list[Record]:
        """Records of this version that an audit judged, in the order they were appended. Blocks: for reports."""
        return self._select(f"WHERE {SCORED} AND source = '{AUDIT}' ORDER BY records.number", (scorer_version,))

    def undecided(self, most: int) -> list[Record]:
        """The first records that were scored since the last ones that a draw for an audit was decided on. Blocks: for the monitor."""
        where = """WHERE length(embedding) > 0 AND records.number > (SELECT coalesce(max(number), 0) FROM draws)
            ORDER BY records.number LIMIT ?"""
        return self._select(where, (most,))

    def decide_draws(self, draws: list[Draw]) -> None:
        """Keeps whether each record is to be audited, and with which probability it might have been; what is decided stays. Blocks."""
        insert = """INSERT INTO draws (number, probability, drawn, drawn_at, domain, why)
            SELECT number, ?, ?, ?, ?, ? FROM records WHERE id = ? ON CONFLICT DO NOTHING"""
        at = self._clock()
        self.change(insert, [(draw.probability, int(draw.drawn), at, draw.domain, "; ".join(draw.why), draw.record_id) for draw in draws])

    def to_audit(self, most: int) -> list[Record]:
        """Records that were drawn for an audit and have none yet, the newest first. Blocks: for people."""
        where = f"WHERE drawn = 1 AND coalesce(source, '') <> '{AUDIT}' ORDER BY records.number DESC LIMIT ?"
        return self._select(where, (most,))

    def of_ids(self, ids: Sequence[str]) -> list[Record]:
        """Those of these records that are kept, in the order they were appended. Blocks."""
        return [from_row(row) for row in self.ask_of_ids(f"{SELECT} WHERE id IN ({{}}) ORDER BY records.number", ids)]

    def ask_of_ids(self, statement: str, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        """As `ask`, for more ids than one statement takes, MOST_AT_ONCE at a time; `{}` in it is where they go."""
        rows: list[tuple[Any, ...]] = []
        for first in range(0, len(ids), MOST_AT_ONCE):
            some = tuple(ids[first : first + MOST_AT_ONCE])
            rows += self.ask(statement.format(", ".join("?" * len(some))), some)
        return rows

    def ask(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of a SELECT on the tables (`record_file.SCHEMA`), in SQL that both places read. Blocks. Raises RecordsRefused."""
        try:
            with self.place.reading() as connection:
                return connection.execute(statement, values).fetchall()
        except PlaceFailed as exc:
            raise RecordsRefused(f"{self.place.name}: cannot be read ({exc}).", next_step="Restore the file or move it away.") from exc

    def change(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Runs `statement` once for each of `rows`, all in one transaction; how many rows changed. Blocks. Raises RecordsRefused."""
        try:
            with self.place.writing() as connection:
                return sum(connection.execute(statement, row).rowcount for row in rows)
        except PlaceFailed as exc:
            raise RecordsRefused(f"{self.place.name}: cannot be written ({exc}).", next_step=self.place.next_step) from exc

    def now(self) -> float:
        """Seconds since the epoch by the clock that stamps outcomes."""
        return self._clock()

    def forget(self, before: float) -> int:
        """Removes the records that were appended ahead of the first one made at `before` or later; returns how many. Blocks.

        Their space is overwritten. What the monitor counts of a scorer version goes on from where it was, and what audits said of them
        stays in numbers (`monitoring.records.graded_draws`). Raises RecordsRefused.
        """
        removed = 0
        try:
            while (some := self._forget_some(before)) > 0:
                removed += some
        except PlaceFailed as exc:
            raise RecordsRefused(f"{self.place.name}: cannot be shortened ({exc}).", next_step=self.place.next_step) from exc
        return removed

    def _forget_some(self, before: float) -> int:
        """Removes the oldest records made before that time, at most MOST_AT_ONCE in one transaction; returns how many."""
        with self.place.writing() as connection:
            (kept_from,) = connection.execute("SELECT min(number) FROM records WHERE created_at >= ?", (before,)).fetchone()
            oldest = "SELECT number FROM records WHERE number < ? ORDER BY number LIMIT ?"
            old = connection.execute(oldest, (2**62 if kept_from is None else kept_from, MOST_AT_ONCE)).fetchall()
            if old:
                until = (old[-1][0],)
                connection.execute(graded_draws.KEEP, until)
                connection.execute(
                    """INSERT INTO forgotten SELECT scorer_version, count(*) FROM records WHERE number <= ? AND length(embedding) > 0
                    GROUP BY scorer_version ON CONFLICT (scorer_version) DO UPDATE SET records = forgotten.records + excluded.records""",
                    until,
                )
                for table in ("outcomes", "opinions", "claims", "shadows"):
                    connection.execute(f"DELETE FROM {table} WHERE record_id IN (SELECT id FROM records WHERE number <= ?)", until)  # noqa: S608
                # the last draw says how far draws are decided
                connection.execute("DELETE FROM draws WHERE number <= ? AND number < (SELECT max(number) FROM draws)", until)
                connection.execute("DELETE FROM records WHERE number <= ?", until)
                if connection.execute("SELECT 1 FROM records LIMIT 1").fetchone() is None:  # SQLite counts from 1 again
                    connection.execute("DELETE FROM draws")
                    connection.execute("UPDATE ledger_cursors SET number = 0")
        return len(old)

    def _forgotten(self, scorer_version: str) -> int:
        found = self.ask("SELECT records FROM forgotten WHERE scorer_version = ?", (scorer_version,))
        return int(found[0][0]) if found else 0

    async def close(self) -> None:
        """Waits until everything accepted is on disk, then refuses more."""
        await self._writer.close()

    @property
    def refusal(self) -> RecordNotKept | None:
        """Why commits fail at present, None where they succeed."""
        return self._writer.refusal

    def _select(self, where: str, values: tuple[Any, ...]) -> list[Record]:
        return [from_row(row) for row in self.ask(f"{SELECT} {where}", values)]


def _as_dict(record: Record) -> dict[str, Any]:
    scalars = {name: getattr(record, name) for name in COLUMNS if name not in {"roster", "scores", "embedding", "text"}}
    return scalars | {
        "scores": dict(zip(record.roster, record.scores, strict=True)),
        "predicted": record.predicted,
        "outcome": None if record.outcome is None else asdict(record.outcome),
    }
