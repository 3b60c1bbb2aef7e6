"""What takes long, done one at a time: jobs in a table that anybody writes and the worker (registry.worker) reads."""

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from registry.database import files
from registry.database.door import Database
from registry.database.shared import shared
from registry.database.sqlite import SqliteFile
from registry.errors import DatabaseFailed, JobEnded, JobRefused, JobUnknown
from registry.job_log import FileLogs, JobLog, Logs, Part
from registry.settings import Settings
from registry.shared_job_log import SharedLogs
from scorer.near_matches import near_matches

Kind = Literal["retrain", "harvest", "promote", "rollback", "shadow", "canary"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
QUICK = ("promote", "rollback", "shadow", "canary")  # a second or two: they do not wait for a retraining
LOGS = Path("logs", "jobs")  # below `var`
KINDS = ("retrain", "harvest", *QUICK)
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT UNIQUE, kind TEXT NOT NULL, arguments TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')), step TEXT NOT NULL, progress REAL NOT NULL,
    created_at REAL NOT NULL, started_at REAL, ended_at REAL, error TEXT, begun INTEGER NOT NULL DEFAULT 0)"""
COLUMNS = "id, kind, arguments, state, step, progress, created_at, started_at, ended_at, error"
MOVE = (  # a table made before jobs could be cancelled: SQLite cannot change a CHECK
    "BEGIN IMMEDIATE",
    "ALTER TABLE jobs RENAME TO jobs_before",
    SCHEMA,
    f"INSERT INTO jobs (number, key, {COLUMNS}) SELECT number, key, {COLUMNS} FROM jobs_before",  # noqa: S608  all text is ours
    "DROP TABLE jobs_before",
    "COMMIT",
)
STOPPED = "waiting (its worker was stopped)"
MOST_BEGUN = 5  # times: a job that takes its worker with it, memory and all, would do so for ever


@dataclass(frozen=True, slots=True)
class Job:
    """One job.

    Times are seconds since the epoch; `progress` is in [0, 1]; `step` says in words what it is doing or what came of it. A cancelled job
    without `ended_at` has processes that are ending. `log` is the file with what it printed, on the host whose worker did it; there is none
    before it printed anything.
    """

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
    log: str

    @property
    def why(self) -> str:
        """What was given as its reason, or the verdict's sentences; empty where nothing was."""
        reason: str = self.arguments.get("reason") or "; ".join(each.rstrip(".") for each in self.arguments.get("reasons") or [])
        return reason


JobList = list[Job]  # inside `Jobs`, `list` is its method


class Jobs:
    """The jobs that a database keeps, safe from any process; cheap to make.

    files: what their processes print on this host; logs: the same where it is read.
    Every method raises JobRefused where the database cannot be used.
    """

    def __init__(self, database: Database, files: FileLogs, logs: Logs) -> None:
        self._database, self._files, self._logs = database, files, logs

    @classmethod
    def of(cls, settings: Settings) -> "Jobs":
        """Those of this host (`var/jobs.db`), or of all hosts that share its database. Raises JobRefused."""
        with _refusing():
            if (database := shared(settings)) is None:
                return cls.in_file(settings.var / "jobs.db")
            files = FileLogs(settings.var / LOGS)
            return cls(database, files, SharedLogs(database, files))

    @classmethod
    def in_file(cls, path: Path) -> "Jobs":
        """Those of an SQLite file, made where there is none. Raises JobRefused."""
        with _refusing():
            files = FileLogs(path.parent / LOGS)
            return cls(SqliteFile(path, _lay_out), files, files)

    @property
    def place(self) -> str:
        """Where they are, for people."""
        return self._database.name

    def submit(self, kind: Kind, arguments: Mapping[str, Any], *, key: str | None = None) -> Job:
        """A new job that waits for the worker; where one has this `key`, that one. Raises JobRefused for a kind that does not exist."""
        if kind not in KINDS:
            raise JobRefused(f"No kind of job is called {kind!r}.", next_step=f"There are {', '.join(KINDS)}.")
        values = (f"{kind}-{uuid.uuid4().hex[:8]}", key, kind, json.dumps(dict(arguments)), "queued", "waiting", 0.0, time.time())
        with _refusing(), self._database.transaction() as connection:
            inserted = connection.execute(
                "INSERT INTO jobs (id, key, kind, arguments, state, step, progress, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (key) DO NOTHING",
                values,
            ).rowcount
        if not inserted:
            return self._select("WHERE key = ?", (key,))[0]
        job = self.get(values[0])
        if job is None:
            raise JobRefused(f"{self.place}: job {values[0]} vanished.", next_step="Something else deletes rows there: find it.")
        return job

    def get(self, job_id: str) -> Job | None:
        """The job called `job_id`, None where there is none."""
        jobs = self._select("WHERE id = ?", (job_id,))
        return jobs[0] if jobs else None

    def require(self, job_id: str) -> Job:
        """The job called `job_id`. Raises JobUnknown, naming near ids."""
        job = self.get(job_id)
        if job is None:
            near = near_matches(job_id, [each.id for each in self.list()])
            next_step = f"Did you mean {' or '.join(near)}?" if near else "`routemoa jobs` and GET /admin/jobs list all."
            raise JobUnknown(f"No job is called {job_id!r}.", next_step=next_step)
        return job

    def printed(self, job_id: str, after: int = 0, most: int | None = None) -> Part:
        """What the processes of the job `job_id` printed, on whichever host, as `registry.job_log.Logs.read` says."""
        with _refusing():
            return self._logs.read(job_id, after, most)

    def log_place(self, job_id: str) -> str:
        """Where a person reads that, empty where it printed nothing."""
        with _refusing():
            return self._logs.place(job_id)

    def printing(self, job_id: str, advance: Callable[[str, float], None]) -> AbstractContextManager[JobLog]:
        """For its worker: where its processes print."""
        return self._logs.writing(job_id, advance)

    def list(self) -> JobList:
        """All jobs, in the order they were submitted."""
        return self._select("ORDER BY number", ())

    def claim_next(self, kinds: Sequence[str] = KINDS) -> Job | None:
        """The job of these kinds that waits longest, now running; None where none waits."""
        marks = ", ".join("?" * len(kinds))
        waiting = self._select(f"WHERE state = 'queued' AND kind IN ({marks}) ORDER BY number LIMIT 1", tuple(kinds))
        return self.claim(waiting[0].id) if waiting else None

    def claim(self, job_id: str) -> Job | None:
        """The job, now running; None where it is not waiting any more, so that no job runs twice."""
        claimed = self._change(
            "state = 'running', started_at = ?, step = 'starting', progress = 0, begun = begun + 1",
            "id = ? AND state = 'queued'",
            (time.time(), job_id),
        )
        return self.get(job_id) if claimed else None

    def advance(self, job_id: str, step: str, progress: float) -> None:
        """Says how far a running job is."""
        self._change("step = ?, progress = ?", "id = ? AND state = 'running'", (step, min(max(progress, 0.0), 1.0), job_id))

    def note(self, job_id: str, arguments: Mapping[str, Any]) -> None:
        """Changes the arguments of a running job: what it found when it began, for whoever begins it again."""
        self._change("arguments = ?", "id = ? AND state = 'running'", (json.dumps(dict(arguments)), job_id))

    def finish(self, job_id: str, step: str) -> None:
        """The job is done; `step` says what came of it."""
        self._change("state = 'done', step = ?, progress = 1, ended_at = ?", "id = ? AND state = 'running'", (step, time.time(), job_id))

    def fail(self, job_id: str, error: str) -> None:
        """The job failed."""
        self._change("state = 'failed', error = ?, ended_at = ?", "id = ? AND state = 'running'", (error, time.time(), job_id))

    def cancel(self, job_id: str) -> Job:
        """The job, cancelled: one that waits is never begun, a running retraining's processes are ended by its worker.

        Cancelling twice is as once. Raises JobUnknown, JobEnded where it ended by itself or is a promotion under way.
        """
        now = time.time()
        self._change("state = 'cancelled', step = 'cancelled before it began', ended_at = ?", "id = ? AND state = 'queued'", (now, job_id))
        what = "state = 'cancelled', step = 'cancelled; its processes are ending'"
        self._change(what, "id = ? AND state = 'running' AND kind IN ('retrain', 'harvest')", (job_id,))
        job = self.require(job_id)
        if job.state == "running":
            raise JobEnded(f"Job {job_id} is a {job.kind} under way: it takes a second.", next_step="Undo what comes of it.")
        if job.state != "cancelled":
            raise JobEnded(f"Job {job_id} has ended already: {job.state}.", next_step="See `routemoa jobs`.")
        return job

    def end_cancelled(self, job_id: str, step: str) -> None:
        """The processes of a cancelled job have ended; `step` says what is left of it."""
        self._change("step = ?, ended_at = ?", "id = ? AND state = 'cancelled' AND ended_at IS NULL", (step, time.time(), job_id))

    def requeue_running(self) -> int:
        """Puts every running job back to wait, for its worker is gone, and ends those that were being cancelled. Returns how many wait.

        Ask `give_up` first.
        """
        self._change("step = 'cancelled', ended_at = ?", "state = 'cancelled' AND ended_at IS NULL", (time.time(),))
        return self._change("state = 'queued', step = ?, started_at = NULL", "state = 'running'", (STOPPED,))

    def give_up(self) -> JobList:
        """Those left running whose workers ended MOST_BEGUN times, failed now."""
        left = self._select("WHERE state = 'running' AND begun >= ?", (MOST_BEGUN,))
        for job in left:
            self.fail(job.id, f"Its worker was killed, or lost its database, {MOST_BEGUN} times while it ran: has it memory enough?")
        return [self.require(job.id) for job in left]

    def put_back(self, job_id: str) -> None:
        """A running job waits again, for its worker is told to stop: that is none of the times that count."""
        self._change("state = 'queued', step = ?, started_at = NULL, begun = begun - 1", "id = ? AND state = 'running'", (STOPPED, job_id))

    def _change(self, what: str, where: str, values: tuple[Any, ...]) -> int:
        with _refusing(), self._database.transaction() as connection:
            return connection.execute(f"UPDATE jobs SET {what} WHERE {where}", values).rowcount  # noqa: S608  all text is ours

    def _select(self, where: str, values: tuple[Any, ...]) -> JobList:
        with _refusing(), self._database.reading() as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM jobs {where}", values).fetchall()  # noqa: S608  all text is ours
        named = (dict(zip(COLUMNS.split(", "), row, strict=True)) for row in rows)
        return [Job(**{**each, "arguments": json.loads(each["arguments"]), "log": str(self._files.path(each["id"]))}) for each in named]


def move(path: Path, database: Database) -> dict[str, int]:
    """Moves a file's jobs into the database that its host shares from now on; how many came. Raises DatabaseFailed, JobRefused."""
    before = FileLogs(path.parent / LOGS)
    Jobs.in_file(path)  # an older release's file is brought up to date first
    came = {"jobs": files.move(path, "jobs", database, lock="jobs", leave=("number",))}
    logs = SharedLogs(database, before)
    return came | {"logs of jobs": sum(logs.take_in(each) for each in sorted(before.folder.glob("*.log")))}


def _lay_out(connection: sqlite3.Connection) -> None:
    connection.execute(SCHEMA)
    ((table,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'jobs'").fetchall()
    for statement in MOVE if "'cancelled'" not in table else ():
        connection.execute(statement)
    if "begun" not in [row[1] for row in connection.execute("PRAGMA table_info(jobs)")]:
        connection.execute("ALTER TABLE jobs ADD COLUMN begun INTEGER NOT NULL DEFAULT 0")


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except DatabaseFailed as exc:
        raise JobRefused(f"No jobs can be kept: {exc.what}", next_step=exc.next_step) from exc
