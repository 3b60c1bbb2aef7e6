"""The calls of a log in the order they were read: few in memory, many in a temporary file, for a month of texts fits into no memory."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from pipelines.logs import store
from pipelines.logs.call import LoggedCall

IN_MEMORY = 2_000


class Log(Protocol):
    """Calls that can be gone through more than once."""

    def __len__(self) -> int:
        """How many."""

    def __iter__(self) -> Iterator[LoggedCall]:
        """Each, whole."""

    def only(self, *names: str) -> Iterator[LoggedCall]:
        """Each with these fields, perhaps without the others."""


class Calls:
    """A log that calls are added to."""

    def __init__(self, calls: Iterable[LoggedCall] = ()) -> None:
        self._last: list[LoggedCall] = []  # those that are not in the file
        self._written = 0
        self._writer: store.Writer | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        for call in calls:
            self.append(call)

    def __len__(self) -> int:
        return self._written + len(self._last)

    def __iter__(self) -> Iterator[LoggedCall]:
        return self.only()

    def append(self, call: LoggedCall) -> None:
        """Adds a call."""
        self._last.append(call)
        if len(self._last) >= (store.BATCH if self._folder is not None else IN_MEMORY):
            self._spill()

    def only(self, *names: str) -> Iterator[LoggedCall]:
        """Those of the file are read again; nothing can be added any more once that was done."""
        if self._folder is not None:
            if self._writer is not None:
                self._spill()
                self._writer.close()
                self._writer = None
            yield from store.stream(self._file, names)
        yield from self._last

    def changed(self, change: Callable[[LoggedCall], LoggedCall | None]) -> "Calls":
        """The calls that `change` makes of them; None: left out."""
        return Calls(each for call in self if (each := change(call)) is not None)

    @property
    def _file(self) -> Path:
        return Path(self._folder.name if self._folder is not None else "") / "calls.parquet"

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="routemoa-log-", ignore_cleanup_errors=True)
            self._writer = store.Writer(self._file, "")
        if self._writer is None:
            raise RuntimeError("calls were read: none can be added")
        self._writer.add(self._last)
        self._written += len(self._last)
        self._last = []


class Imported:
    """Logs that were imported, one after the other."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Raises TableRefused."""
        self._paths = tuple(paths)
        self._count = sum(map(store.count, self._paths))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[LoggedCall]:
        return self.only()

    def only(self, *names: str) -> Iterator[LoggedCall]:
        """Columns that are not asked for are not read."""
        for path in self._paths:
            yield from store.stream(path, names)
