"""A client of a server in this process that routes already."""

import time
from collections.abc import Iterator
from typing import Any

from starlette.testclient import TestClient
from world import World

from serving.app import create_app


def ready(made: World, **settings: Any) -> Iterator[TestClient]:
    """A client of an app on `made`, once it routes."""
    with TestClient(create_app(made.settings(**settings)), headers={"Authorization": f"Bearer {made.key}"}) as client:
        give_up = time.monotonic() + 20
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() < give_up, client.get("/readyz").text
            time.sleep(0.02)
        yield client
