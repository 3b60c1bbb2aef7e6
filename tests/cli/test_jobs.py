"""`routemoa jobs`: what the worker has done, does and will do."""

from pathlib import Path

from registry.jobs import Jobs
from tests.cli.command_line import output


def test_without_jobs_it_says_how_one_starts(home: Path) -> None:
    """An empty table tells nobody anything."""
    assert "No job yet. `routemoa retrain` starts one." in output("jobs")


def test_jobs_are_listed_newest_first_with_what_came_of_them(home: Path) -> None:
    """State, step, progress and reason of each; the error of a failed one; square brackets are text."""
    jobs = Jobs(home / "var" / "jobs.db")
    failed = jobs.submit("retrain", {"reasons": ["73% of queries are novel", "and more"]})
    running = jobs.submit("promote", {"version": "7", "reason": "a person [asked]"})
    waiting = jobs.submit("retrain", {})
    jobs.claim(failed.id)
    jobs.fail(failed.id, "no space [on] disk")
    jobs.claim(running.id)
    jobs.advance(running.id, "answer (2 of 3)", 0.4)
    rows = [line for line in output("jobs").splitlines() if "retrain-" in line or "promote-" in line]
    assert [row.split("│")[1].strip() for row in rows] == [waiting.id, running.id, failed.id]
    assert "queued" in rows[0]
    assert all(part in rows[1] for part in ("running", "answer (2 of 3)", "40%", "a person [asked]"))
    assert "no space [on] disk" in rows[2]


def test_a_job_is_promised_only_once_a_worker_runs(home: Path) -> None:
    """Whoever retrains without `routemoa up` is told what is missing, and the job waits."""
    printed = output("retrain", "--reason", "fresh answers")
    (job,) = Jobs(home / "var" / "jobs.db").list()
    assert job.id in printed
    assert "once a worker runs (`routemoa up`)" in printed
    output("retrain", "--harvest")
    assert Jobs(home / "var" / "jobs.db").list()[1].arguments["harvest"] is True
    assert (job.state, job.arguments) == ("queued", {"reason": "fresh answers", "harvest": False})
