"""Logs of jobs for all hosts that share a database: copied there while they are written, in pieces; of a long one, beginning and end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from registry.database.door import Connection, Database
from registry.errors import DatabaseFailed
from registry.job_log import FileLogs, JobLog, Part, start_of

COPY_EVERY_S = 1.0
PIECE = 64 * 1024  # bytes; what is lost of a long log is whole pieces
HEAD, TAIL = 128 * 1024, 1024 * 1024  # bytes that are kept of a log: why and by which plan it began, and how it ended
KEPT = 100  # retrainings and harvests, the newest, whose logs are kept
REST = "SELECT first_byte, content FROM job_logs WHERE job = ? AND first_byte + length(content) > ? ORDER BY first_byte"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SharedLogs:
    """files: those of this host, which its worker writes first; they stay whole. Raises DatabaseFailed where it is read."""

    database: Database
    files: FileLogs

    def read(self, job: str, after: int = 0, most: int | None = None) -> Part:
        """As `registry.job_log.Logs` says; a line says where something is no longer kept."""
        with self.database.reading() as connection:
            size = _size(connection, job)
            start = at = start_of(after, size, most)
            rows = connection.execute(REST, (job, start)).fetchall()
        pieces = []
        for first_byte, content in rows:
            if first_byte > at:
                pieces.append(f"[... {first_byte - at} bytes are not kept ...]\n".encode())
            pieces.append(content[max(at - first_byte, 0) :])
            at = first_byte + len(content)
        return Part(b"".join(pieces).decode(errors="replace"), start, at)

    def place(self, job: str) -> str:
        """The command that prints it."""
        with self.database.reading() as connection:
            return f"routemoa jobs {job} --log" if _size(connection, job) else ""

    @contextmanager
    def writing(self, job: str, advance: Callable[[str, float], None]) -> Iterator[JobLog]:
        """As `registry.job_log.Logs` says. A database that is away for a while gets later what it missed, and ends no job."""
        path, ended = self.files.path(job), threading.Event()
        copy = _Copy(self, job, path, at=path.stat().st_size if path.exists() else 0)
        copying = threading.Thread(target=copy.run, args=(ended,), daemon=True)
        copying.start()
        try:
            with self.files.writing(job, advance) as printed:
                yield printed
        finally:
            ended.set()
            copying.join()
            copy.step(whole=True)

    def take_in(self, path: Path) -> bool:
        """A file that a host kept of a job before it shared; whether it was not there yet. Raises DatabaseFailed."""
        with self.database.reading() as connection:
            there = _size(connection, path.stem) > 0
        if not there:
            self.append(path.stem, path.read_bytes())
        return not there

    def append(self, job: str, content: bytes) -> None:
        """Adds to what is kept of `job`; of too much, the middle goes. Raises DatabaseFailed."""
        for at in range(0, len(content), PIECE):
            piece = content[at : at + PIECE]
            with self.database.transaction(f"log of {job}") as connection:
                size = _size(connection, job)
                connection.execute("INSERT INTO job_logs (job, first_byte, content) VALUES (?, ?, ?)", (job, size, piece))
                connection.execute(
                    "DELETE FROM job_logs WHERE job = ? AND first_byte >= ? AND first_byte + length(content) <= ?",
                    (job, HEAD, size + len(piece) - TAIL),
                )

    def forget_old(self) -> None:
        """All but the logs of the newest KEPT jobs. Raises DatabaseFailed."""
        newest = "SELECT id FROM jobs WHERE kind IN ('retrain', 'harvest') ORDER BY number DESC LIMIT ?"
        with self.database.transaction() as connection:
            connection.execute(f"DELETE FROM job_logs WHERE job NOT IN ({newest})", (KEPT,))  # noqa: S608  all text is ours


@dataclass(slots=True)
class _Copy:
    """Of a file that grows: bytes before `at` are in the database, or were there before this job was done again."""

    logs: SharedLogs
    job: str
    path: Path
    at: int
    _said: bool = field(default=False, init=False)

    def run(self, ended: threading.Event) -> None:
        """Until then; first makes room."""
        self._try(self.logs.forget_old)
        while not ended.wait(COPY_EVERY_S):
            self.step()

    def step(self, *, whole: bool = False) -> None:
        """Copies lines that came since; with `whole` what is no complete line too."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            while True:
                file.seek(self.at)
                content = file.read(PIECE)
                lines = content if whole or len(content) == PIECE else content[: content.rfind(b"\n") + 1]
                if not lines or not self._try(partial(self.logs.append, self.job, lines)):
                    return
                self.at += len(lines)

    def _try(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except DatabaseFailed as exc:
            if not self._said:
                log.warning("job_log_not_shared", job=self.job, error=str(exc))
            self._said = True
            return False
        self._said = False
        return True


def _size(connection: Connection, job: str) -> int:
    """Bytes of all that was printed, those that are no longer kept too."""
    last = "SELECT first_byte + length(content) FROM job_logs WHERE job = ? ORDER BY first_byte DESC LIMIT 1"
    row = connection.execute(last, (job,)).fetchone()
    return 0 if row is None else int(row[0])
