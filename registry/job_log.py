"""A job's own log: what its processes print, line by line, beside the table of jobs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

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


@contextmanager
def writing(path: Path, advance: Callable[[str, float], None]) -> Iterator[JobLog]:
    """The log at `path`, made where there is none; a job that is done again goes on in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", buffering=1) as file:
        yield JobLog(file, advance)
