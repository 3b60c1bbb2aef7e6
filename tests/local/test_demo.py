"""The demo's pieces, without running the demo."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from local import demo, workspace
from local.errors import ProcessFailed, StepFailed
from local.stack import Stack
from local.story import Story
from local.traffic import Served, Visitor
from registry import versions
from registry.jobs import Job, Jobs
from registry.settings import Settings
from tests.mlflow_server import MLflow
from tests.registry.conftest import LINEAGE, METRICS, POOL, TRAIN
from tests.scorer.tiny import tiny_artifact


@pytest.fixture
def job(platform: Stack) -> Iterator[tuple[Jobs, Job]]:
    """A job that runs."""
    jobs = Jobs(platform.settings.var / "jobs.db")
    running = jobs.submit("retrain", {"reason": "a test"})
    jobs.claim(running.id)
    jobs.advance(running.id, "answer (2 of 3)", 0.5)
    yield jobs, running
    jobs.fail(running.id, "the test is over")


def test_a_job_is_followed_until_it_is_done(platform: Stack, visitor: Visitor, job: tuple[Jobs, Job]) -> None:
    """While it runs the demo waits; what came of it is its last step."""
    jobs, running = job
    finish = threading.Timer(1.5, lambda: jobs.finish(running.id, "scorer version 7 registered, gate passed"))
    finish.start()
    began = time.monotonic()
    assert demo.follow(platform, visitor, running.id) == "scorer version 7 registered, gate passed"
    assert time.monotonic() - began > 1.4


def test_a_failed_job_ends_the_step_with_its_reason_and_log(platform: Stack, visitor: Visitor, job: tuple[Jobs, Job]) -> None:
    """What the worker wrote, and where more stands."""
    jobs, running = job
    jobs.fail(running.id, "no labels for smollm2-135m")
    with pytest.raises(StepFailed, match=rf"job {running.id} failed: no labels for smollm2-135m Read .*worker\.log\.$"):
        demo.follow(platform, visitor, running.id)


def test_a_job_without_a_worker_is_not_waited_for(platform: Stack, visitor: Visitor, job: tuple[Jobs, Job]) -> None:
    """A worker that ends while its job runs is an error, not an endless wait."""
    platform.processes.running["worker"].kill()
    platform.processes.running["worker"].wait()
    with pytest.raises(ProcessFailed, match=r"worker ended with exit code -9"):
        demo.follow(platform, visitor, job[1].id)


def test_a_server_that_does_not_swap_ends_the_step(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that serves is seen at once; another one is waited for, but not for ever."""
    assert demo._swapped(visitor, "1").startswith("the server swapped to version 1 after 0.")
    monkeypatch.setattr(demo, "SWAP_S", 0.3)
    with pytest.raises(StepFailed, match=r"did not swap to version 2 within 0 s\. Read var/logs/sync\.log"):
        demo._swapped(visitor, "2")


def test_the_joiner_runs_where_its_weights_are_served(platform: Stack, project: object, tmp_path: Path) -> None:
    """Its entry is the file's, on the address of the pool's LLM with that served name; without one the step ends."""
    shipped = Path(demo.__file__).parents[1] / "registry" / "pool.yaml"
    home = tmp_path / "home"
    (home / "registry").mkdir(parents=True)
    shutil.copy(shipped, home / "registry" / "pool.yaml")
    ours = replace(platform, settings=Settings(_env_file=None, home=home))
    entry, small = demo.joiner(ours), yaml.safe_load(shipped.read_text())["llms"]["smollm2-135m"]
    assert entry["endpoint"] == small["endpoint"]
    assert entry["id"] not in yaml.safe_load(shipped.read_text())["llms"]
    assert "served_name" not in entry
    with pytest.raises(StepFailed, match=r"No LLM of the pool runs on smollm2-135m.*git restore registry/pool\.yaml"):
        demo.joiner(platform)


@pytest.mark.parametrize(
    ("served", "says"),
    [
        ([], "0 answered by : none graded, 0.000000 USD"),
        ([Served("d", "b", None, 0.1)], "1 answered by b: none graded, 0.100000 USD"),
        (
            [Served("d", "b", 1.0, 0.000001), Served("e", None, 0.0, 0.000002), Served("f", "a", None, 0.0)],
            "3 answered by a, b, synthesis: 50% right of 2 graded, 0.000003 USD",
        ),
    ],
)
def test_traffic_is_summed_up(served: list[Served], says: str) -> None:
    """Shares are of the graded answers only; an answer no single LLM gave is a synthesis."""
    assert demo.summary(served) == says


@pytest.mark.parametrize(("passed", "says"), [(True, "(gate passed)"), (False, "(gate overridden: a test)")])
def test_the_registered_version_is_promoted_whatever_the_gate_says_and_that_is_told(
    mlflow: MLflow, platform: Stack, tmp_path: Path, passed: bool, says: str
) -> None:
    """A passed gate needs no override; a failed one is overridden with the reason, which MLflow keeps."""
    home = tmp_path / "home"
    (home / "registry").mkdir(parents=True)
    (home / "registry" / "pool.yaml").write_text(POOL)
    (home / "build").mkdir()
    settings = Settings(_env_file=None, home=home, mlflow_url=mlflow.url, scorer_name=f"demo-{passed}")
    version = versions.register(tiny_artifact(tmp_path / "scorer"), home / "build", METRICS, TRAIN, LINEAGE, settings=settings).version
    if passed:
        versions._door(settings).annotate(version, tags={"gate": "passed"})
    (home / "build" / "registered.json").write_text(json.dumps({"version": version}))
    (home / "build" / "gate.json").write_text(json.dumps({"passed": passed}))
    assert demo.promote(replace(platform, settings=settings), reason="a test") == f"version {version} promoted {says}"
    champion = versions.champion(settings=settings)
    assert champion is not None
    assert ("demo: a test" in champion.tags.values()) is not passed


def test_a_stage_that_fails_ends_the_step_with_its_command(tmp_path: Path) -> None:
    """What it printed is on the terminal already."""
    with pytest.raises(StepFailed, match=r"`python -m no_such_module --now` ended with code 1\. What it printed is above\.$"):
        demo._run(tmp_path, "no_such_module", "--now")


def test_a_stage_is_of_the_demos_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever exported ROUTEMOA_HOME for a project of his own keeps it as it is."""
    monkeypatch.setenv("ROUTEMOA_HOME", str(tmp_path / "theirs"))
    (tmp_path / "says.py").write_text("import os, sys; open('says.txt', 'w').write(os.environ['ROUTEMOA_HOME'])")
    demo._run(tmp_path, "says")
    assert (tmp_path / "says.txt").read_text() == str(tmp_path)


def test_outside_a_checkout_the_first_step_fails_with_the_way_out(tmp_path: Path) -> None:
    """Nothing is made where there is nothing to copy."""
    (tmp_path / "plain").mkdir()
    with pytest.raises(StepFailed, match=r"Step “Make the project” failed: .*not a git repository.*Run this in a git checkout"):
        demo.make_project(Story(), tmp_path / "plain", tmp_path / "made", small=True)
    assert not (tmp_path / "made").exists()
    assert workspace.MARKER not in {path.name for path in tmp_path.rglob("*")}
