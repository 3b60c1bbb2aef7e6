"""Which project a command is for, and what is said where there is none."""

from pathlib import Path

import pytest

from cli import project
from cli.errors import ProjectMissing
from tests.cli.command_line import refusal

NEW = ("--base-url", "http://127.0.0.1:9/v1", "--served-name", "m", "--input-price", "1", "--output-price", "1")
NEEDS_A_PROJECT = (
    ("llms",),
    ("add-llm", "new", *NEW),
    ("set-llm", "smollm2-135m", "--status", "retired"),
    ("jobs",),
    ("cancel", "x"),
    ("retrain",),
    ("retrain", "--full"),
    ("verdict",),
    ("report",),
    ("import", "--name", "mine"),
    ("harvest",),
    ("harvest", "--yes"),
    ("demo",),
    ("up",),
)


@pytest.mark.parametrize("arguments", NEEDS_A_PROJECT, ids=" ".join)
def test_a_folder_without_a_project_is_refused_and_stays_empty(nowhere: Path, arguments: tuple[str, ...]) -> None:
    """Every command that reads or writes the project says so at once and writes nothing."""
    error = refusal(ProjectMissing, *arguments)
    assert error.what == f"{nowhere} is no RouteMoA project: it has no registry/pool.yaml."
    assert "set ROUTEMOA_HOME" in error.next_step
    assert not list(nowhere.iterdir())


@pytest.mark.parametrize(("where", "run_in"), [("sub/folder", "."), (".", ".demo/full"), (".", ".demo/small")])
def test_a_project_near_by_is_named(nowhere: Path, monkeypatch: pytest.MonkeyPatch, where: str, run_in: str) -> None:
    """Whoever is one folder too deep, or beside a demo's project, is told where to go."""
    (nowhere / run_in / "registry").mkdir(parents=True)
    (nowhere / run_in / "registry" / "pool.yaml").write_text("llms: {}\n")
    (nowhere / where).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(nowhere / where)
    assert f"Run this in {(nowhere / run_in).resolve()};" in refusal(ProjectMissing, "llms").next_step


def test_the_projects_own_env_file_counts(home: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ROUTEMOA_HOME, the `.env` beside that project's pool says where its MLflow is, not the current folder's; variables win."""
    monkeypatch.setenv("ROUTEMOA_HOME", str(home))
    (home / ".env").write_text("ROUTEMOA_MLFLOW_URL=http://127.0.0.1:5999\nROUTEMOA_SCORER_NAME=theirs\n")
    (nowhere / ".env").write_text("ROUTEMOA_MLFLOW_URL=http://127.0.0.1:1\n")
    assert (project.existing().mlflow_url, project.existing().home) == ("http://127.0.0.1:5999", home)
    monkeypatch.setenv("ROUTEMOA_SCORER_NAME", "mine")
    assert project.existing().scorer_name == "mine"
