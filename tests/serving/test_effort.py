"""Efforts over HTTP: a pool with one LLM at two of them, and a caller who asks for one."""

from collections.abc import Iterator

import pytest
from routing_client import ready
from starlette.testclient import TestClient
from world import World, entry

ASK = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]


@pytest.fixture(scope="module")
def client(shared: World) -> Iterator[TestClient]:
    """The shared project with one LLM at three efforts, under the names of LLMs that its scorer knows."""
    tokens = {"decoding": {"max_tokens": 4096}}
    efforts = {"echo": "low", "slow": "high", "tooled": 512}
    rows = {llm: entry(shared.base_url, "thinks", effort=effort, **tokens) for llm, effort in efforts.items()}
    shared.write_pool(shared.pool() | rows)
    yield from ready(shared)


def ask(client: TestClient, model: str, **fields: object) -> dict:
    return client.post("/v1/chat/completions", json={"model": model, "messages": ASK, **fields}).json()


@pytest.mark.parametrize(("effort", "llm"), [("low", "echo"), ("high", "slow")])
def test_a_request_is_answered_at_the_effort_it_asks_for(client: TestClient, effort: str, llm: str) -> None:
    """Among rows of one family only that of the effort is a candidate."""
    answer = ask(client, "routemoa-single", reasoning_effort=effort, routemoa={"explain": True})["routemoa"]
    others = {"echo", "slow", "tooled"} - {llm}
    assert answer["llm"] not in others
    assert {each for each, why in answer["excluded"].items() if f"reasoning_effort is {effort}" in why} == others


def test_an_unknown_effort_is_refused_by_name(client: TestClient) -> None:
    """With the field and the levels there are."""
    error = ask(client, "routemoa", reasoning_effort="extreme")["error"]
    assert error["param"] == "reasoning_effort"
    assert "'minimal'" in error["message"]


def test_thoughts_of_everybody_asked_are_in_the_usage(client: TestClient) -> None:
    """The details sum over all calls, not only over the one whose answer was taken."""
    answer = ask(client, "routemoa", routemoa={"k": 1, "max_layers": 1}, reasoning_effort="high")
    assert answer["routemoa"]["asked"] == ["slow"]
    answer = ask(client, "routemoa-layers", routemoa={"max_layers": 1, "aggregation": "vote"})
    asked = len(answer["routemoa"]["asked"])
    assert asked > 1
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3 * asked
    assert answer["usage"]["completion_tokens"] == 5 * asked
