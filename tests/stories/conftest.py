"""The small demo's platform, all parts real, up once for the user stories."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import demo
from local.stack import Stack, stack
from local.story import Story

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def story() -> Story:
    """Where the steps are told."""
    return Story()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, story: Story) -> Iterator[Stack]:
    """A project on the smallest weights: pipeline run, first scorer promoted, everything up."""
    at = tmp_path_factory.mktemp("stories") / "project"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    home = demo.make_project(story, ROOT, at, small=True)
    with stack(home, demo.PREFERENCES) as running:
        try:
            demo.first_scorer(story, running)
            demo.serve(story, running)
            yield running
        finally:
            if kept := os.environ.get("CI_LOGS"):
                shutil.copytree(running.settings.var / "logs", Path(kept), dirs_exist_ok=True)


@pytest.fixture(scope="session")
def script() -> demo.DemoPlan:
    """The small demo's amounts of traffic."""
    return demo.SMALL
