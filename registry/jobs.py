"""What takes long, done one at a time: jobs in a table that is the truth, and a huey queue that wakes the worker (registry.worker)."""

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from huey import SqliteHuey
from huey.registry import Message
from huey.serializer import Serializer

from registry.errors import JobRefused

Kind = Literal["retrain", "promote", "rollback"]
State = Literal["queued", "running", "done", "failed"]
KINDS = ("retrain", "promote", "rollback")
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT UNIQUE, kind TEXT NOT NULL, arguments TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')), step TEXT NOT NULL, progress REAL NOT NULL,
    created_at REAL NOT NULL, started_at REAL, ended_at REAL, error TEXT)"""
COLUMNS = "id, kind, arguments, state, step, progress, created_at, started_at, ended_at, error"
BUSY_S = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """One job. Times are seconds since the epoch; `progress` is in [0, 1]; `step` says in words what it is doing or what came of it."""

    id: str
    kind: Kind
    arguments: dict[str, Any]
    state: State
    step: str
    progress: float
    created_at: float
    started_at: float | None
    ended_at: float | None
    error: str | None


Found = list[Job]  # inside `Jobs`, `list` is its method


class Jobs:
    """The jobs of this host in one SQLite file, safe from any process; cheap to make.

    Everything raises JobRefused where the file cannot hold jobs; so does a kind that does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue_made = threading.Lock()
        self._queue: Queue | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite refuses a second switch to WAL at once instead of waiting: whoever starts beside another on a new file would fail
            with FileLock(path.with_name(f".{path.name}.lock"), timeout=BUSY_S), self._connection() as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(SCHEMA)
        except OSError as exc:
            raise JobRefused(f"{path}: cannot hold jobs ({exc}).", next_step="Move the file away or free the disk.") from exc

    def submit(self, kind: Kind, arguments: Mapping[str, Any], *, key: str | None = None) -> Job:
        """A job waiting for the worker. The same `key` gives the same job, whatever became of it."""
        if kind not in KINDS:
            raise JobRefused(f"No kind of job is called {kind!r}.", next_step=f"There are {', '.join(KINDS)}.")
        values = (f"{kind}-{uuid.uuid4().hex[:8]}", key, kind, json.dumps(dict(arguments)), "queued", "waiting", 0.0, time.time())
        with self._connection() as connection:
            inserted = connection.execute(
                "INSERT INTO jobs (id, key, kind, arguments, state, step, progress, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (key) DO NOTHING",
                values,
            ).rowcount
        if not inserted:
            return self._select("WHERE key = ?", (key,))[0]
        self.queue().wake(values[0])
        job = self.get(values[0])
        if job is None:
            raise JobRefused(f"{self.path}: job {values[0]} vanished.", next_step="Something else deletes rows of this file: find it.")
        return job

    def get(self, job_id: str) -> Job | None:
        """The job called `job_id`, None where there is none."""
        found = self._select("WHERE id = ?", (job_id,))
        return found[0] if found else None

    def list(self) -> Found:
        """All jobs, in the order they were submitted."""
        return self._select("ORDER BY number", ())

    def queue(self, run: Callable[[str], None] | None = None) -> "Queue":
        """The queue that carries job ids to the worker; `run` is what the worker does with one."""
        with self._queue_made:
            if self._queue is None:
                self._queue = Queue(self.path, run)
            return self._queue

    def claim(self, job_id: str) -> Job | None:
        """The job, now running; None where it is not waiting any more, so that no job runs twice."""
        claimed = self._change(
            "state = 'running', started_at = ?, step = 'starting', progress = 0", "id = ? AND state = 'queued'", (time.time(), job_id)
        )
        return self.get(job_id) if claimed else None

    def advance(self, job_id: str, step: str, progress: float) -> None:
        """Says how far a running job is."""
        self._change("step = ?, progress = ?", "id = ? AND state = 'running'", (step, min(max(progress, 0.0), 1.0), job_id))

    def finish(self, job_id: str, step: str) -> None:
        """The job is done; `step` says what came of it."""
        self._change("state = 'done', step = ?, progress = 1, ended_at = ?", "id = ? AND state = 'running'", (step, time.time(), job_id))

    def fail(self, job_id: str, error: str) -> None:
        """The job failed."""
        self._change("state = 'failed', error = ?, ended_at = ?", "id = ? AND state = 'running'", (error, time.time(), job_id))

    def interrupted(self) -> int:
        """Every job that was running waits again: its worker is gone. Returns how many."""
        return self._change("state = 'queued', step = 'waiting (its worker was stopped)', started_at = NULL", "state = 'running'", ())

    def _change(self, what: str, where: str, values: tuple[Any, ...]) -> int:
        with self._connection() as connection:
            return connection.execute(f"UPDATE jobs SET {what} WHERE {where}", values).rowcount  # noqa: S608  all text is ours

    def _select(self, where: str, values: tuple[Any, ...]) -> Found:
        with self._connection() as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM jobs {where}", values).fetchall()  # noqa: S608  all text is ours
        return [Job(row[0], row[1], json.loads(row[2]), *row[3:]) for row in rows]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for one statement: as many processes as like share the file."""
        with _refused(self.path), closing(sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            yield connection


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """What SQLite raises, as JobRefused."""
    try:
        yield
    except sqlite3.Error as exc:
        raise JobRefused(
            f"{path}: cannot hold jobs ({exc}).", next_step="Try again where it is locked; else move the file away or free the disk."
        ) from exc


class PlainSerializer(Serializer):  # type: ignore[misc]
    """huey's messages as JSON: what lies in the file is data, never code to be unpickled."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data).encode()

    def _deserialize(self, data: bytes) -> Any:
        loaded = json.loads(data)
        return Message(*loaded) if isinstance(loaded, list) and len(loaded) == len(Message._fields) else loaded


class Queue:
    """Job ids on their way to the worker. Losing one is harmless: the worker puts waiting jobs back (`Jobs.list`)."""

    def __init__(self, path: Path, run: Callable[[str], None] | None) -> None:
        self.path = path
        with _refused(path):
            self.huey = SqliteHuey("jobs", filename=str(path), serializer=PlainSerializer(), results=False, strict_fifo=True)

        def perform(job_id: str) -> None:
            if run is not None:
                run(job_id)

        self._perform = self.huey.task(name="perform")(perform)

    def wake(self, job_id: str) -> None:
        """Tells the worker that this job waits."""
        with _refused(self.path):
            self._perform(job_id)

    @property
    def empty(self) -> bool:
        """Whether nothing is on its way."""
        with _refused(self.path):
            return bool(self.huey.pending_count() == 0)
