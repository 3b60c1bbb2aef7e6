"""A job's own log: what its processes print, line by line, in a file of its worker's host (where hosts share more: shared_job_log)."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from registry.progress import Progress


@dataclass(slots=True)
class JobLog:
    """Reads a job's output: lines go to `file`, progress to `advance` (step, share in [0, 1]) and, where the step is another, to both."""

    file: TextIO
    advance: Callable[[str, float], None]
    step: str = ""

    def read(self, line: str) -> None:
        """Takes in one line of output."""
        progress = Progress.parse(line)
        if progress is None:
            self.file.write(line)
            return
        if progress.step != self.step:
            self.step = progress.step
            self.file.write(f"[{progress.share:.0%}] {self.step}\n")
        self.advance(self.step, progress.share)


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a log: from byte `start` on; `end` is where to go on."""

    text: str
    start: int
    end: int


class Logs(Protocol):
    """Where the logs of jobs are."""

    def read(self, job: str, after: int = 0, most: int | None = None) -> Part:
        """What `job` printed, from byte `after` on; of more than `most` bytes, the end. Empty where it printed nothing."""

    def place(self, job: str) -> str:
        """Where a person reads it, empty where it printed nothing."""

    def writing(self, job: str, advance: Callable[[str, float], None]) -> AbstractContextManager[JobLog]:
        """The log, made where there is none; a job that is done again goes on in it."""


@dataclass(frozen=True, slots=True)
class FileLogs:
    """In a folder of this host, a file for each job."""

    folder: Path

    def path(self, job: str) -> Path:
        """The file of one."""
        return self.folder / f"{job}.log"

    def read(self, job: str, after: int = 0, most: int | None = None) -> Part:
        """As `Logs` says."""
        try:
            with self.path(job).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                start = file.seek(start_of(after, size, most))
                return Part(file.read(size - start).decode(errors="replace"), start, size)
        except FileNotFoundError:
            return Part("", 0, 0)

    def place(self, job: str) -> str:
        """Its path."""
        path = self.path(job)
        return str(path) if path.exists() else ""

    @contextmanager
    def writing(self, job: str, advance: Callable[[str, float], None]) -> Iterator[JobLog]:
        """As `Logs` says."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.path(job).open("a", encoding="utf-8", buffering=1) as file:
            yield JobLog(file, advance)


def start_of(after: int, size: int, most: int | None) -> int:
    """The first byte of what is read from `after` on."""
    return max(min(after, size), 0 if most is None else size - most)
