"""Moves what a host's own SQLite files hold into the database that it shares from now on; twice is as once, and the files stay."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from registry.database.door import Database
from registry.errors import DatabaseFailed

AT_ONCE = 500  # rows of one transaction


def move(path: Path, table: str, database: Database, *, lock: str, leave: tuple[str, ...] = (), where: str = "1 = 1") -> int:
    """Copies the rows of `table` that the database has not yet, in their order; returns how many.

    leave: columns that the database gives itself. where: which rows. lock: of `Database.transaction`. Raises DatabaseFailed.
    """
    with reading(path) as file:
        names = [row[1] for row in file.execute(f"PRAGMA table_info({table})") if row[1] not in leave]
        if not names:
            return 0
        columns = ", ".join(f'"{name}"' for name in names)
        insert = f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(names))}) ON CONFLICT DO NOTHING"  # noqa: S608  names are ours
        return insert_all(file.execute(f"SELECT {columns} FROM {table} WHERE {where} ORDER BY rowid"), insert, database, lock)  # noqa: S608


def insert_all(rows: sqlite3.Cursor, insert: str, database: Database, lock: str) -> int:
    """Runs `insert` for each row, AT_ONCE in a transaction; how many rows changed. Raises DatabaseFailed."""
    changed = 0
    while some := rows.fetchmany(AT_ONCE):
        with database.transaction(lock) as connection:
            changed += sum(connection.execute(insert, row).rowcount for row in some)
    return changed


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """An SQLite file that is only read. Raises DatabaseFailed."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as file:
            yield file
    except sqlite3.Error as exc:
        raise DatabaseFailed(f"{path}: cannot be read ({exc}).", next_step="Restore it, or move it away.") from exc
