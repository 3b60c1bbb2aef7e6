"""`routemoa init`: a project in a folder."""

import subprocess
from pathlib import Path

import pytest

from cli.init import init
from local import workspace
from local.errors import LocalError
from registry import pool as pools
from scorer.errors import RouteMoAError


def test_an_empty_folder_becomes_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pool, parameters and stages are there, under a git of its own, and what to type next is printed."""
    home = tmp_path / "mine"
    home.mkdir()
    init(home)
    assert pools.load(home / "registry" / "pool.yaml").active
    assert all((home / name).is_file() for name in ("params.yaml", "dvc.yaml", ".dvc/config"))
    assert subprocess.run(["git", "status", "--short"], cwd=home, capture_output=True, text=True, check=True).stdout == ""
    assert "routemoa up" in capsys.readouterr().out


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A project keeps its pool; a folder with other things in it is left alone."""
    home = tmp_path / "mine"
    init(home)
    (home / "registry" / "pool.yaml").write_text("llms: {}\n")
    with pytest.raises(RouteMoAError, match=r"mine is a project already\."):
        init(home)
    assert (home / "registry" / "pool.yaml").read_text() == "llms: {}\n"
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "one").touch()
    with pytest.raises(LocalError, match="letters is not empty"):
        init(tmp_path / "letters")
    with pytest.raises(LocalError, match="one is no folder"):
        init(tmp_path / "letters" / "one")


def test_without_a_checkout_it_says_what_a_project_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed wheel has no stages to copy."""
    monkeypatch.setattr(workspace, "__file__", str(tmp_path / "local" / "workspace.py"))
    with pytest.raises(RouteMoAError, match=r"installed without its checkout: .* a project is a folder with registry/pool\.yaml"):
        init(tmp_path / "mine")
