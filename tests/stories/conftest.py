"""The small demo's platform, all parts real, up once for the user stories."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import acts, demo
from local.plan import SMALL
from local.stack import Stack, stack
from local.stage import Stage

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A project on the smallest weights: pipeline run, first scorer promoted, everything up."""
    at = tmp_path_factory.mktemp("stories") / "project"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    home, story = demo.make_project(ROOT, at, SMALL, small=True)
    with stack(home, demo.PREFERENCES) as platform:
        try:
            made = Stage(story, platform, SMALL)
            acts.start(made)
            acts.first_scorer(made)
            acts.serve(made)
            yield made
        finally:
            if kept := os.environ.get("CI_LOGS"):
                shutil.copytree(platform.settings.var / "logs", Path(kept), dirs_exist_ok=True)


@pytest.fixture(scope="session")
def platform(stage: Stage) -> Stack:
    """Its processes."""
    return stage.platform
