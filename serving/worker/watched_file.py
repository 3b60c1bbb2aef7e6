"""A file followed while it changes: read again beside the value in force, swapped in as one reference, kept as it was when broken."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from scorer.errors import RouteMoAError
from serving.errors import FileUnreadable

T = TypeVar("T")
Signature = tuple[int, int, int] | None
RETRY_S = 5.0  # a broken file is tried again: what was wrong with it may lie beside it


class Watched(Generic[T]):
    """What `read(path)` last returned. `read` runs in a thread, `swapped` and `refused` in the event loop.

    swapped: called with the new value and the one before. refused: called once for each new reason.
    last_good: what is read beside a file that is refused while nothing is in force yet.
    settle_s: how long another file must have been the same before `look` reads it: an editor, git and DVC write more than once.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], T],
        *,
        swapped: Callable[[T, T | None], None],
        refused: Callable[[RouteMoAError], None],
        last_good: Callable[[Path], T] | None = None,
        settle_s: float = 0.0,
    ) -> None:
        self.path = path
        self.value: T | None = None
        self.refusal: RouteMoAError | None = None
        self._read = read
        self._swapped, self._refused = swapped, refused
        self._last_good = last_good
        self._seen: Signature | str = "never"
        self._retry_at = 0.0
        self._settle_s = settle_s
        self._changed: tuple[Signature | str, float] = ("never", 0.0)  # what the file was at the last look, and since when

    async def refresh(self) -> None:
        """Reads the file again if it is another one than last time, or was refused a while ago."""
        signature = self._signature()
        if signature == self._seen and (self.refusal is None or time.monotonic() < self._retry_at):
            return
        try:
            value = await asyncio.to_thread(self._read, self.path)
        except RouteMoAError as exc:
            self._refuse(exc)
        except Exception as exc:  # whatever a stranger's file provokes, following goes on
            self._refuse(FileUnreadable(f"{self.path}: {type(exc).__name__}: {exc}.", next_step="Restore the file."))
        else:
            before, self.value, self.refusal = self.value, value, None
            self._swapped(value, before)
        if self.value is None and self._last_good is not None:
            await self._fall_back(self._last_good)
        self._seen = signature

    async def look(self) -> None:
        """Refreshes, a changed file only once it has settled."""
        signature, now = self._signature(), time.monotonic()
        if signature != self._changed[0]:
            self._changed = (signature, now)
        if signature == self._seen or now - self._changed[1] >= self._settle_s:
            await self.refresh()

    async def _fall_back(self, last_good: Callable[[Path], T]) -> None:
        """`refusal` stays, and the file is tried again."""
        with suppress(RouteMoAError, OSError):
            self.value = await asyncio.to_thread(last_good, self.path)
            self._swapped(self.value, None)

    def _refuse(self, error: RouteMoAError) -> None:
        seen_before = self.refusal is not None and str(self.refusal) == str(error)
        self.refusal, self._retry_at = error, time.monotonic() + RETRY_S
        if not seen_before:
            self._refused(error)

    async def follow(self, every_s: float) -> None:
        """Looks until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(every_s)

    def _signature(self) -> Signature:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
