"""A project in a temporary folder that every command of the test is for."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the pool and the parameters that we ship."""
    home = tmp_path / "project"
    (home / "registry").mkdir(parents=True)
    shutil.copy(ROOT / "registry" / "pool.yaml", home / "registry" / "pool.yaml")
    shutil.copy(ROOT / "params.yaml", home)
    for name in ("ROUTEMOA_MLFLOW_URL", "ROUTEMOA_SCORER_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROUTEMOA_HOME", str(home))
    return home


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder that is no project."""
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ROUTEMOA_HOME", raising=False)
    return folder
