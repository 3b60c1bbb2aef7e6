"""Fixtures of the scorer's tests: one tiny artifact for the session, copies of it to break."""

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest


def beside(name: str) -> ModuleType:
    """A module of this folder; tests are no package."""
    spec = importlib.util.spec_from_file_location(f"scorer_tests_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """tests/scorer/tiny.py."""
    return beside("tiny")


@pytest.fixture(scope="session")
def worlds() -> ModuleType:
    """tests/scorer/world.py."""
    return beside("world")


@pytest.fixture(scope="session")
def sound(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound artifact nobody changes."""
    return tiny.tiny_artifact(tmp_path_factory.mktemp("sound") / "scorer")


@pytest.fixture
def copied(sound: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may break."""
    return Path(shutil.copytree(sound, tmp_path / "scorer"))
