"""Where responses are kept: in a worker's memory, in a file that workers of a host share, or in the database that hosts share."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from monitoring.records.open_file import make_private
from registry.database.door import Connection, Database
from registry.database.shared import shared
from registry.database.sqlite import immediate
from registry.errors import DatabaseFailed
from serving.sessions.kept_responses import Place
from serving.settings import ServingSettings

BUSY_S = 2.0
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS kept_responses (
    key TEXT NOT NULL, id TEXT NOT NULL, previous TEXT, items BLOB NOT NULL, llm TEXT, used REAL NOT NULL, PRIMARY KEY (key, id))""",
    "CREATE INDEX IF NOT EXISTS kept_responses_used ON kept_responses (used)",
    "DROP TABLE IF EXISTS kept",  # of an earlier release; what was in it is an hour old at most
)


def make(settings: ServingSettings) -> Place:
    """As `ROUTEMOA_KEEP_RESPONSES` says. Raises DatabaseFailed."""
    database = shared(settings) if settings.keeps_responses_on_disk else None
    return ResponsesFile(settings.responses_file) if database is None else ResponsesTable(database)


class ResponsesTable:
    """Of all hosts that share `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self, *locks: str) -> AbstractContextManager[Connection]:
        """As `Place` says."""
        return self._database.transaction(*locks)

    def close(self) -> None:
        """The connections are the process's."""


class ResponsesFile:
    """path: None for memory. Opened when first needed."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self, *_: str) -> Iterator[Connection]:
        """As `Place` says; the whole file is the lock."""
        try:
            with self._lock:
                self._connection = connection = self._connection or _open(self._path)
                with immediate(connection):
                    yield connection
        except (sqlite3.Error, OSError) as exc:
            where = "memory" if self._path is None else str(self._path)
            raise DatabaseFailed(f"{where}: cannot be used ({type(exc).__name__}).", next_step="Free the disk or its lock.") from exc

    def close(self) -> None:
        """As `Place` says."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _open(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        make_private(path)
    connection = sqlite3.connect(":memory:" if path is None else path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is not left in the file
    if path is not None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # a crash of the host may forget: the caller is told, and sends all
    for statement in SCHEMA:
        connection.execute(statement)
    return connection
