"""The console's client of the API, on a real server: what comes back, and how each way to fail is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from console import api
from console.api import Api
from console.errors import NotOffered, ServerRefused, ServerSilent
from console.settings import ConsoleSettings
from tests.console.conftest import ASK
from tests.serving.world import Running


def ask(url: str, key: str, what: Callable[[Api], Awaitable[Any]]) -> Any:
    """What `what` gets from the server at `url`."""

    async def run() -> Any:
        async with api.connect(url) as client:
            return await what(Api(client, key))

    return asyncio.run(run())


async def streamed(server: Api, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Every event of an answer."""
    return [event async for event in server.stream("/v1/chat/completions", {**body, "stream": True})]


def test_it_asks_with_the_persons_key(server: Running) -> None:
    """Empty query fields are left out."""
    llms = ask(server.url, server.key, lambda made: made.get("/admin/llms"))
    assert {"echo", "slow"} <= {llm["id"] for llm in llms["llms"]}
    records = ask(server.url, server.key, lambda made: made.get("/admin/records", words="", llm=None, most=1))
    assert len(records["records"]) == 1


def test_a_stream_ends_with_the_decision(server: Running) -> None:
    """Words come as they are written; the last event says what was decided."""
    events = ask(server.url, server.key, lambda made: streamed(made, {**ASK, "routemoa": {"explain": True}}))
    text = "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
    assert "sum of 1 and 2" in text
    assert events[-1]["routemoa"]["decision"]["layers"]


@pytest.mark.parametrize("path", ["/admin/nothing", "/v1/models/"])
def test_an_address_that_the_server_lacks_is_said_to_be_not_offered(server: Running, path: str) -> None:
    """So that a page says which part is not there, in place of an error."""
    with pytest.raises(NotOffered):
        ask(server.url, server.key, lambda made: made.get(path))


def test_a_refusal_keeps_the_servers_words(server: Running) -> None:
    """With status and code; what is not found is no missing address."""
    with pytest.raises(ServerRefused, match="No decision is called 'x'") as refused:
        ask(server.url, server.key, lambda made: made.get("/v1/decisions/x"))
    assert (refused.value.status, refused.value.code, type(refused.value)) == (404, "decision_not_found", ServerRefused)
    with pytest.raises(ServerRefused, match="not known here") as refused:
        ask(server.url, "rm-wrong", lambda made: made.post("/v1/route", ASK))
    assert refused.value.status == 401
    with pytest.raises(ServerRefused, match="nobody"):
        ask(server.url, server.key, lambda made: streamed(made, {**ASK, "model": "nobody"}))


def test_a_server_that_is_gone_or_another_is_silent(console: str) -> None:
    """The console itself is no server of ours."""
    with pytest.raises(ServerSilent, match="cannot be reached"):
        ask("http://127.0.0.1:9", "rm-key", lambda made: made.get("/admin/llms"))
    with pytest.raises(ServerSilent, match="not a RouteMoA server"):
        ask(console, "rm-key", lambda made: made.get("/"))


def test_settings_name_the_server_and_the_hosts() -> None:
    """The server on this host where no other is named; names of the loopback and what the operator added."""
    here = ConsoleSettings(_env_file=None, port=8081, console_hosts="console.example, other.example")
    assert here.api_url == "http://127.0.0.1:8081"
    assert {"localhost", "127.0.0.1", "[::1]", "console.example", "other.example"} == here.names
    assert ConsoleSettings(_env_file=None, server_url="https://far.example/").api_url == "https://far.example"
