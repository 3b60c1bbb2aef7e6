"""A file of this host: any number of its processes, one writer at a time."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock

from registry.database.door import Connection
from registry.errors import DatabaseFailed

BUSY_S = 10.0


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction that no other writer interleaves: all that is done in it, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class SqliteFile:
    """A connection for each transaction: as many processes as like share the file. lay_out: makes its tables, once for each object.

    Raises DatabaseFailed where `path` cannot hold them.
    """

    def __init__(self, path: Path, lay_out: Callable[[sqlite3.Connection], None]) -> None:
        self.path = path
        # SQLite refuses a second switch to WAL at once instead of waiting: whoever starts beside another on a new file would fail
        with self._failing(), FileLock(_made(path), timeout=BUSY_S):
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # for its owner alone, and so what SQLite puts beside it
            with self._connected() as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                lay_out(connection)

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    @contextmanager
    def transaction(self, *_: str) -> Iterator[Connection]:
        """As `Database` says; the whole file is the lock."""
        with self._failing(), self._connected() as connection, immediate(connection):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """As `Database` says."""
        with self._failing(), self._connected() as connection:
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            yield connection

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            next_step = "Try again where it is locked; else move the file away or free the disk."
            raise DatabaseFailed(f"{self.path}: cannot be used ({exc}).", next_step=next_step) from exc


def _made(path: Path) -> Path:
    """The lock beside `path`, whose folder is there now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.lock")
