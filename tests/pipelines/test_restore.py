"""A retraining is saved as a DVC experiment; a colleague restores it by its name, from git and a folder or S3, and serves it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from pipelines.project import Project
from pipelines.retrain import Steps, save_experiment
from registry.settings import Settings
from scorer import runtime
from tests.pipelines.real_project import run
from tests.scorer import tiny
from tests.servers import s3
from tests.serving.world import World, entry

STAGE = "python -c \"import shutil; shutil.copytree('made', 'build/scorer')\""


@pytest.fixture(params=["folder", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where a team's DVC files are: a folder of a common disk, or a bucket of a real S3 server, which only the environment names."""
    if request.param == "folder":
        yield str(tmp_path / "store")
        return
    with s3.running(tmp_path) as storage:
        for name, value in storage.environment.items():
            monkeypatch.setenv(name, value)
        yield f"s3://{storage.bucket}/team"
        assert any(name.startswith("team/files/md5/") for name in storage.names())


@pytest.fixture
def project(tmp_path: Path, remote: str) -> Project:
    """A project under git and DVC, with remotes of both, whose one stage makes a real artifact."""
    home = tmp_path / "mine"
    (home / "registry").mkdir(parents=True)
    (home / "registry" / "pool.yaml").write_text("llms: {}\n")
    (home / "params.yaml").write_text("train: {}\n")
    (home / ".gitignore").write_text("/build/\n/data\n/made/\n")
    (home / "data").mkdir()
    (home / "data" / "brought.txt").write_text("a query")
    dataset = {
        "cmd": "mkdir -p build/dataset && cp data/brought.txt build/dataset",
        "deps": ["data"],
        "outs": [{"build/dataset": {"cache": False}}],
    }
    scorer = {"cmd": STAGE, "deps": ["build/dataset", "registry/pool.yaml"], "outs": ["build/scorer"]}
    YAML().dump({"stages": {"dataset": dataset, "scorer": scorer}}, home / "dvc.yaml")
    tiny.tiny_artifact(home / "made")
    run(tmp_path, "git", "init", "-q", "--bare", "team.git")
    for command in (
        "git init -q -b main",
        "git config user.name somebody",
        "git config user.email somebody@example.org",
        "dvc init -q",
        f"dvc remote add -q -d team {remote}",
        "dvc add -q data",
        "git add -A",
    ):
        run(home, *command.split())
    run(home, "git", "commit", "-qm", "start")
    run(home, "git", "push", "-q", str(tmp_path / "team.git"), "main")
    return Project(home)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(900)  # DVC starts a dozen times
def test_a_colleague_restores_a_version_by_its_name(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pool, parameters, data and scorer are there as they were, without the files that packages ship; what is in work is not touched."""
    home, clone = project.home, tmp_path / "theirs"
    (home / "registry" / "pool.yaml").write_text("llms: {joined: {}}\n")
    (home / "data" / "brought.txt").write_text("another query")
    run(home, "dvc", "add", "-q", "data")
    run(home, "dvc", "repro", "-q")
    settings = Settings(_env_file=None, home=home, mlflow_url="http://127.0.0.1:9")
    save_experiment(project, settings, Steps(home), "3")
    assert "does not answer" in capsys.readouterr().out  # MLflow, which would carry the name
    assert "joined" in (home / "registry" / "pool.yaml").read_text()
    run(home, "dvc", "exp", "push", "-q", str(tmp_path / "team.git"), "scorer-3")

    run(tmp_path, "git", "clone", "-q", "-b", "main", str(tmp_path / "team.git"), str(clone))
    run(clone, "dvc", "exp", "pull", "-q", "origin", "scorer-3")
    run(clone, "dvc", "exp", "apply", "-q", "scorer-3")
    run(clone, "dvc", "checkout", "-q")
    assert (clone / "registry" / "pool.yaml").read_text() == "llms: {joined: {}}\n"
    assert (clone / "data" / "brought.txt").read_text() == "another query"
    assert (clone / "dvc.lock").read_bytes() == (home / "dvc.lock").read_bytes()
    assert not (clone / "build" / "dataset").exists()
    scores = [runtime.load(folder).score(["What is 2 + 2?"]).scores_QL for folder in (clone / "build" / "scorer", home / "made")]
    np.testing.assert_array_equal(*scores)
    serves(clone / "build" / "scorer", tmp_path / "serving")


def serves(artifact: Path, home: Path) -> None:
    """A real server scores a query with the restored version."""
    world = World(home, "http://127.0.0.1:9")
    world.write_pool({llm: entry(world.base_url, llm) for llm in ("a", "b", "c")})
    shutil.copytree(artifact, home / "var" / "scorers" / "3")
    (home / "var" / "scorers" / "current.json").write_text(
        json.dumps({"version": "3", "folder": "3", "published_at": "2026-01-01T00:00:00Z"})
    )
    with world.served() as running, running.client() as client:
        routed = client.post("/v1/route", json={"model": "routemoa", "messages": [{"role": "user", "content": "What is 2 + 2?"}]})
    assert routed.status_code == 200, routed.text
    assert routed.json()["scorer_version"] == "3"


def test_a_project_without_git_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is saved, and nothing fails."""
    shutil.rmtree(tmp_path / ".git", ignore_errors=True)
    save_experiment(Project(tmp_path), Settings(_env_file=None, home=tmp_path), Steps(tmp_path), "3")
    assert "Not saved as a DVC experiment: the project is not under git" in capsys.readouterr().out
