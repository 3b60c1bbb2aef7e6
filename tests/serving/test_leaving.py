"""A server that a balancer stands before leaves in two steps: not ready, and still answering; then closed."""

import signal
import threading

import httpx2
import pytest
from world import World

pytestmark = pytest.mark.slow
ASK = {"model": "slow", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_answers_on_until_the_balancer_knows(world: World, workers: str) -> None:
    """After SIGTERM /readyz says 503 and requests are still taken, each on a connection that ends with it; in the end nothing listens."""
    with world.served(ROUTEMOA_LEAVE_S="600", ROUTEMOA_WORKERS=workers) as server:
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("/readyz", 503)
        with server.client() as client:
            answered = client.post("/v1/chat/completions", json=ASK)
            assert answered.status_code == 200
            assert answered.headers["connection"] == "close"
            assert client.get("/livez").status_code == 200
        assert "ServerLeaves" in server.log.read_text()


def test_it_ends_by_itself_and_finishes_what_it_has(world: World) -> None:
    """`leave_s` after the signal; an answer that was begun before comes whole."""
    with world.served(ROUTEMOA_LEAVE_S="0.5") as server:
        codes: list[int] = []

        def ask() -> None:
            with server.client() as client:
                codes.append(client.post("/v1/chat/completions", json=ASK | {"stream": True}).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)
        asking.join(60)
        assert set(codes) <= {200}
        with server.client() as client, pytest.raises(httpx2.TransportError):
            client.get("/livez")


def test_a_second_signal_is_heeded_at_once(world: World) -> None:
    """Whoever does not want to wait says so again."""
    with world.served(ROUTEMOA_LEAVE_S="600") as server:
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("/readyz", 503)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)
