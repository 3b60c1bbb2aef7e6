"""Jobs: submitted from any process, done one at a time, never lost."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import structlog

from registry import worker as workers
from registry.child_process import Child
from registry.errors import JobEnded, JobRefused, JobUnknown
from registry.jobs import COLUMNS, MOST_BEGUN, Job, Jobs
from registry.settings import Settings
from tests.pipelines import dvc_project

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(either_url: str, tmp_path: Path) -> Settings:
    return Settings(_env_file=None, home=tmp_path, database_url=either_url)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def in_file(path: Path) -> Jobs:
    return Jobs.in_file(path)


@pytest.fixture
def jobs(settings: Settings) -> Jobs:
    """In a file, and in PostgreSQL: the same tests."""
    return Jobs.of(settings)


def test_a_job_is_there_from_the_moment_it_is_submitted(jobs: Jobs, settings: Settings) -> None:
    """What was submitted is read back by anyone, in order, with its arguments."""
    first = jobs.submit("retrain", {"reason": "drift"})
    second = jobs.submit("promote", {"version": "3"})
    assert [job.id for job in Jobs.of(settings).list()] == [first.id, second.id]
    assert jobs.get(first.id) == first
    assert (first.kind, first.state, first.arguments, first.progress, first.error) == ("retrain", "queued", {"reason": "drift"}, 0.0, None)
    assert jobs.get("nobody") is None


def test_the_same_key_is_the_same_job(jobs: Jobs) -> None:
    """However often and from however many threads a verdict is acted on, it makes one job."""
    with ThreadPoolExecutor(8) as pool:
        submitted = list(pool.map(lambda _: jobs.submit("retrain", {}, key="verdict-1"), range(24)))
    assert len({job.id for job in submitted}) == 1
    assert len(jobs.list()) == 1
    assert jobs.submit("retrain", {}, key="verdict-2").id != submitted[0].id


def test_an_unknown_kind_and_a_bad_file_are_refused(jobs: Jobs, tmp_path: Path) -> None:
    """A kind nobody does is refused; so is a file that is no database."""
    with pytest.raises(JobRefused, match=r"'dance'.*retrain, harvest, promote, rollback"):
        jobs.submit("dance", {})  # type: ignore[arg-type]
    (tmp_path / "text.db").write_text("not a database, but long enough to be read as one" * 30)
    with pytest.raises(JobRefused, match=r"text\.db: cannot be used"):
        Jobs.in_file(tmp_path / "text.db")


def test_a_file_that_breaks_later_is_refused_too(in_file: Jobs, path: Path) -> None:
    """Whatever SQLite raises after the file was opened comes as JobRefused."""
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE jobs")
    for attempt in (
        in_file.list,
        lambda: in_file.get("x"),
        lambda: in_file.submit("retrain", {}),
        lambda: in_file.claim("x"),
        in_file.requeue_running,
    ):
        with pytest.raises(JobRefused, match=r"jobs\.db: cannot be used \(no such table"):
            attempt()


def test_a_job_is_claimed_once(jobs: Jobs) -> None:
    """Of many who want to do a job one does; it ends once, and what comes later changes nothing."""
    job = jobs.submit("retrain", {})
    with ThreadPoolExecutor(8) as pool:
        claims = [claim for claim in pool.map(lambda _: jobs.claim(job.id), range(16)) if claim]
    assert len(claims) == 1
    assert claims[0].state == "running"
    jobs.advance(job.id, "train", 1.7)
    assert (jobs.list()[0].step, jobs.list()[0].progress) == ("train", 1.0)
    jobs.finish(job.id, "version 4 registered")
    jobs.fail(job.id, "too late")
    jobs.advance(job.id, "too late", 0.1)
    done = jobs.list()[0]
    assert (done.state, done.step, done.progress, done.error) == ("done", "version 4 registered", 1.0, None)
    assert jobs.claim(job.id) is None


def test_interrupted_jobs_wait_again(jobs: Jobs) -> None:
    """A job whose worker is gone is waiting; finished ones stay finished."""
    running, done = jobs.submit("retrain", {}), jobs.submit("retrain", {})
    jobs.claim(running.id)
    jobs.claim(done.id)
    jobs.finish(done.id, "done")
    assert jobs.requeue_running() == 1
    assert [job.state for job in jobs.list()] == ["queued", "done"]


def test_a_job_that_takes_its_worker_with_it_is_given_up(jobs: Jobs) -> None:
    """After so many workers that died of it, with a reason; those that were told to stop do not count."""
    deadly, patient = jobs.submit("retrain", {}), jobs.submit("retrain", {})
    for at in range(MOST_BEGUN):
        assert jobs.give_up() == []
        for job in (deadly, patient):
            assert jobs.claim(job.id) is not None
        jobs.put_back(patient.id)
        if at < MOST_BEGUN - 1:
            assert jobs.requeue_running() == 1
    (given_up,) = jobs.give_up()
    assert (given_up.id, given_up.state, given_up.ended_at is None) == (deadly.id, "failed", False)
    assert "Its worker was killed" in str(given_up.error)
    assert [job.state for job in jobs.list()] == ["failed", "queued"]
    assert jobs.claim(patient.id) is not None
    assert jobs.give_up() == []


def test_the_job_that_waits_longest_is_next(jobs: Jobs) -> None:
    """Jobs are done in the order they were submitted; an interrupted one keeps its place."""
    first, second = jobs.submit("retrain", {}), jobs.submit("promote", {"version": "1"})
    claimed = jobs.claim_next()
    assert claimed is not None
    assert (claimed.id, claimed.state) == (first.id, "running")
    jobs.requeue_running()
    claims = [jobs.claim_next() for _ in range(3)]
    assert [claim and claim.id for claim in claims] == [first.id, second.id, None]


def test_a_job_that_waits_is_cancelled_before_it_begins(jobs: Jobs) -> None:
    """It ends at once, nobody claims it any more, and cancelling it again changes nothing."""
    job = jobs.submit("promote", {"version": "1"})
    cancelled = jobs.cancel(job.id)
    assert (cancelled.state, cancelled.step, cancelled.error) == ("cancelled", "cancelled before it began", None)
    assert cancelled.ended_at is not None
    assert jobs.claim(job.id) is None
    assert jobs.cancel(job.id) == cancelled


def test_a_job_that_ended_or_is_none_is_not_cancelled(jobs: Jobs) -> None:
    """What is done, or about to be, is named; so is an id that is nearly one."""
    done, promoting = jobs.submit("retrain", {}), jobs.submit("promote", {"version": "1"})
    for job in (done, promoting):
        jobs.claim(job.id)
    jobs.finish(done.id, "version 4 registered")
    with pytest.raises(JobEnded, match=f"Job {done.id} has ended already: done."):
        jobs.cancel(done.id)
    with pytest.raises(JobEnded, match=f"Job {promoting.id} is a promote under way"):
        jobs.cancel(promoting.id)
    with pytest.raises(JobUnknown, match=f"No job is called '{done.id[:-1]}'. Did you mean {done.id}"):
        jobs.cancel(done.id[:-1])
    with pytest.raises(JobUnknown, match="`routemoa jobs`"):
        jobs.require("x")
    assert [job.state for job in jobs.list()] == ["done", "running"]


def test_a_running_job_is_cancelled_and_then_ended(jobs: Jobs) -> None:
    """It is cancelled at once and has an end when its processes have; its worker's death is such an end too."""
    first, second = jobs.submit("retrain", {}), jobs.submit("retrain", {})
    for job in (first, second):
        jobs.claim(job.id)
        assert (jobs.cancel(job.id).state, jobs.cancel(job.id).ended_at) == ("cancelled", None)
        jobs.advance(job.id, "too late", 0.9)
        jobs.fail(job.id, "stopped")
    jobs.end_cancelled(first.id, "cancelled; all is kept")
    assert jobs.requeue_running() == 0
    assert [(job.state, job.step, job.error, job.ended_at is None) for job in jobs.list()] == [
        ("cancelled", "cancelled; all is kept", None, False),
        ("cancelled", "cancelled", None, False),
    ]


def test_a_file_from_before_jobs_could_be_cancelled_goes_on(in_file: Jobs, path: Path) -> None:
    """Its jobs, their order and their keys are kept, and the next one can be cancelled."""
    kept = [in_file.submit("retrain", {}, key="verdict-1"), in_file.submit("promote", {"version": "3"})]
    with sqlite3.connect(path) as connection:
        ((table,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'jobs'").fetchall()
        connection.execute("ALTER TABLE jobs RENAME TO now")
        connection.execute(table.replace(", 'cancelled'", "").replace(", begun INTEGER NOT NULL DEFAULT 0", ""))
        connection.execute(f"INSERT INTO jobs SELECT number, id, key, {COLUMNS.removeprefix('id, ')} FROM now")
        connection.execute("DROP TABLE now")
    before = Jobs.in_file(path)
    assert before.list() == kept
    assert before.submit("retrain", {}, key="verdict-1") == kept[0]
    assert before.cancel(kept[0].id).state == "cancelled"
    assert [job.id for job in Jobs.in_file(path).list()] == [job.id for job in kept]


def test_the_file_holds_no_pickles(in_file: Jobs, path: Path) -> None:
    """One table of texts and numbers, arguments as JSON: reading the file runs nobody's code."""
    in_file.submit("retrain", {"reason": "drift"})
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("jobs",)]
        (row,) = connection.execute("SELECT * FROM jobs").fetchall()
    assert not any(isinstance(value, bytes) for value in row)
    assert '{"reason": "drift"}' in row


@contextlib.contextmanager
def worker(home: Path, database_url: str = "") -> Iterator[subprocess.Popen[str]]:
    """A real worker process of this project, ended at the end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ROUTEMOA_HOME": str(home), "ROUTEMOA_MLFLOW_URL": "http://127.0.0.1:9"}
    environment["ROUTEMOA_DATABASE_URL"] = database_url
    with (home / "worker.log").open("a") as log:
        process = subprocess.Popen([sys.executable, "-m", "registry.worker"], cwd=home, env=environment, stdout=log, stderr=log, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(jobs: Jobs, job: Job, *states: str, step: str = "", seconds: float = 90) -> Job:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = jobs.get(job.id)
        assert found is not None
        if found.state in states and step in found.step:
            return found
        time.sleep(0.1)
    pytest.fail(f"{found} is not {states} {step!r}. The worker said: {(Path(found.log).parents[3] / 'worker.log').read_text()[-2000:]}")


@pytest.mark.slow
def test_a_worker_retrains_survives_kill_9_and_stops_cleanly(tmp_path: Path) -> None:
    """Progress is seen while the stages run; a killed worker's job is run again by the next one, and so is a stopped one's."""
    home = dvc_project.make(tmp_path / "home")
    jobs = Jobs.in_file(home / "var" / "jobs.db")
    (home / "stage-waits").touch()
    job = jobs.submit("retrain", {"reasons": ["queries are novel"]})
    with worker(home) as first:
        running = wait_for(jobs, job, "running", step="2 of 3")
        assert 0 < running.progress < 1
        first.send_signal(signal.SIGKILL)
        first.wait()
    with worker(home) as second:
        time.sleep(1)
        wait_for(jobs, job, "running", step="2 of 3")
        refused = subprocess.run(
            [sys.executable, "-m", "registry.worker"],
            env={**os.environ, "ROUTEMOA_HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 1
        assert "another worker runs" in refused.stderr
        second.send_signal(signal.SIGTERM)
        assert second.wait(timeout=40) == 0
    waiting = jobs.get(job.id)
    assert waiting is not None
    assert waiting.state == "queued"
    (home / "stage-waits").unlink()
    with worker(home):
        done = wait_for(jobs, job, "done", "failed")
        assert (done.state, done.step) == ("done", "scorer version 7 registered, gate passed. Promote: routemoa promote 7")
        assert done.started_at is not None
        assert done.ended_at is not None
        promote = jobs.submit("promote", {"version": "7"})
        failed = wait_for(jobs, promote, "failed")
        assert "http://127.0.0.1:9" in (failed.error or "")


@pytest.mark.long
def test_a_job_is_cancelled_and_a_failed_one_says_why_once(tmp_path: Path) -> None:
    """A cancelled retraining leaves no process and no lock, so the next one runs; what each printed is in its own log."""
    home = dvc_project.make(tmp_path / "home")
    jobs = Jobs.in_file(home / "var" / "jobs.db")
    (home / "stage-waits").touch()
    cancelled, failing = jobs.submit("retrain", {"reason": "the first"}), jobs.submit("retrain", {"reason": "the second"})
    with worker(home):
        wait_for(jobs, cancelled, "running", step="2 of 3")
        assert stages(home)
        jobs.cancel(cancelled.id)
        wait_for(jobs, cancelled, "cancelled", step="is kept")
        assert not stages(home)
        (home / "stage-waits").unlink()
        (home / "stage-fails").touch()
        failed = wait_for(jobs, failing, "failed")
    assert failed.error is not None
    assert failed.error.count("The endpoint at http://127.0.0.1:9/v1 does not answer.") == 1
    assert "failed to reproduce 'answer@" in failed.error
    first, second = Path(cancelled.log).read_text(), Path(failing.log).read_text()
    assert "because: the first" in first
    assert "(2 of 3)\n" in first
    assert "http://127.0.0.1:9/v1 does not answer" not in first
    assert "The endpoint at http://127.0.0.1:9/v1 does not answer." in second


def stages(home: Path) -> list[int]:
    """Processes that run a stage of this project."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "stage.py" in process.cmdline() and process.cwd() == str(home):
                found.append(process.pid)
    return found


@pytest.fixture
def worker_of(in_file: Jobs, path: Path) -> workers.Worker:
    """A worker in this process, of a project whose MLflow does not answer."""
    return workers.Worker(Settings(_env_file=None, home=path.parent, mlflow_url="http://127.0.0.1:9"), in_file)


def test_what_goes_wrong_in_a_job_is_written_into_its_row(
    in_file: Jobs, worker_of: workers.Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an error of ours nor one nobody thought of ends the worker: the job failed, and says why."""
    submitted = [in_file.submit("rollback", {}), in_file.submit("promote", {})]  # the second has no version: a KeyError
    monkeypatch.setattr("registry.versions.champion", lambda **_: (_ for _ in ()).throw(JobRefused("No MLflow.", next_step="Start it.")))
    for _ in submitted:
        job = in_file.claim_next()
        assert job is not None
        worker_of.perform(job)
    assert [(job.state, job.error) for job in in_file.list()] == [("failed", "No MLflow. Start it."), ("failed", "KeyError: 'version'")]


@pytest.mark.parametrize(("arguments", "harvests"), [({"reason": "x joined", "llm": "x"}, False), ({"harvest": True}, True)])
def test_a_retraining_harvests_where_its_job_says_so(
    in_file: Jobs, worker_of: workers.Worker, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, object], harvests: bool
) -> None:
    """The worker tells the process it starts; a join's job says nothing, so nobody else is asked."""
    commands: list[list[str]] = []
    monkeypatch.setattr(Child, "run", lambda _self, command, *_, **__: commands.append(command))
    in_file.submit("retrain", arguments)
    job = in_file.claim_next()
    assert job is not None
    worker_of.perform(job)
    assert [("--harvest" in command) for command in commands] == [harvests]


def test_a_worker_outlives_a_table_that_cannot_be_used(
    in_file: Jobs, path: Path, worker_of: workers.Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process holds the file, neither looking for a job nor writing a job's end ends the worker; then the job is done."""
    monkeypatch.setattr(workers, "POLL_S", 0.05)
    monkeypatch.setattr("registry.database.sqlite.BUSY_S", 0.05)
    monkeypatch.setattr(workers.signal, "signal", lambda *_: None)  # it runs in a thread here
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    versions = []

    def promoted(version: str, **_: object) -> object:
        versions.append(version)
        if len(versions) == 1:
            holder.execute("BEGIN IMMEDIATE")  # the first time, its end cannot be written
        return SimpleNamespace(version=version)

    monkeypatch.setattr("registry.promotion.promote", promoted)
    submitted = in_file.submit("promote", {"version": "3"})
    thread = threading.Thread(target=worker_of.run)
    with structlog.testing.capture_logs() as logged:
        thread.start()
        until = time.monotonic() + 20
        while sum(each["event"] == "jobs_out_of_reach" for each in logged) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert thread.is_alive()
        holder.execute("ROLLBACK")
        while in_file.list()[0].state != "done" and time.monotonic() < until:
            time.sleep(0.05)
        worker_of.stop()
        thread.join(20)
    holder.close()
    assert versions == ["3", "3"]
    assert [(job.id, job.state, job.step) for job in in_file.list()] == [(submitted.id, "done", "scorer version 3 is champion")]
    assert "cannot be used (database is locked)" in next(each["error"] for each in logged if each["event"] == "jobs_out_of_reach")


def test_a_job_that_breaks_because_the_worker_stops_waits_again(in_file: Jobs, worker_of: workers.Worker) -> None:
    """Its error is the stop's, not its own."""
    in_file.submit("promote", {})
    job = in_file.claim_next()
    assert job is not None
    worker_of.stopping.set()
    worker_of.perform(job)
    assert [(job.state, job.error) for job in in_file.list()] == [("queued", None)]


def test_a_worker_says_which_job_it_gives_up(in_file: Jobs, worker_of: workers.Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, to whoever is told of ended jobs."""
    job = in_file.submit("retrain", {})
    for _ in range(MOST_BEGUN):
        in_file.requeue_running()
        in_file.claim(job.id)
    told: list[str] = []
    monkeypatch.setattr("registry.notices.send", lambda _, title, body: told.append(f"{title}: {body}"))
    worker_of.stopping.set()
    for _ in range(2):
        worker_of._work()
    assert len(told) == 1
    assert f"job {job.id} failed: Its worker was killed, or lost its database, 5 times" in told[0]


def test_a_retraining_that_does_not_end_when_asked_is_ended(in_file: Jobs, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped worker waits STOP_WITHIN_S for its child; then its stdin closes, which every retraining ends at."""
    monkeypatch.setattr(workers, "STOP_WITHIN_S", 0.2)
    stubborn = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); sys.stdin.read()"
    worker = workers.Worker(Settings(_env_file=None, home=path.parent), in_file)
    worker._child = Child(tied=True, stop_within_s=workers.STOP_WITHIN_S)
    worker._child.run([sys.executable, "-c", stubborn], lambda _: worker.stop(), cwd=path.parent)
    assert worker.stopping.is_set()


def test_many_processes_may_write_at_once(settings: Settings) -> None:
    """Submitting from several `Jobs` of one database at the same time loses none."""

    def submit(_: int) -> None:
        jobs = Jobs.of(settings)
        for at in range(10):
            jobs.submit("retrain", {"at": at})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(submit, range(4)))
    assert len(Jobs.of(settings).list()) == 40


def test_many_processes_may_start_at_once(tmp_path: Path) -> None:
    """A new file is made by whoever comes first, and nobody else fails: SQLite's switch to WAL does not wait by itself."""
    together = threading.Barrier(8)

    def start(path: Path) -> Jobs:
        together.wait()
        return Jobs.in_file(path)

    with ThreadPoolExecutor(8) as pool:
        for attempt in range(60):
            assert len(list(pool.map(start, [tmp_path / f"{attempt}.db"] * 8))) == 8


@pytest.mark.slow
def test_of_two_hosts_workers_one_works_and_the_other_takes_over(tmp_path: Path, database_url: str) -> None:
    """The job runs on the host that leads; killed, its job is begun again on the other and ends there."""
    homes = [dvc_project.make(tmp_path / name) for name in ("a", "b")]
    for home in homes:
        (home / "stage-waits").touch()
    shared = Jobs.of(Settings(_env_file=None, home=homes[0], database_url=database_url))
    with worker(homes[0], database_url) as first, worker(homes[1], database_url) as second:
        workers_of = dict(zip(homes, (first, second), strict=True))
        job = shared.submit("retrain", {"reason": "drift"})
        wait_for(shared, job, "running", step="2 of 3")
        (leader,) = [home for home in homes if stages(home)]
        (other,) = [home for home in homes if home != leader]
        elsewhere = Jobs.of(Settings(_env_file=None, home=other, database_url=database_url))
        give_up = time.monotonic() + 60
        while "(2 of 3)" not in elsewhere.printed(job.id).text:  # while it runs, on a host that does not run it
            assert time.monotonic() < give_up
            time.sleep(0.1)
        workers_of[leader].kill()
        give_up = time.monotonic() + 60
        while not stages(other) and time.monotonic() < give_up:
            time.sleep(0.1)
        assert stages(other)
        (other / "stage-waits").unlink()
        assert wait_for(shared, job, "done", "failed").state == "done"
    assert shared.printed(job.id).text.count("because: drift") == 2  # both hosts' runs
