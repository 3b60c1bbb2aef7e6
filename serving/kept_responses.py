"""What later requests refer to by `previous_response_id`: the items of each response and of its input, for a while, for the key that asked.

Kept in memory unless the operator wants a file, which workers share and restarts leave. `store: false` keeps nothing of a request.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from monitoring.open_file import make_private
from serving.errors import PreviousResponseUnknown, ResponsesUnavailable

LONGEST = 2_000  # responses that go on from one another
BUSY_S = 2.0
KEY_SHARE = 0.5  # of all that is kept, what one key may take
SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (
    key TEXT NOT NULL, id TEXT NOT NULL, previous TEXT, items BLOB NOT NULL, llm TEXT, used REAL NOT NULL, PRIMARY KEY (key, id));
CREATE INDEX IF NOT EXISTS kept_used ON kept (used);
"""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """One response. items: those that its request brought, then its output. llm: whose endpoint keeps it too, under the same id."""

    id: str
    previous: str | None
    items: Sequence[Mapping[str, Any]]
    llm: str | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """A conversation up to a response, and the LLM whose endpoint keeps it, too."""

    items: tuple[Mapping[str, Any], ...] = ()
    llm: str | None = None


class KeptResponses:
    """path: the file, None for memory. keep_s: seconds after the last use; 0 keeps nothing. most_bytes: of all that is kept.

    Beyond them the longest unused go first, a key's own where it takes more than its share. Opened when first needed.
    """

    def __init__(self, path: Path | None, keep_s: float, most_bytes: int, now: Callable[[], float] = time.time) -> None:
        self._path, self._keep_s, self._most_bytes, self._now = path, keep_s, most_bytes, now
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    async def past(self, key: str, response_id: str) -> Past:
        """The conversation up to a response of this key. Raises PreviousResponseUnknown, ResponsesUnavailable."""
        return await self._run(lambda connection: self._past(connection, key, response_id))

    async def keep(self, key: str, kept: Kept) -> None:
        """Keeps a response of this key. Raises ResponsesUnavailable."""
        if self._keep_s > 0:
            await self._run(lambda connection: self._keep(connection, key, kept))

    async def forget(self, key: str, response_id: str) -> bool:
        """Whether there was such a response of this key. Those that went on from it cannot be gone on from any more."""
        return await self._run(lambda connection: _forget(connection, key, response_id))

    def close(self) -> None:
        """What was in memory is gone."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._locked, work)

    def _locked(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._lock:
                if self._connection is None:
                    self._connection = _open(self._path)
                with self._connection:
                    return work(self._connection)
        except (sqlite3.Error, OSError) as exc:
            raise ResponsesUnavailable(
                f"Kept responses cannot be reached ({type(exc).__name__}).", next_step="Send the whole conversation as input."
            ) from exc

    def _past(self, connection: sqlite3.Connection, key: str, response_id: str) -> Past:
        self._expire(connection)
        pieces: list[list[Mapping[str, Any]]] = []
        llm, at = None, response_id
        for _ in range(LONGEST):
            row = connection.execute("SELECT previous, items, llm FROM kept WHERE key = ? AND id = ?", (key, at)).fetchone()
            if row is None:
                raise PreviousResponseUnknown(
                    f"Previous response with id {response_id!r} not found: it is unknown, of another key, or no longer kept.",
                    next_step=(
                        f"Send the whole conversation as input. Responses are kept for {self._keep_s:g} s after their last use, unless "
                        "`store` is false; several workers share them with ROUTEMOA_KEEP_RESPONSES=disk."
                    ),
                    param="previous_response_id",
                )
            connection.execute("UPDATE kept SET used = ? WHERE key = ? AND id = ?", (self._now(), key, at))
            pieces.append(orjson.loads(row[1]))
            llm = row[2] if at == response_id else llm
            if row[0] is None:
                break
            at = row[0]
        return Past(tuple(item for piece in reversed(pieces) for item in piece), llm)

    def _keep(self, connection: sqlite3.Connection, key: str, kept: Kept) -> None:
        items = orjson.dumps(list(kept.items))
        connection.execute(
            "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?, ?)", (key, kept.id, kept.previous, items, kept.llm, self._now())
        )
        self._expire(connection)
        _drop(connection, "WHERE key = ?", (key,), int(self._most_bytes * KEY_SHARE))
        _drop(connection, "", (), self._most_bytes)

    def _expire(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM kept WHERE used < ?", (self._now() - self._keep_s,))


def _drop(connection: sqlite3.Connection, where: str, which: tuple[str, ...], most_bytes: int) -> None:
    """Drops the longest unused rows until the rest has at most `most_bytes`."""
    size = connection.execute(f"SELECT coalesce(sum(length(items)), 0) FROM kept {where}", which).fetchone()[0]  # noqa: S608 - ours
    while size > most_bytes:
        row = connection.execute(f"SELECT rowid, length(items) FROM kept {where} ORDER BY used, rowid LIMIT 1", which).fetchone()  # noqa: S608
        connection.execute("DELETE FROM kept WHERE rowid = ?", (row[0],))
        size -= row[1]


def _forget(connection: sqlite3.Connection, key: str, response_id: str) -> bool:
    return connection.execute("DELETE FROM kept WHERE key = ? AND id = ?", (key, response_id)).rowcount > 0


def _open(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        make_private(path)
    connection = sqlite3.connect(":memory:" if path is None else path, timeout=BUSY_S, check_same_thread=False)
    connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is not left in the file
    if path is not None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # a crash of the host may forget: the caller is told, and sends all
    connection.executescript(SCHEMA)
    return connection
