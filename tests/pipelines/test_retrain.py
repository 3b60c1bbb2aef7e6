"""Going round the loop in a real DVC project."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from monitoring.records.reference import Reference
from monitoring.records.store import RecordStore
from pipelines.retrain import AskingProgress, ReproProgress
from registry.jobs import Jobs
from registry.progress import Progress
from tests import orphans
from tests.pipelines import dvc_project
from tests.pipelines.served import serve

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dvc_project.make(tmp_path_factory.mktemp("template") / "home")


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    """A project of its own for each test; making one anew takes DVC three starts."""
    return Path(shutil.copytree(template, tmp_path / "home", symlinks=True))


def start(home: Path, *arguments: str, stdin: int | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pipelines.retrain", "--job", "retrain-1", "--reason", "a test", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ROUTEMOA_HOME": str(home), "ROUTEMOA_MLFLOW_URL": "http://127.0.0.1:9"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=home, env=environment, stdin=stdin, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def read_until(process: subprocess.Popen[str], words: str) -> None:
    """Reads what it prints up to a line with these words."""
    assert process.stdout is not None
    said = []
    while words not in (line := process.stdout.readline()):
        said.append(line)
        assert line, "".join(said)


def retrain(home: Path, *arguments: str) -> tuple[int, str]:
    process = start(home, *arguments)
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def steps(said: str) -> list[tuple[str, float]]:
    return [(each.step, each.share) for line in said.splitlines() if (each := Progress.parse(line))]


@pytest.mark.slow
def test_a_round_runs_what_changed_and_reports(home: Path) -> None:
    """Stages run once, progress only grows and ends at 1 with the version and its gate; a second round runs nothing again."""
    code, said = retrain(home, "--harvest")
    assert code == 0, said
    assert sorted(dvc_project.ran(home)) == ["first", "gate", "second"]
    told = steps(said)
    assert [step for step, _ in told[:2]] == ["harvest", "asking"]
    assert told[-1] == ("scorer version 7 registered, gate passed. Promote: routemoa promote 7", 1.0)
    assert ("answer first (2 of 3)") in [step for step, _ in told]
    assert [progress for _, progress in told] == sorted(progress for _, progress in told)
    assert "because: a test" in said
    assert "No run is kept of this retraining: MLflow at http://127.0.0.1:9 does not answer." in said
    assert "Not saved as a DVC experiment: the project is not under git" in said
    pinned = (home / "data.dvc").read_text()
    code, said = retrain(home)
    assert (code, len(dvc_project.ran(home))) == (0, 3)
    assert steps(said)[-1][0].startswith("no new scorer version, 7 stays: nothing was harvested")
    assert (home / "data.dvc").read_text() == pinned


@pytest.mark.long
@pytest.mark.slow
def test_served_queries_are_taken_in_only_where_it_is_told_to(home: Path) -> None:
    """Without --harvest the data and their pin stay; with it they come in and stages run; data changed otherwise are pinned either way."""
    pinned = (home / "data.dvc").read_text()
    serve(home / "var" / "records.db", "What is two and two?", outcome=1.0, reference=Reference("number", "4"))
    serve(home / "var" / "records.db", "What is love?")
    code, said = retrain(home)
    assert (code, (home / "data.dvc").read_text()) == (0, pinned), said
    assert not (home / "data" / "harvested.parquet").exists()
    code, said = retrain(home, "--harvest")
    assert code == 0, said
    assert "1 new queries (mathematics 1), 1 new labels. Left out: 1 that nothing would grade." in said
    assert (harvested := (home / "data.dvc").read_text()) != pinned
    assert sorted(dvc_project.ran(home)[3:]) == ["first", "second"]  # asked the new query; what they wrote is the same, so no gate again
    (home / "data" / "brought.txt").write_text("by an import")
    assert retrain(home)[0] == 0
    assert (home / "data.dvc").read_text() not in {pinned, harvested}


@pytest.mark.slow
def test_a_round_for_a_group_says_first_what_it_will_do(home: Path) -> None:
    """Its plan stands in the log before anything is asked; what nothing grades is put to the pool; a failure keeps what came in."""
    serve(home / "var" / "records.db", "What is two and two?", outcome=1.0, reference=Reference("number", "4"))
    serve(home / "var" / "records.db", "What is love?")
    members = [record.id for record in RecordStore(home / "var" / "records.db").scan(0, 2000)]
    job = Jobs.in_file(home / "var" / "jobs.db").submit("retrain", {"groups": [{"name": "sums", "members": members}], "harvest": True})
    (home / "stage-fails").touch()
    code, said = retrain(home, "--job", job.id, "--harvest")
    assert code == 1
    plan, consensus = (
        said.index("sums: 2 answers, promised 0.50"),
        said.index("consensus: 0 of 1 queries that nothing else grades got a reference."),
    )
    assert plan < said.index("Costs about 0.0000 USD") < consensus < said.index("The endpoint at")
    assert "1 new queries (mathematics 1), 1 new labels." in said
    assert (home / "data" / "harvested.parquet").exists()
    (home / "stage-fails").unlink()
    code, said = retrain(home, "--job", job.id, "--harvest")
    assert code == 0, said
    assert "0 new queries" in said


@pytest.mark.slow
def test_a_failing_stage_is_told_in_its_own_words(home: Path) -> None:
    """What the stage said and which stage it was reach whoever reads the job; the exit code is not 0."""
    (home / "stage-fails").touch()
    code, said = retrain(home)
    assert code == 1
    last = said.strip().splitlines()[-1]
    assert "The endpoint at http://127.0.0.1:9/v1 does not answer." in last
    assert "answer@" in last


@pytest.mark.slow
def test_stopping_leaves_no_lock_and_no_process(home: Path) -> None:
    """SIGTERM ends DVC and its stage, and a later round goes through."""
    (home / "stage-waits").touch()
    process = start(home)
    read_until(process, "2 of 3")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 1
    (home / "stage-waits").unlink()
    code, said = retrain(home)
    assert code == 0, said


@pytest.mark.slow
def test_one_whose_worker_was_killed_leaves_the_project_free(home: Path) -> None:
    """DVC takes the project for locked while the process that locked it is there, a zombie too: none is left for others to reap."""
    (home / "stage-waits").touch()
    with orphans.adopted():
        process = start(home, "--with-parent", stdin=subprocess.PIPE)
        read_until(process, "2 of 3")
        assert process.stdin is not None
        process.stdin.close()  # as when its worker is killed
        process.wait(timeout=120)
        (home / "stage-waits").unlink()
        code, said = retrain(home)
    assert code == 0, said


@pytest.mark.slow
def test_one_that_was_killed_leaves_the_project_free(home: Path) -> None:
    """`kill -9` of the retraining ends DVC and the stage that it runs; the next one goes through."""
    (home / "stage-waits").touch()
    with orphans.adopted():
        process = start(home)
        read_until(process, "2 of 3")
        running = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate(timeout=120)
        until = time.monotonic() + 60
        while any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in running):
            assert time.monotonic() < until, running
            time.sleep(0.05)
    assert len(running) > 1
    (home / "stage-waits").unlink()
    code, said = retrain(home)
    assert code == 0, said


@pytest.mark.slow
def test_a_project_locked_by_dvc_is_told_so(home: Path) -> None:
    """A `dvc repro` started by hand blocks a retraining, and the message names it."""
    (home / "stage-waits").touch()
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    by_hand = subprocess.Popen([sys.executable, "-m", "dvc", "repro"], cwd=home, stdout=subprocess.PIPE, text=True, env=environment)
    read_until(by_hand, "2 of 3")
    code, said = retrain(home)
    (home / "stage-waits").unlink()
    by_hand.communicate(timeout=60)
    assert code == 1
    assert f"the project is locked by (PID {by_hand.pid})" in said.strip().splitlines()[-1]


def test_the_progress_of_the_whole_follows_from_dvcs_output() -> None:
    """A stage begins, reports its own progress, is skipped: the share of the whole follows, and other lines change nothing."""
    whole = ReproProgress(stages=4)
    assert whole.read("> python -m pipelines.answer a") is None
    began = whole.read("Running stage 'answer@first':")
    halfway = whole.read(Progress("5 of 10", 0.5).line())
    skipped = whole.read("Stage 'answer@second' didn't change, skipping")
    assert began
    assert halfway
    assert skipped
    assert (began.step, halfway.step, skipped.step) == ("answer first", "answer first (5 of 10)", "answer second")
    asked = AskingProgress().read(Progress("2 LLMs: 9 of 10", 0.9).line())
    assert asked
    assert asked.step == "asking 2 LLMs: 9 of 10"
    assert 0 < asked.share < began.share < halfway.share < skipped.share < 1
