"""A project, an upstream that can go wrong, and the server in front of it: in this process and as a process of its own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parent))

import faulty_upstream
from routing_client import ready
from world import World


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    """base_url of the faulty endpoint."""
    with faulty_upstream.running() as base_url:
        yield base_url


@pytest.fixture
def world(tmp_path: Path, upstream: str) -> World:
    """A project with scorer version 1 published."""
    made = World(tmp_path / "project", upstream)
    made.publish("1")
    return made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> World:
    """The same for tests that leave it as it is."""
    made = World(tmp_path_factory.mktemp("shared") / "project", upstream)
    made.publish("1")
    return made


@pytest.fixture(scope="module")
def client(shared: World) -> Iterator[TestClient]:
    """A ready server in this process, called with a key that opens everything."""
    yield from ready(shared)
