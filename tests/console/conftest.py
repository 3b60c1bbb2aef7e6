"""A real server with a project, a console of it, and a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console.processes import CHROMIUM, chromium, running
from tests.serving import faulty_upstream
from tests.serving.world import Running, World

ASK = {
    "model": "routemoa-single",
    "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}],
    "routemoa": {"domain": "sums"},
}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A project whose LLMs answer, with a scorer version published."""
    with faulty_upstream.running() as upstream:
        made = World(tmp_path_factory.mktemp("console") / "project", upstream)
        made.write_pool({name: entry for name, entry in made.pool().items() if name in {"echo", "slow", "tooled", "retired-one"}})
        made.publish("1", roster=("echo", "slow", "tooled"))
        yield made


@pytest.fixture(scope="session")
def server(world: World) -> Iterator[Running]:
    """Its server, which answered a few requests."""
    with world.served(ROUTEMOA_STORE_TEXT="true") as made:
        with made.client() as client:
            answered = [client.post("/v1/chat/completions", json=ASK).json() for _ in range(3)]
            client.post("/v1/feedback", json={"decision_id": answered[0]["id"], "score": 1.0})
        yield made


@pytest.fixture(scope="session")
def console(world: World, server: Running) -> Iterator[str]:
    """The address of its console; there is no MLflow."""
    with running(world.home, server.url, ROUTEMOA_MLFLOW_URL="http://127.0.0.1:9") as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; skips where there is none. Closed after a module: while it is open, no test can run an event loop."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the console is not clicked")
    with chromium() as made:
        yield made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for a console without a project."""
    return tmp_path
