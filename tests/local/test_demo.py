"""The demo's pieces, without running the demo."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local import acts, build_results, demo, steps, workspace
from local.errors import ProcessFailed, StepFailed
from local.held_back import HeldBack
from local.plan import FULL, SMALL
from local.stack import Stack
from local.stage import Stage
from local.story import Act, Story
from local.traffic import Served, append
from pipelines import dataset, query_pool
from pipelines.project import Project
from registry import versions
from registry.jobs import Job, Jobs
from registry.mlflow_door import Door
from registry.settings import Settings
from tests.mlflow_server import MLflow
from tests.pipelines.trained_home import write_dataset
from tests.registry.conftest import LINEAGE, METRICS, POOL, TRAIN
from tests.scorer.tiny import tiny_artifact


@pytest.fixture
def stage(platform: Stack) -> Stage:
    """The demo's acts on that platform."""
    return Stage(Story(), platform, SMALL)


@pytest.fixture
def job(platform: Stack) -> Iterator[tuple[Jobs, Job]]:
    """A job that runs."""
    jobs = Jobs.in_file(platform.settings.var / "jobs.db")
    running = jobs.submit("retrain", {"reason": "a test"})
    jobs.claim(running.id)
    jobs.advance(running.id, "answer (2 of 3)", 0.5)
    yield jobs, running
    jobs.fail(running.id, "the test is over")


def test_a_job_is_followed_until_it_is_done(platform: Stack, stage: Stage, job: tuple[Jobs, Job]) -> None:
    """While it runs the demo waits; what came of it is its last step."""
    jobs, running = job
    finish = threading.Timer(1.5, lambda: jobs.finish(running.id, "scorer version 7 registered, gate passed"))
    finish.start()
    began = time.monotonic()
    assert steps.follow(stage, running.id) == "scorer version 7 registered, gate passed"
    assert time.monotonic() - began > 1.4


def test_a_failed_job_ends_the_step_with_its_reason_and_log(platform: Stack, stage: Stage, job: tuple[Jobs, Job]) -> None:
    """What the worker wrote, and where more stands."""
    jobs, running = job
    jobs.fail(running.id, "no labels for smollm2-135m")
    with pytest.raises(StepFailed, match=rf"job {running.id} failed: no labels for smollm2-135m Read .*{running.id}\.log\.$"):
        steps.follow(stage, running.id)


def test_a_job_without_a_worker_is_not_waited_for(platform: Stack, stage: Stage, job: tuple[Jobs, Job]) -> None:
    """A worker that ends while its job runs is an error, not an endless wait."""
    platform.processes.running["worker"].kill()
    platform.processes.running["worker"].wait()
    with pytest.raises(ProcessFailed, match=r"worker ended with exit code -9"):
        steps.follow(stage, job[1].id)


def test_a_server_that_does_not_swap_ends_the_act(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that serves is seen at once; another one is waited for, but not for ever."""
    monkeypatch.setattr(steps, "promote", lambda *_, **__: "promoted")
    monkeypatch.setattr(steps, "keep_version", lambda _: "1")
    act = Act("join", "Join")
    assert steps.promoted(stage, act, reason="a test") == "1"
    assert act.lines[1].startswith("the server swapped to version 1 after 0.")
    monkeypatch.setattr(steps, "SWAP_S", 0.3)
    monkeypatch.setattr(steps, "keep_version", lambda _: "2")
    with pytest.raises(StepFailed, match=r"did not swap to version 2 within 0 s\. Read var/logs/sync\.log"):
        steps.promoted(stage, act, reason="a test")


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
        Door.of(settings).annotate(version, tags={"gate": "passed"})
    (home / "build" / "registered.json").write_text(json.dumps({"version": version}))
    (home / "build" / "gate.json").write_text(json.dumps({"passed": passed}))
    ours = Stage(Story(), replace(platform, settings=settings), SMALL)
    assert steps.promote(ours, reason="a test") == f"version {version} promoted {says}"
    champion = versions.champion(settings=settings)
    assert champion is not None
    assert ("demo: a test" in champion.tags.values()) is not passed


def test_a_stage_that_fails_ends_the_step_with_its_command(tmp_path: Path) -> None:
    """What it printed is on the terminal already."""
    with pytest.raises(StepFailed, match=r"`python -m no_such_module --now` ended with code 1\. What it printed is above\.$"):
        steps.run(tmp_path, "no_such_module", "--now")


def test_a_stage_is_of_the_demos_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever exported ROUTEMOA_HOME for a project of his own keeps it as it is."""
    monkeypatch.setenv("ROUTEMOA_HOME", str(tmp_path / "theirs"))
    (tmp_path / "says.py").write_text("import os, sys; open('says.txt', 'w').write(os.environ['ROUTEMOA_HOME'])")
    steps.run(tmp_path, "says")
    assert (tmp_path / "says.txt").read_text() == str(tmp_path)


def test_outside_a_checkout_the_first_act_fails_with_the_way_out(tmp_path: Path) -> None:
    """Nothing is made where there is nothing to copy."""
    (tmp_path / "plain").mkdir()
    with pytest.raises(StepFailed, match=r"“A project” failed: .*not a git repository.*Run this in a git checkout"):
        demo.make_project(tmp_path / "plain", tmp_path / "made", SMALL, small=True)
    assert not (tmp_path / "made").exists()
    assert workspace.MARKER not in {path.name for path in tmp_path.rglob("*")}


def test_an_interrupted_demo_goes_on_in_its_project(tmp_path: Path) -> None:
    """Nothing is made anew: what it served and registered is still there."""
    story = Story.resumed(HeldBack(tmp_path).folder / demo.STORY)
    with story.act("train", "Train", "") as act:
        act.facts["version"] = "1"
    home, again = demo.make_project(tmp_path / "no checkout", tmp_path, SMALL, small=True)
    assert home == tmp_path
    assert again.told("train")


def test_a_demo_that_begins_anew_forgets_what_was_served_but_not_what_was_bought(tmp_path: Path) -> None:
    """Records, registry and harvest go, answers stay; a folder that is not the demo's is left alone."""
    project = Project(tmp_path)
    for path in (project.harvested, project.records, project.answers("echo"), project.recorded_labels("echo")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    demo.forget(tmp_path)
    assert project.records.exists()
    (tmp_path / workspace.MARKER).touch()
    demo.forget(tmp_path)
    assert project.answers("echo").exists()
    assert not any(path.exists() for path in (project.harvested, project.records, project.recorded_labels("echo")))


def test_a_failed_act_names_the_command_that_plays_it_again() -> None:
    """The small demo's is not the full one's."""
    for script in (SMALL, FULL):
        played = Stage(Story(), None, script)  # type: ignore[arg-type] # no platform: nothing is started
        with pytest.raises(StepFailed, match=rf"Then try: {script.command} \(it goes on"), played.act("any", "An act"):
            raise StepFailed("nothing works")


def test_the_traffic_after_the_lesson_is_mixed_as_before_and_new(platform: Stack, tmp_path: Path) -> None:
    """Usual queries and those of the once unknown domain in turn; none that was sent before, nor what was harvested of them."""
    write_dataset(Project(tmp_path).dataset, queries=200)
    script = replace(SMALL, unusual=("biomedicine",), usual=5)
    ours = replace(platform, settings=Settings(_env_file=None, home=tmp_path))
    played = Stage(Story(), ours, script)
    rows = dataset.load(Project(tmp_path).dataset).queries.to_dict("records")
    strange = [row | {"choices": []} for row in rows if row["domain"] == "biomedicine"]
    query_pool.write(strange, played.held_back.folder / "queries.parquet")
    sent = [*build_results.sample(tmp_path, 5, "test"), *played.held_back.queries()[:20]]
    for at, query in enumerate(sent):
        append(played.served_file("usual" if at < 5 else "unusual"), Served(query["query_id"], "", None, None, 0.0))
    follow_up = acts.follow_up(played)
    assert "".join("us"[query["domain"] == "biomedicine"] for query in follow_up) == "usususususususu"
    assert not {query["query_id"] for query in follow_up} & {query["query_id"] for query in sent}
