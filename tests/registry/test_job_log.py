"""What a job's processes print: in a file on a host of its own, for all hosts that share a database."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import structlog

from registry import shared_job_log
from registry.database.postgres import Postgres
from registry.errors import JobRefused
from registry.job_log import FileLogs, Part
from registry.jobs import Jobs, move
from registry.progress import Progress
from registry.settings import Settings


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_job_log, "COPY_EVERY_S", 0.05)


@pytest.fixture
def worker(either_url: str, tmp_path: Path) -> Jobs:
    """As the host sees them whose worker works."""
    return Jobs.of(Settings(_env_file=None, home=tmp_path / "a", database_url=either_url))


@pytest.fixture
def other(either_url: str, tmp_path: Path) -> Jobs:
    """As any other host does, where they share a database; else as another process of that host."""
    return Jobs.of(Settings(_env_file=None, home=tmp_path / ("b" if either_url else "a"), database_url=either_url))


@pytest.fixture
def shared(database_url: str, tmp_path: Path) -> Jobs:
    return Jobs.of(Settings(_env_file=None, home=tmp_path / "a", database_url=database_url))


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


@contextlib.contextmanager
def broken(url: str) -> Iterator[None]:
    """The database refuses what concerns logs."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE job_logs RENAME TO elsewhere")
        yield
        connection.execute("ALTER TABLE elsewhere RENAME TO job_logs")


def test_it_is_read_while_it_grows(worker: Jobs, other: Jobs) -> None:
    """Line by line, from where the last look ended; a step of progress is a line too; done again, the job goes on in it."""
    job = worker.submit("retrain", {}).id
    assert (other.printed(job), other.log_place(job)) == (Part("", 0, 0), "")
    advanced = []
    with worker.printing(job, lambda *progress: advanced.append(progress)) as printed:
        printed.read("answer one — 😀\n")
        until(lambda: other.printed(job).text == "answer one — 😀\n")
        first = other.printed(job)
        printed.read(Progress("2 of 3", 0.5).line())
        printed.read(Progress("2 of 3", 0.6).line())
        until(lambda: other.printed(job, first.end).text == "[50%] 2 of 3\n")
        printed.read("cut off")
    assert advanced == [("2 of 3", 0.5), ("2 of 3", 0.6)]
    with worker.printing(job, lambda *_: None) as printed:
        printed.read(" again\n")
    whole = "answer one — 😀\n[50%] 2 of 3\ncut off again\n"
    assert other.printed(job) == Part(whole, 0, len(whole.encode()))
    assert other.printed(job, 5, 10) == Part("off again\n", len(whole.encode()) - 10, len(whole.encode()))
    assert other.printed(job, 10_000).text == ""
    assert job in other.log_place(job)


def test_another_hosts_run_follows(shared: Jobs, database_url: str, tmp_path: Path) -> None:
    """A job that another host's worker begins again goes on in the same log, whatever that host had printed before."""
    job = shared.submit("retrain", {}).id
    second = Jobs.of(Settings(_env_file=None, home=tmp_path / "b", database_url=database_url))
    for jobs, line in ((shared, "on a\n"), (second, "on b\n"), (shared, "on a again\n")):
        with jobs.printing(job, lambda *_: None) as printed:
            printed.read(line)
    assert shared.printed(job).text == second.printed(job).text == "on a\non b\non a again\n"


def test_of_a_long_one_beginning_and_end_are_kept(shared: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its plan and its failure, with a line where something is left out; the file of its worker's host is whole."""
    for name, value in (("PIECE", 10), ("HEAD", 20), ("TAIL", 30)):
        monkeypatch.setattr(shared_job_log, name, value)
    job = shared.submit("retrain", {})
    lines = [f"{at:09}\n" for at in range(100)]
    with shared.printing(job.id, lambda *_: None) as printed:
        for line in lines:
            printed.read(line)
    left_out = "[... 950 bytes are not kept ...]\n"
    assert shared.printed(job.id) == Part("".join([*lines[:2], left_out, *lines[-3:]]), 0, 1000)
    assert shared.printed(job.id, 500) == Part("".join(["[... 470 bytes are not kept ...]\n", *lines[-3:]]), 500, 1000)
    assert shared.printed(job.id, 0, 15).text == "0000098\n000000099\n"[-15:]
    assert Path(job.log).read_text() == "".join(lines)


def test_a_database_that_is_away_gets_later_what_it_missed(shared: Jobs, database_url: str) -> None:
    """The job goes on meanwhile, and the worker's log says once that nobody else sees it."""
    job = shared.submit("retrain", {}).id
    with structlog.testing.capture_logs() as logged, shared.printing(job, lambda *_: None) as printed:
        with broken(database_url):
            printed.read("one\n")
            until(lambda: len(logged) > 0)
            printed.read("two\n")
            with pytest.raises(JobRefused, match="job_logs"):
                shared.printed(job)
        until(lambda: shared.printed(job).text == "one\ntwo\n")
    assert {each["event"] for each in logged} == {"job_log_not_shared"}


def test_so_many_logs_are_kept(shared: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the newest jobs that print something."""
    monkeypatch.setattr(shared_job_log, "KEPT", 2)
    ids = [shared.submit("retrain", {}).id for _ in range(3)]
    shared.submit("promote", {"version": "1"})
    for job in ids:
        with shared.printing(job, lambda *_: None) as printed:
            printed.read("printed\n")
    assert [shared.printed(job).text for job in ids] == ["", "printed\n", "printed\n"]


def test_a_hosts_logs_come_with_its_jobs(database_url: str, tmp_path: Path) -> None:
    """Once, however often they are moved."""
    own = Jobs.in_file(tmp_path / "a" / "var" / "jobs.db")
    job = own.submit("retrain", {}).id
    with own.printing(job, lambda *_: None) as printed:
        printed.read("before\n")
    database = Postgres(database_url)
    came = [move(tmp_path / "a" / "var" / "jobs.db", database) for _ in range(2)]
    assert came == [{"jobs": 1, "logs of jobs": 1}, {"jobs": 0, "logs of jobs": 0}]
    assert Jobs.of(Settings(_env_file=None, home=tmp_path / "b", database_url=database_url)).printed(job).text == "before\n"


def test_a_file_that_is_cut_short_meanwhile_is_read_from_its_new_end(tmp_path: Path) -> None:
    """Whoever asks for what lies behind it gets nothing, and where to go on."""
    logs = FileLogs(tmp_path)
    logs.path("x").write_text("abc")
    assert logs.read("x", after=9) == Part("", 3, 3)
