"""A server in front of scripted LLMs, for the blocks that talk to one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))
sys.path.insert(0, str(Path(__file__).parent))

import faulty_upstream
from world import Running, World


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A real `python -m serving` with a tiny scorer and LLMs that echo."""
    with faulty_upstream.running() as base_url:
        world = World(tmp_path_factory.mktemp("docs") / "project", base_url)
        world.publish("1")
        with world.served() as running:
            yield running
