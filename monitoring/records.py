"""Keeps records: an append returns only when its record would survive `kill -9` and a power cut."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock

from monitoring.errors import RecordNotKept, RecordRefused, RecordsRefused
from monitoring.open_file import OpenFile, make_private
from monitoring.record import AUDIT, COLUMNS, Draw, Outcome, Record, from_row, to_row
from monitoring.record_writer import Noticed, Writer
from monitoring.reference import Reference, redacted

__all__ = ["Noticed", "Outcome", "Record", "RecordStore"]

SCHEMA_VERSION = 5
DRAWS = """
CREATE TABLE IF NOT EXISTS draws (number INTEGER PRIMARY KEY, probability REAL NOT NULL, drawn INTEGER NOT NULL, drawn_at REAL NOT NULL);
"""
AUDITS = """
ALTER TABLE draws ADD COLUMN domain TEXT;
ALTER TABLE draws ADD COLUMN why TEXT;
CREATE TABLE opinions (
    record_id TEXT NOT NULL REFERENCES records (id), grader TEXT NOT NULL, score REAL, cost_usd REAL NOT NULL, given_at REAL NOT NULL,
    PRIMARY KEY (record_id, grader));
CREATE TABLE claims (
    record_id TEXT NOT NULL REFERENCES records (id), who TEXT NOT NULL, claimed_at REAL NOT NULL, skipped INTEGER NOT NULL,
    PRIMARY KEY (record_id, who));
CREATE TABLE named_domains (
    name TEXT PRIMARY KEY, centre BLOB NOT NULL, reach REAL NOT NULL, scorer_version TEXT NOT NULL, members TEXT NOT NULL,
    state TEXT NOT NULL, named_by TEXT, named_at REAL NOT NULL);
"""
SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created_at REAL NOT NULL,
    virtual_model TEXT NOT NULL, scorer_version TEXT NOT NULL,
    roster TEXT NOT NULL, scores TEXT NOT NULL, embedding BLOB NOT NULL, decision TEXT NOT NULL, llm TEXT,
    cost_usd REAL NOT NULL, latency_s REAL NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('ok', 'error')), domain TEXT, text TEXT, asked_by TEXT);
CREATE INDEX IF NOT EXISTS records_created_at ON records (created_at);
CREATE INDEX IF NOT EXISTS records_scored ON records (scorer_version, number) WHERE length(embedding) > 0;
CREATE TABLE IF NOT EXISTS outcomes (
    record_id TEXT PRIMARY KEY REFERENCES records (id), score REAL NOT NULL, source TEXT NOT NULL, reported_at REAL NOT NULL,
    grader TEXT, reference TEXT, choices TEXT, reported_by TEXT);
CREATE TABLE IF NOT EXISTS forgotten (scorer_version TEXT PRIMARY KEY, records INTEGER NOT NULL);
"""
    + DRAWS
    + AUDITS
)
UPGRADES = {  # from each earlier version to the next
    1: "ALTER TABLE outcomes ADD COLUMN grader TEXT; ALTER TABLE outcomes ADD COLUMN reference TEXT;"
    " ALTER TABLE outcomes ADD COLUMN choices TEXT;",
    2: "ALTER TABLE records ADD COLUMN asked_by TEXT; ALTER TABLE outcomes ADD COLUMN reported_by TEXT;"
    " CREATE TABLE forgotten (scorer_version TEXT PRIMARY KEY, records INTEGER NOT NULL);",
    3: DRAWS,
    4: AUDITS,
}
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
BUSY_S = 10.0  # another process may hold the file's write lock for the length of its own commit
MOST_AT_ONCE = 500  # records removed in one transaction: appends wait for it


class RecordStore:
    """The records of this host in one SQLite file (WAL, synchronous=FULL), written by one thread and read from any process.

    Raises RecordsRefused where `path` cannot hold records. `clock` stamps outcomes. noticed: called by the writer's thread, with words.
    """

    def __init__(
        self, path: Path, *, clock: Callable[[], float] = time.time, noticed: Callable[[Noticed, str], None] = lambda *_: None
    ) -> None:
        self.path = path
        self._clock = clock
        self._writer = Writer(self._open, path, noticed)
        try:
            self._open().leave()
        except (OSError, sqlite3.Error) as exc:
            raise RecordsRefused(f"{path}: cannot hold records ({exc}).", next_step="Move the file away or free the disk.") from exc

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

    async def get(self, id: str) -> dict[str, Any] | None:  # noqa: A002
        """Record `id` as JSON-ready values with `scores` by LLM, without embedding and text; None where there is none."""
        records = await asyncio.to_thread(self._select, "WHERE id = ?", (id,))
        return _as_dict(records[0]) if records else None

    def scan(self, since: float, until: float) -> list[Record]:
        """Records with `since <= created_at < until` in order of time, each with its outcome. Blocks: for reports."""
        return self._select("WHERE created_at >= ? AND created_at < ? ORDER BY created_at, records.number", (since, until))

    def count_scored(self, scorer_version: str) -> int:
        """How many records this scorer version made a prediction for, forgotten ones included. Blocks: for reports."""
        kept = int(self._ask(f"SELECT count(*) FROM records WHERE {SCORED}", (scorer_version,))[0][0])  # noqa: S608
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
        insert = """INSERT OR IGNORE INTO draws (number, probability, drawn, drawn_at, domain, why)
            SELECT number, ?, ?, ?, ?, ? FROM records WHERE id = ?"""
        at = self._clock()
        self.change(insert, [(draw.probability, draw.drawn, at, draw.domain, "; ".join(draw.why), draw.record_id) for draw in draws])

    def to_audit(self, most: int) -> list[Record]:
        """Records that were drawn for an audit and have none yet, the newest first. Blocks: for people."""
        where = f"WHERE drawn = 1 AND coalesce(source, '') <> '{AUDIT}' ORDER BY records.number DESC LIMIT ?"
        return self._select(where, (most,))

    def of_ids(self, ids: Sequence[str]) -> list[Record]:
        """Those of these records that are kept, in the order they were appended. Blocks."""
        return self._select("WHERE id IN (SELECT value FROM json_each(?)) ORDER BY records.number", (orjson.dumps(list(ids)).decode(),))

    def ask(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of a SELECT on the tables of this file (`SCHEMA`). Blocks. Raises RecordsRefused."""
        return self._ask(statement, values)

    def change(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Runs `statement` once for each of `rows`, all in one transaction; how many rows changed. Blocks. Raises RecordsRefused."""
        try:
            with closing(self._connect()) as connection:
                connection.execute("BEGIN IMMEDIATE")
                changed = connection.executemany(statement, rows).rowcount
                connection.execute("COMMIT")
                return changed
        except sqlite3.Error as exc:
            raise RecordsRefused(f"{self.path}: cannot be written ({exc}).", next_step="Free the disk or release the file's lock.") from exc

    def now(self) -> float:
        """Seconds since the epoch by the clock that stamps outcomes."""
        return self._clock()

    def forget(self, before: float) -> int:
        """Removes the records that were appended ahead of the first one made at `before` or later; returns how many. Blocks.

        Their space is overwritten. What the monitor counts of a scorer version goes on from where it was. Raises RecordsRefused.
        """
        removed = 0
        try:
            with closing(self._connect()) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                while (some := _forget_some(connection, before)) > 0:
                    removed += some
        except sqlite3.Error as exc:
            raise RecordsRefused(f"{self.path}: cannot be shortened ({exc}).", next_step="Release the file's lock.") from exc
        return removed

    def _forgotten(self, scorer_version: str) -> int:
        found = self._ask("SELECT records FROM forgotten WHERE scorer_version = ?", (scorer_version,))
        return int(found[0][0]) if found else 0

    async def close(self) -> None:
        """Waits until everything accepted is on disk, then refuses more."""
        await self._writer.close()

    @property
    def refusal(self) -> RecordNotKept | None:
        """Why commits fail at present, None where they succeed."""
        return self._writer.refusal

    def _open(self) -> OpenFile:
        """The file at `path`, made where there is none. Raises RecordsRefused, OSError, sqlite3.Error."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite refuses a switch to WAL at once, whatever the timeout, where another process is at the new file.
        with FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=BUSY_S):
            make_private(self.path)
            connection = self._connect()
            try:
                _lay_out(connection, self.path)
                return OpenFile.of(connection, self.path)
            except BaseException:
                connection.close()
                raise

    def _connect(self) -> sqlite3.Connection:
        where = f"{self.path.absolute().as_uri()}?mode=rw"  # a reader must not make an empty file where one was removed
        connection = sqlite3.connect(where, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _select(self, where: str, values: tuple[Any, ...]) -> list[Record]:
        return [from_row(row) for row in self._ask(f"{SELECT} {where}", values)]

    def _ask(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            with closing(self._connect()) as connection:
                return connection.execute(statement, values).fetchall()
        except sqlite3.Error as exc:
            raise RecordsRefused(f"{self.path}: cannot be read ({exc}).", next_step="Restore the file or move it away.") from exc


def _forget_some(connection: sqlite3.Connection, before: float) -> int:
    """Removes the oldest records made before that time, at most MOST_AT_ONCE in one transaction; returns how many."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        (kept_from,) = connection.execute("SELECT min(number) FROM records WHERE created_at >= ?", (before,)).fetchone()
        oldest = "SELECT number FROM records WHERE number < ? ORDER BY number LIMIT ?"
        old = connection.execute(oldest, (2**62 if kept_from is None else kept_from, MOST_AT_ONCE)).fetchall()
        if old:
            until = (old[-1][0],)
            connection.execute(
                """INSERT INTO forgotten SELECT scorer_version, count(*) FROM records WHERE number <= ? AND length(embedding) > 0
                GROUP BY scorer_version ON CONFLICT (scorer_version) DO UPDATE SET records = records + excluded.records""",
                until,
            )
            for table in ("outcomes", "opinions", "claims"):
                connection.execute(f"DELETE FROM {table} WHERE record_id IN (SELECT id FROM records WHERE number <= ?)", until)  # noqa: S608
            connection.execute("DELETE FROM draws WHERE number <= ? AND number < (SELECT max(number) FROM draws)", until)  # it says how far
            connection.execute("DELETE FROM records WHERE number <= ?", until)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return len(old)


def _lay_out(connection: sqlite3.Connection, path: Path) -> None:
    """Makes the tables, or checks that they are of a version we know."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise RecordsRefused(f"{path}: schema version {version}, this platform knows {SCHEMA_VERSION}.", next_step="Upgrade the platform.")
    if version < SCHEMA_VERSION:
        connection.execute("PRAGMA journal_mode = WAL")
        upgrade = "".join(UPGRADES[each] for each in range(version, SCHEMA_VERSION)) if version else SCHEMA
        connection.executescript(f"BEGIN IMMEDIATE; {upgrade} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")


def _as_dict(record: Record) -> dict[str, Any]:
    scalars = {name: getattr(record, name) for name in COLUMNS if name not in {"roster", "scores", "embedding", "text"}}
    return scalars | {
        "scores": dict(zip(record.roster, record.scores, strict=True)),
        "predicted": record.predicted,
        "outcome": None if record.outcome is None else asdict(record.outcome),
    }
