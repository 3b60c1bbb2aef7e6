"""`routemoa jobs`: what the worker has done, does and will do."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.jobs import _followed
from cli.main import commands
from registry.errors import JobEnded, JobUnknown
from registry.jobs import Jobs
from tests.cli.command_line import WIDE, output, refusal, usage_error


def test_without_jobs_it_says_how_one_starts(home: Path) -> None:
    """An empty table tells nobody anything."""
    assert "No job yet. `routemoa retrain` starts one." in output("jobs")


@pytest.fixture
def jobs(home: Path) -> Jobs:
    """Three of them: a failed one, one under way, one that waits."""
    jobs = Jobs.in_file(home / "var" / "jobs.db")
    failed = jobs.submit("retrain", {"reasons": ["73% of queries are novel", "and more"]})
    running = jobs.submit("retrain", {"reason": "a person [asked]"})
    jobs.submit("retrain", {})
    jobs.claim(failed.id)
    jobs.fail(failed.id, "no space [on] disk")
    jobs.claim(running.id)
    jobs.advance(running.id, "answer lingua (180 of 400)", 0.4)
    return jobs


def test_jobs_are_listed_newest_first_with_what_came_of_them(jobs: Jobs) -> None:
    """State, step, progress and reason of each; the error of a failed one; square brackets are text; 80 columns are enough."""
    failed, running, waiting = jobs.list()
    printed = output("jobs", width=80)
    rows = [line for line in printed.splitlines() if "retrain-" in line]
    assert [row.split()[:2] for row in rows] == [[waiting.id, "queued"], [running.id, "running"], [failed.id, "failed"]]
    assert "answer lingua (180 of 400) (40%)" in rows[1]
    assert "no space [on] disk" in rows[2]
    assert "a person [asked]" in printed
    assert "73% of queries are novel; and more" in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert len(printed.splitlines()) == 3 + len(rows) + 2 + 2  # heading, a line each, two reasons, what next


def test_one_job_is_shown_with_its_log(jobs: Jobs) -> None:
    """All that is known of it, each on a line that is not broken; `--log` prints what its processes printed, and nothing else."""
    running, waiting = jobs.list()[1:]
    Path(running.log).parent.mkdir(parents=True)
    Path(running.log).write_text("lingua: 0 answered, [400] missing\n")
    shown = output("jobs", running.id, width=80)
    assert "  step     answer lingua (180 of 400) (40%)" in shown
    assert f"  log      {running.log}" in shown
    assert output("jobs", running.id, "--log") == "lingua: 0 answered, [400] missing\n"
    assert "log " not in output("jobs", waiting.id)
    assert "has printed nothing" in output("jobs", waiting.id, "--log")
    assert f"Did you mean {waiting.id}" in str(refusal(JobUnknown, "jobs", waiting.id[:-1], "--log"))
    assert "routemoa jobs JOB --follow" in usage_error("jobs", "--log")


def test_a_job_is_followed_to_its_end(jobs: Jobs) -> None:
    """Each step once, then what came of it; exit code 1 where that is no success, so that a script stops."""
    failed, _, waiting = jobs.list()
    said: list[str] = []
    coming = iter(
        [
            lambda: None,
            lambda: jobs.claim(waiting.id),
            lambda: jobs.advance(waiting.id, "train", 0.6),
            lambda: jobs.finish(waiting.id, "scorer version 2 registered"),
        ]
    )

    def wait() -> None:
        next(coming)()

    ended = _followed(jobs, waiting, said.append, wait)
    assert (ended.state, ended.step) == ("done", "scorer version 2 registered")
    assert said == ["waiting for a worker (`routemoa up` starts one)", "starting  0%", "train  60%"]
    assert "scorer version 2 registered" in output("jobs", waiting.id, "--follow")
    result = CliRunner().invoke(commands, ["jobs", failed.id, "--follow"], env=WIDE)
    assert (result.exit_code, "no space [on] disk" in result.output) == (1, True)
    assert "routemoa jobs JOB --follow" in usage_error("jobs", "--follow")


def test_a_job_is_cancelled_by_its_id(jobs: Jobs) -> None:
    """One that waits has ended; one that runs is told to; one that ended is refused."""
    failed, running, waiting = jobs.list()
    assert output("cancel", waiting.id) == f"Job {waiting.id} is cancelled.\n"
    assert "processes end within half a minute; what was answered and labelled is kept" in output("cancel", running.id)
    assert f"Job {failed.id} has ended already: failed." in str(refusal(JobEnded, "cancel", failed.id))
    assert [job.state for job in jobs.list()] == ["failed", "cancelled", "cancelled"]


def test_a_job_is_promised_only_once_a_worker_runs(home: Path) -> None:
    """Whoever retrains without `routemoa up` is told what is missing, and the job waits."""
    printed = output("retrain", "--reason", "fresh answers")
    (job,) = Jobs.in_file(home / "var" / "jobs.db").list()
    assert job.id in printed
    assert "once a worker runs (`routemoa up`)" in printed
    output("retrain", "--harvest")
    assert Jobs.in_file(home / "var" / "jobs.db").list()[1].arguments["harvest"] is True
    assert (job.state, job.arguments) == ("queued", {"reason": "fresh answers", "harvest": False})
