"""Records in one SQLite file of this host (WAL, synchronous=FULL), written by any of its processes; a file that is moved is followed."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock

from monitoring.errors import RecordsRefused
from monitoring.records.open_file import OpenFile, make_private
from monitoring.records.record_place import Notice, Noticed, PlaceBusy, PlaceFailed, Statement, ValueRefused
from registry.database.door import Connection
from registry.database.sqlite import immediate

SCHEMA_VERSION = 9
DRAWS = """
CREATE TABLE IF NOT EXISTS draws (number INTEGER PRIMARY KEY, probability REAL NOT NULL, drawn INTEGER NOT NULL, drawn_at REAL NOT NULL);
"""
AUDITS = """
ALTER TABLE draws ADD COLUMN domain TEXT;
ALTER TABLE draws ADD COLUMN why TEXT;
CREATE INDEX draws_drawn ON draws (number) WHERE drawn = 1;
CREATE INDEX draws_of_domain ON draws (domain, number);
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
SHADOWS = """
CREATE TABLE shadows (
    record_id TEXT NOT NULL REFERENCES records (id), scorer_version TEXT NOT NULL, served_version TEXT NOT NULL, unit TEXT NOT NULL,
    llm TEXT, promised REAL, cost_usd REAL, served_llm TEXT NOT NULL, served_promised REAL NOT NULL, served_usd REAL NOT NULL,
    same INTEGER NOT NULL, alike INTEGER NOT NULL, scores TEXT NOT NULL, why_not TEXT, scored_at REAL NOT NULL,
    PRIMARY KEY (record_id, scorer_version));
CREATE INDEX shadows_of_versions ON shadows (scorer_version, served_version, scored_at);
"""
LEDGER = """
CREATE TABLE ledger_days (
    day TEXT NOT NULL, asked_by TEXT NOT NULL, domain TEXT NOT NULL,
    requests INTEGER NOT NULL, failed INTEGER NOT NULL, routed INTEGER NOT NULL, explored INTEGER NOT NULL, unpriced INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
    spent_usd REAL NOT NULL, routed_usd REAL NOT NULL, others_usd REAL NOT NULL, failed_usd REAL NOT NULL, rebilled_usd REAL NOT NULL,
    explored_usd REAL NOT NULL, PRIMARY KEY (day, asked_by, domain));
CREATE TABLE ledger_baselines (
    llm TEXT NOT NULL, day TEXT NOT NULL, asked_by TEXT NOT NULL, domain TEXT NOT NULL,
    compared INTEGER NOT NULL, baseline_usd REAL NOT NULL, spent_usd REAL NOT NULL, PRIMARY KEY (llm, day, asked_by, domain));
CREATE TABLE ledger_judges (
    day TEXT NOT NULL, asked_by TEXT NOT NULL, domain TEXT NOT NULL, judged_usd REAL NOT NULL, PRIMARY KEY (day, asked_by, domain));
CREATE TABLE ledger_cursors (name TEXT PRIMARY KEY, number INTEGER NOT NULL);
ALTER TABLE opinions ADD COLUMN unbooked_usd REAL NOT NULL DEFAULT 0;
UPDATE opinions SET unbooked_usd = cost_usd;
CREATE INDEX opinions_unbooked ON opinions (record_id) WHERE unbooked_usd <> 0;
"""
CANARIES = """
CREATE INDEX shadows_of_units ON shadows (served_version, scorer_version, unit, alike, scored_at) WHERE unit <> '';
"""
ANSWERS = """
ALTER TABLE draws ADD COLUMN booked_as TEXT;
CREATE TABLE ledger_answers (
    llm TEXT NOT NULL, day TEXT NOT NULL, asked_by TEXT NOT NULL, domain TEXT NOT NULL,
    known INTEGER NOT NULL, moved INTEGER NOT NULL, forecast REAL NOT NULL, promised REAL NOT NULL,
    PRIMARY KEY (llm, day, asked_by, domain));
CREATE TABLE ledger_audits (
    record_id TEXT PRIMARY KEY, number INTEGER NOT NULL, created_at REAL NOT NULL, asked_by TEXT NOT NULL, domain TEXT NOT NULL,
    llm TEXT NOT NULL, roster TEXT NOT NULL, scores TEXT NOT NULL, forecast REAL, probability REAL NOT NULL, grade REAL, opinion REAL);
CREATE INDEX ledger_audits_created_at ON ledger_audits (created_at);
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
    + SHADOWS
    + LEDGER
    + CANARIES
    + ANSWERS
)
UPGRADES = {  # from each earlier version to the next
    1: "ALTER TABLE outcomes ADD COLUMN grader TEXT; ALTER TABLE outcomes ADD COLUMN reference TEXT;"
    " ALTER TABLE outcomes ADD COLUMN choices TEXT;",
    2: "ALTER TABLE records ADD COLUMN asked_by TEXT; ALTER TABLE outcomes ADD COLUMN reported_by TEXT;"
    " CREATE TABLE forgotten (scorer_version TEXT PRIMARY KEY, records INTEGER NOT NULL);",
    3: DRAWS,
    4: AUDITS,
    5: SHADOWS,
    6: LEDGER,
    7: CANARIES,
    8: ANSWERS,
}
BUSY_S = 10.0  # another process may hold the file's write lock for the length of its own commit
WRITER_BUSY_S = 2.0  # after which the writer says that it waits, and goes on waiting
PROBE_BYTES = 256 * 1024  # what has to fit before it is trusted again: a hundred records
MOVES = 3  # times that a file may be replaced during one commit


class RecordFile:
    """As `RecordPlace` says."""

    next_step = "Free the disk or release the file's lock."

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: OpenFile | None = None

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    def require(self) -> None:
        """As `RecordPlace` says; makes the file where there is none."""
        try:
            self._open().leave()
        except (OSError, sqlite3.Error) as exc:
            raise RecordsRefused(f"{self.path}: cannot hold records ({exc}).", next_step="Move the file away or free the disk.") from exc

    def commit(self, statements: Sequence[Statement], notice: Notice) -> list[bool]:
        """One transaction, one fsync, in the file that is at the path before and after."""
        with _failing():
            for _ in range(MOVES):
                file = self._in_place(notice)
                changed = _committed(file.connection, statements)
                if file.is_in_place():
                    return changed
        raise PlaceFailed("replaced by another file again and again")

    def probe(self, notice: Notice) -> None:
        """Tries whether there is room again."""
        with _failing():
            connection = self._in_place(notice).connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("CREATE TABLE IF NOT EXISTS probe (filling BLOB)")
                connection.execute("INSERT INTO probe VALUES (zeroblob(?))", (PROBE_BYTES,))
                connection.execute("COMMIT")
                connection.execute("DROP TABLE probe")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def leave(self) -> None:
        """Closes the writer's connection."""
        file, self._file = self._file, None
        if file is not None:
            file.leave()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """As `RecordPlace` says."""
        with _failing(), closing(self._connect()) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """As `RecordPlace` says."""
        with _failing(), closing(self._connect()) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            with immediate(connection):
                yield connection

    def _in_place(self, notice: Notice) -> OpenFile:
        """The file that is at the path now."""
        if self._file is not None and not self._file.is_in_place():
            self.leave()
            notice(Noticed.REPLACED, f"{self.path} was moved, removed or replaced; records go on in the file that is there now.")
        if self._file is None:
            self._file = self._open()
            self._file.connection.execute(f"PRAGMA busy_timeout = {int(WRITER_BUSY_S * 1000)}")
        return self._file

    def _open(self) -> OpenFile:
        """The file at the path, made where there is none. Raises RecordsRefused, OSError, sqlite3.Error."""
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


def _committed(connection: sqlite3.Connection, statements: Sequence[Statement]) -> list[bool]:
    """As `commit`. Raises sqlite3.Error for the file's faults, ValueRefused for a value's."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        changed = [connection.execute(statement, values).rowcount > 0 for statement, values in statements]
        connection.execute("COMMIT")
    except (sqlite3.Error, OverflowError, ValueError) as exc:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(exc, sqlite3.OperationalError) or type(exc) is sqlite3.DatabaseError:
            raise
        raise ValueRefused(str(exc)) from exc
    return changed


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as exc:
        busy = exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
        raise (PlaceBusy if busy else PlaceFailed)(str(exc)) from exc
    except (sqlite3.Error, OSError, RecordsRefused) as exc:
        raise PlaceFailed(str(exc)) from exc


def _lay_out(connection: sqlite3.Connection, path: Path) -> None:
    """Makes the tables, or checks that they are of a version we know."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise RecordsRefused(f"{path}: schema version {version}, this platform knows {SCHEMA_VERSION}.", next_step="Upgrade the platform.")
    if version < SCHEMA_VERSION:
        connection.execute("PRAGMA journal_mode = WAL")
        upgrade = "".join(UPGRADES[each] for each in range(version, SCHEMA_VERSION)) if version else SCHEMA
        connection.executescript(f"BEGIN IMMEDIATE; {upgrade} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
