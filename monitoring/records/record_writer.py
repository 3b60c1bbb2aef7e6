"""Writes statements into a place of records: a thread that puts all that waits into one commit, and knows when the place refuses."""

import asyncio
import queue
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from monitoring.errors import RecordNotKept
from monitoring.records.record_place import Notice, Noticed, PlaceBusy, PlaceFailed, RecordPlace, ValueRefused

PROBE_S = 1.0  # between tries of a place that refused a commit
MOST_PER_COMMIT = 512  # bounds how long the first of a batch waits for the last


@dataclass(frozen=True, slots=True)
class _Write:
    """One statement for the next commit. waiting: a future of `loop` whose result is whether a row was written."""

    statement: str
    values: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    waiting: asyncio.Future[bool]


class Writer:
    """Its thread starts with the first write. noticed: called by that thread, with words."""

    def __init__(self, place: RecordPlace, noticed: Notice) -> None:
        self.refusal: RecordNotKept | None = None
        self._place, self._noticed = place, noticed
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
            raise RecordNotKept(f"{self._place.name}: record not kept within {within_s:.1f} s.", next_step=self._place.next_step) from exc

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
            except PlaceFailed as exc:
                self._refuse(exc)
                _answer(writes, self._not_kept(exc))
        self._place.leave()

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
        """Commits `writes`, as long as anybody waits for them while others write. A value that is refused fails its own write only.

        Raises PlaceFailed.
        """
        while True:
            try:
                results = self._place.commit([(write.statement, write.values) for write in writes], self._noticed)
            except PlaceBusy as exc:
                if self._closed or all(write.waiting.done() for write in writes):
                    raise
                self._refuse(exc)
            except ValueRefused as exc:
                if len(writes) == 1:
                    _answer(writes, self._not_kept(exc))
                else:
                    for write in writes:
                        self._keep([write])
                return
            else:
                for write, changed in zip(writes, results, strict=True):
                    _answer([write], changed)
                return

    def _probe(self) -> None:
        """Tries whether commits succeed again. Raises PlaceFailed."""
        self._place.probe(self._noticed)
        self.refusal = None
        self._noticed(Noticed.RESUMED, f"{self._place.name}: records are kept again.")

    def _refuse(self, exc: Exception) -> None:
        first = self.refusal is None
        self.refusal = self._not_kept(exc)
        if first:
            self._noticed(Noticed.INTERRUPTED, str(self.refusal))

    def _not_kept(self, exc: Exception) -> RecordNotKept:
        error = RecordNotKept(f"{self._place.name}: record not kept ({exc}).", next_step=self._place.next_step)
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
