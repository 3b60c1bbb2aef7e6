"""A file followed while it changes: read again beside the value in force, swapped in as one reference, kept as it was when broken."""

import asyncio
import time
from collections.abc import Callable
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
    """

    def __init__(
        self, path: Path, read: Callable[[Path], T], *, swapped: Callable[[T, T | None], None], refused: Callable[[RouteMoAError], None]
    ) -> None:
        self.path = path
        self.value: T | None = None
        self.refusal: RouteMoAError | None = None
        self._read = read
        self._swapped, self._refused = swapped, refused
        self._seen: Signature | str = "never"
        self._retry_at = 0.0

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
        self._seen = signature

    def _refuse(self, error: RouteMoAError) -> None:
        seen_before = self.refusal is not None and str(self.refusal) == str(error)
        self.refusal, self._retry_at = error, time.monotonic() + RETRY_S
        if not seen_before:
            self._refused(error)

    async def follow(self, every_s: float) -> None:
        """Refreshes until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(every_s)

    def _signature(self) -> Signature:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
