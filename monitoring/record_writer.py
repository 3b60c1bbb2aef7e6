"""Writes statements into one SQLite file: a thread that puts all that waits into one commit, and knows when the file refuses."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from monitoring.errors import RecordNotKept, RecordsRefused
from monitoring.open_file import OpenFile

WRITER_BUSY_S = 2.0  # after which the writer says that it waits, and goes on waiting
PROBE_S = 1.0  # between tries of a file that refused a commit
PROBE_BYTES = 256 * 1024  # what has to fit before it is trusted again: a hundred records
MOVES = 3  # times that a file may be replaced during one commit
MOST_PER_COMMIT = 512  # bounds how long the first of a batch waits for the last


class Noticed(Enum):
    """What the writer found out about its file."""

    INTERRUPTED = "a commit failed or waits"
    RESUMED = "commits succeed again"
    REPLACED = "another file is in its place"


@dataclass(frozen=True, slots=True)
class _Write:
    """One statement for the next commit. waiting: a future of `loop` whose result is whether a row was written."""

    statement: str
    values: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    waiting: asyncio.Future[bool]


Results = list[tuple[_Write, "bool | RecordNotKept"]]


class Writer:
    """Its thread starts with the first write. open: makes and opens the file at `path`. noticed: called by that thread, with words."""

    def __init__(self, open_file: Callable[[], OpenFile], path: Path, noticed: Callable[[Noticed, str], None]) -> None:
        self.refusal: RecordNotKept | None = None
        self._open, self._path, self._noticed = open_file, path, noticed
        self._file: OpenFile | None = None
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None

    async def write(self, statement: str, values: tuple[Any, ...], within_s: float) -> bool:
        """Whether `statement` changed a row; returns when it is durable. Raises RecordNotKept."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[bool] = loop.create_future()
        with self._lock:
            if self._closed:
                raise RecordNotKept("The record store is closed.", next_step="The server is stopping; ask again.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="records", daemon=True)
                self._thread.start()
            self._queue.put(_Write(statement, values, loop, waiting))
        try:
            async with asyncio.timeout(within_s):
                return await waiting
        except TimeoutError as exc:
            raise RecordNotKept(f"{self._path}: record not kept within {within_s:.1f} s.", next_step="Release the file's lock.") from exc

    async def close(self) -> None:
        """Waits until everything accepted is on disk, then refuses more."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
            thread = self._thread
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def _run(self) -> None:
        """The thread: until the store closes."""
        closing_down = False
        while not closing_down:
            writes, closing_down = self._next()
            try:
                if writes:
                    self._keep(writes)
                elif not closing_down:
                    self._probe()
            except (sqlite3.Error, OSError, RecordsRefused) as exc:
                self._refuse(exc)
                _answer(writes, self._not_kept(exc))
        self._leave()

    def _next(self) -> tuple[list[_Write], bool]:
        """What waits, none of it where it is time to try a file that refused; and whether the store closes."""
        try:
            batch = [self._queue.get(timeout=None if self.refusal is None else PROBE_S)]
        except queue.Empty:
            return [], False
        while len(batch) < MOST_PER_COMMIT and not self._queue.empty():
            batch.append(self._queue.get())
        return [write for write in batch if write is not None], None in batch

    def _keep(self, writes: list[_Write]) -> None:
        """Commits `writes` to the file that is at the path before and after. Raises sqlite3.Error, OSError, RecordsRefused."""
        for _ in range(MOVES):
            file = self._in_place()
            results = self._commit_when_free(file.connection, writes)
            if file.is_in_place():
                for write, result in results:
                    _answer([write], result)
                return
        raise RecordsRefused(f"{self._path}: replaced by another file again and again.", next_step="Leave it in its place.")

    def _in_place(self) -> OpenFile:
        """The file that is at the path now."""
        if self._file is not None and not self._file.is_in_place():
            self._leave()
            self._noticed(Noticed.REPLACED, f"{self._path} was moved, removed or replaced; records go on in the file that is there now.")
        if self._file is None:
            self._file = self._open()
            self._file.connection.execute(f"PRAGMA busy_timeout = {int(WRITER_BUSY_S * 1000)}")
        return self._file

    def _leave(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.leave()

    def _commit_when_free(self, connection: sqlite3.Connection, writes: list[_Write]) -> Results:
        """Waits for the file's lock as long as anybody waits for the writes."""
        while True:
            try:
                return self._commit(connection, writes)
            except sqlite3.OperationalError as exc:
                if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or self._closed or all(write.waiting.done() for write in writes):
                    raise
                self._refuse(exc)

    def _commit(self, connection: sqlite3.Connection, writes: list[_Write]) -> Results:
        """One transaction, one fsync. A value that SQLite refuses fails its own write only. Raises sqlite3.Error."""
        if not writes:
            return []
        try:
            connection.execute("BEGIN IMMEDIATE")
            written = [connection.execute(write.statement, write.values).rowcount > 0 for write in writes]
            connection.execute("COMMIT")
        except (sqlite3.Error, OverflowError, ValueError) as exc:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(exc, sqlite3.OperationalError) or type(exc) is sqlite3.DatabaseError:  # the file's fault, not a value's
                raise
            if len(writes) == 1:
                return [(writes[0], self._not_kept(exc))]
            return [result for write in writes for result in self._commit(connection, [write])]
        return list(zip(writes, written, strict=True))

    def _probe(self) -> None:
        """Tries whether there is room again. Raises sqlite3.Error, OSError, RecordsRefused."""
        connection = self._in_place().connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE IF NOT EXISTS probe (filling BLOB)")
            connection.execute("INSERT INTO probe VALUES (zeroblob(?))", (PROBE_BYTES,))
            connection.execute("COMMIT")
            connection.execute("DROP TABLE probe")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        self.refusal = None
        self._noticed(Noticed.RESUMED, f"{self._path}: records are kept again.")

    def _refuse(self, exc: Exception) -> None:
        first = self.refusal is None
        self.refusal = self._not_kept(exc)
        if first:
            self._noticed(Noticed.INTERRUPTED, str(self.refusal))

    def _not_kept(self, exc: Exception) -> RecordNotKept:
        error = RecordNotKept(f"{self._path}: record not kept ({exc}).", next_step="Free the disk or release the file's lock.")
        error.__cause__ = exc
        return error


def _answer(writes: Iterable[_Write], result: bool | RecordNotKept) -> None:
    """Resolves each write's future on its own event loop; a loop that has ended has none waiting."""
    for write in writes:
        with suppress(RuntimeError):
            write.loop.call_soon_threadsafe(_settle, write.waiting, result)


def _settle(waiting: asyncio.Future[bool], value: bool | RecordNotKept) -> None:
    if waiting.done():  # the caller was cancelled while we wrote
        return
    if isinstance(value, RecordNotKept):
        own = RecordNotKept(value.what, next_step=value.next_step)  # each waiter raises its own: a traceback belongs to one of them
        own.__cause__ = value.__cause__
        waiting.set_exception(own)
    else:
        waiting.set_result(value)
