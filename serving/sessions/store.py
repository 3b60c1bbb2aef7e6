"""Where sessions are kept: the door `Sessions`, and behind it one file shared by the workers of a host.

A conversation's next request may reach another worker, so nothing is kept in memory alone. A look-up and a write together take a tenth of
a millisecond of CPU, which is why there is no write-behind (`python -m benchmarks.session_turn` prints it).
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from monitoring.records.open_file import make_private
from serving.errors import SessionsUnavailable
from serving.sessions.kept_session import KeptSession, read

BUSY_S = 0.5  # another worker's transaction takes a tenth of a millisecond
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS sessions (key TEXT PRIMARY KEY, until REAL NOT NULL, kept BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS sessions_until ON sessions (until)",
)


class Sessions(Protocol):
    """Finds and keeps. Several keys may lead to one session: its name, and what its conversation began with."""

    async def find(self, keys: Sequence[str]) -> KeptSession | None:
        """The session of the first of `keys` that is kept. Raises SessionsUnavailable."""

    async def keep(self, keys: Sequence[str], session: KeptSession) -> None:
        """Under each of `keys`, in place of what was there. Raises SessionsUnavailable."""

    async def tend(self) -> None:
        """What has to be done every now and then; never raises."""

    async def close(self) -> None:
        """Nothing is found or kept after it."""


class SqliteSessions:
    """keep_s: after its last request a session is forgotten. most: rows at most; those that would expire first go first.

    clock: epoch seconds.
    """

    def __init__(self, path: Path, *, keep_s: float, most: int, clock: Callable[[], float] = time.time) -> None:
        self._path, self._keep_s, self._most, self._clock = path, keep_s, most, clock
        self._connection: sqlite3.Connection | None = None

    async def find(self, keys: Sequence[str]) -> KeptSession | None:
        """As `Sessions` says."""
        query = f"SELECT key, kept FROM sessions WHERE key IN ({','.join('?' * len(keys))}) AND until > ?"  # noqa: S608  only marks
        with self._open() as connection:
            kept = dict(connection.execute(query, (*keys, self._clock())).fetchall())
        return next((read(kept[key]) for key in keys if key in kept), None)

    async def keep(self, keys: Sequence[str], session: KeptSession) -> None:
        """As `Sessions` says."""
        row = (self._clock() + self._keep_s, session.as_json())
        with self._open() as connection:
            connection.executemany("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)", [(key, *row) for key in keys])
            connection.execute("COMMIT")

    async def tend(self) -> None:
        """Removes what expired and what is too much, and writes the log back, in a thread, for that waits for the disk."""
        with suppress(sqlite3.Error, OSError):
            await asyncio.to_thread(self._tend)

    async def close(self) -> None:
        """As `Sessions` says."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _tend(self) -> None:
        if not self._path.is_file():
            return
        with closing(sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)) as connection:
            connection.execute("DELETE FROM sessions WHERE until <= ?", (self._clock(),))
            (rows,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
            if rows > self._most:
                connection.execute(
                    "DELETE FROM sessions WHERE key IN (SELECT key FROM sessions ORDER BY until LIMIT ?)", (rows - self._most,)
                )
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The connection. A transaction that was begun is rolled back where it fails. Raises SessionsUnavailable."""
        try:
            connection = self._connection = self._connection or self._connected()
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except (sqlite3.Error, OSError) as exc:
            raise SessionsUnavailable(f"{self._path}: sessions cannot be read ({exc}).", next_step="Free the disk or its lock.") from exc

    def _connected(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path.with_name(f".{self._path.name}.lock"), timeout=BUSY_S):
            make_private(self._path)
            connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level="IMMEDIATE")
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")  # no commit waits for the disk; a commit survives kill -9
                connection.execute("PRAGMA wal_autocheckpoint = 0")
                for statement in SCHEMA:
                    connection.execute(statement)
            except BaseException:
                connection.close()
                raise
        return connection
