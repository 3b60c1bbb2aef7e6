"""What an LLM has answered so far in a run that may be killed: one JSON line per answer, forced to disk every few rows."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SYNC_EVERY = 8  # rows that a power cut may cost; a killed process costs none


class Journal:
    """Appends rows; the reader forgives a last line that was cut off while it was written."""

    def __init__(self, path: Path, *, sync_every: int = SYNC_EVERY) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        if _torn(path):  # the next line would be swallowed
            self._file.write("\n")
        self._sync_every, self._unsynced = sync_every, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def append(self, row: Mapping[str, Any]) -> None:
        """Hands `row` to the operating system at once and to the disk every `sync_every` rows."""
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()
        self._unsynced += 1
        if self._unsynced >= self._sync_every:
            self._sync()

    def close(self) -> None:
        """Forces what is left to disk."""
        if not self._file.closed:
            self._sync()
            self._file.close()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._unsynced = 0


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows written to `path`, none where it does not exist; torn lines are left out."""
    return list(each(path))


def each(path: Path) -> Iterator[dict[str, Any]]:
    """The same, one after the other."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(row, dict):
                yield row


def _torn(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
