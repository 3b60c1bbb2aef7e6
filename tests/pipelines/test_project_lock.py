"""One retraining or harvest of a project at a time."""

import threading
from pathlib import Path

import pytest
from filelock import FileLock

from pipelines import project_lock
from pipelines.errors import RetrainRefused
from pipelines.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_who_ends_is_waited_for(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was killed a moment ago still holds the lock: its successor says what it waits for, and goes on when it is free."""
    said, waits = [], threading.Event()

    def says(line: str, **_: object) -> None:
        said.append(line)
        waits.set()

    monkeypatch.setattr("builtins.print", says)
    project.var.mkdir()
    with FileLock(project.retrain_lock, thread_local=False) as held:
        threading.Thread(target=lambda: waits.wait(60) and held.release(), daemon=True).start()
        with project_lock.alone(project):
            assert said == ["Another retraining or harvest of this project runs, or ends: waiting for it, at most 15 s."]


def test_who_goes_on_is_not_waited_for_for_ever(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is refused, and the lock stays whose it is."""
    monkeypatch.setattr(project_lock, "WAIT_S", 0.1)
    with project_lock.alone(project):
        for _ in range(2):
            with pytest.raises(RetrainRefused, match=r"Another retraining of this project runs\. Wait for it"), project_lock.alone(project):
                pass
