"""What takes long, done one at a time: jobs in a table that anybody writes and the worker (registry.worker) reads."""

import json
import os
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

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


JobList = list[Job]  # inside `Jobs`, `list` is its method


class Jobs:
    """The jobs of this host in one SQLite file, safe from any process; cheap to make.

    Every method raises JobRefused where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite refuses a second switch to WAL at once instead of waiting: whoever starts beside another on a new file would fail
            with FileLock(path.with_name(f".{path.name}.lock"), timeout=BUSY_S):
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # for its owner alone, and so what SQLite puts beside it
                with self._connection() as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.execute(SCHEMA)
        except OSError as exc:
            raise JobRefused(f"{path}: cannot hold jobs ({exc}).", next_step="Move the file away or free the disk.") from exc

    def submit(self, kind: Kind, arguments: Mapping[str, Any], *, key: str | None = None) -> Job:
        """A new job that waits for the worker; where one has this `key`, that one. Raises JobRefused for a kind that does not exist."""
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
        job = self.get(values[0])
        if job is None:
            raise JobRefused(f"{self.path}: job {values[0]} vanished.", next_step="Something else deletes rows of this file: find it.")
        return job

    def get(self, job_id: str) -> Job | None:
        """The job called `job_id`, None where there is none."""
        jobs = self._select("WHERE id = ?", (job_id,))
        return jobs[0] if jobs else None

    def list(self) -> JobList:
        """All jobs, in the order they were submitted."""
        return self._select("ORDER BY number", ())

    def claim_next(self) -> Job | None:
        """The job that waits longest, now running; None where none waits."""
        waiting = self._select("WHERE state = 'queued' ORDER BY number LIMIT 1", ())
        return self.claim(waiting[0].id) if waiting else None

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

    def requeue_running(self) -> int:
        """Puts every running job back to wait, for its worker is gone. Returns how many."""
        return self._change("state = 'queued', step = 'waiting (its worker was stopped)', started_at = NULL", "state = 'running'", ())

    def _change(self, what: str, where: str, values: tuple[Any, ...]) -> int:
        with self._connection() as connection:
            return connection.execute(f"UPDATE jobs SET {what} WHERE {where}", values).rowcount  # noqa: S608  all text is ours

    def _select(self, where: str, values: tuple[Any, ...]) -> JobList:
        with self._connection() as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM jobs {where}", values).fetchall()  # noqa: S608  all text is ours
        return [Job(row[0], row[1], json.loads(row[2]), *row[3:]) for row in rows]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for one statement: as many processes as like share the file."""
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
        except sqlite3.Error as exc:
            next_step = "Try again where it is locked; else move the file away or free the disk."
            raise JobRefused(f"{self.path}: cannot hold jobs ({exc}).", next_step=next_step) from exc
