"""A real server in front of a scripted upstream, and the demo's platform around it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes import Processes
from local.stack import Addresses, Stack
from local.traffic import Visitor
from registry.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))

import faulty_upstream
from world import Running, World


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A project with scorer version 1 published, its LLMs on the upstream."""
    with faulty_upstream.running() as base_url:
        made = World(tmp_path_factory.mktemp("local") / "project", base_url)
        made.publish("1")
        yield made


@pytest.fixture(scope="module")
def server(project: World) -> Iterator[Running]:
    """A real `python -m serving` on it."""
    with project.served() as running:
        yield running


@pytest.fixture
def visitor(server: Running) -> Visitor:
    """A user of it."""
    return Visitor(server.url, server.key)


@pytest.fixture
def platform(project: World, server: Running, tmp_path: Path) -> Iterator[Stack]:
    """The platform as the demo sees it: that server, a worker that does nothing."""
    with Processes(logs=tmp_path, home=tmp_path) as processes:
        processes.start("worker", [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"])
        addresses = Addresses(mlflow="http://127.0.0.1:9", server=server.url, evidently="http://127.0.0.1:9", console="http://127.0.0.1:9")
        yield Stack(Settings(_env_file=None, home=project.home), processes, addresses, server.key)
