"""What POST /v1/route and decisions say a call is expected to take, from the scorer version's recorded answers on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from routing_client import ready
from starlette.testclient import TestClient
from world import World, entry

from scorer.recorded_calls import RecordedCalls

ASK = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]  # eleven tokens
PRICES = {"echo": 0.5, "newcomer": 10.0}
RECORDED = {"newcomer": RecordedCalls(400, 50.0, 2.0, 0.34), "echo": RecordedCalls(400, 50.0, 2.0, 0.34)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> World:
    """Two LLMs with answers of two tokens; the dearer one has not been called yet, as far as a server that starts now knows."""
    made = World(tmp_path_factory.mktemp("expected") / "project", upstream, roster=tuple(PRICES))
    made.write_pool({name: entry(upstream, "echo", price={"input": price, "output": 2 * price}) for name, price in PRICES.items()})
    made.artifact("2", recorded_calls=RECORDED, seed=1)
    made.publish("2")
    return made


@pytest.fixture(scope="module")
def routing(project: World) -> Iterator[TestClient]:
    yield from ready(project)


def routed(client: TestClient, **fields) -> dict[str, dict]:
    answer = client.post("/v1/route", json={"model": "routemoa-single", "messages": ASK, **fields}).json()
    return {each["llm"]: each for each in answer["ranked"]}


def test_a_newcomer_costs_what_its_recorded_answers_say(routing: TestClient) -> None:
    """Two tokens at 20 dollars a million beside eleven at 10, where a guess of 200 tokens would be 4.1 thousandths of a dollar."""
    ranked = routed(routing)
    assert ranked["newcomer"]["cost_usd"] == pytest.approx((11 * 10 + 2 * 20) / 1e6)
    assert ranked["newcomer"]["latency_s"] == pytest.approx(0.34 * (10 + 1.1 + 2) / (10 + 5 + 2))


def test_max_tokens_and_a_long_prompt_change_what_is_expected(routing: TestClient) -> None:
    """One token less is paid and waited for; 1,000 tokens of prompt are as long as 100 written ones."""
    plain, brief = routed(routing), routed(routing, max_tokens=1)
    assert plain["newcomer"]["cost_usd"] - brief["newcomer"]["cost_usd"] == pytest.approx(20 / 1e6)
    long = routed(routing, messages=[{"role": "user", "content": "sum " * 996}])
    assert long["newcomer"]["latency_s"] == pytest.approx(0.34 * (10 + 100 + 2) / 17)


def test_a_decision_keeps_what_was_expected(routing: TestClient) -> None:
    """Its record says by what its LLM was chosen."""
    asked = {"model": "routemoa-single", "messages": ASK, "max_tokens": 1, "routemoa": {"explain": True}}
    decision = routing.post("/v1/chat/completions", json=asked).json()["routemoa"]["decision"]
    expected = {each["llm"]: each for each in decision["snapshot"]["candidates"]}
    assert {each["output_tokens"] for each in expected.values()} == {1}
    assert expected["newcomer"]["latency_s"] is not None


def test_a_version_that_knows_no_recorded_calls_serves_as_before(tmp_path: Path, upstream: str) -> None:
    """200 tokens are the guess, and seconds are unknown until the first call."""
    made = World(tmp_path / "project", upstream)
    made.publish("1")
    for client in ready(made):
        echo = routed(client)["echo"]
        assert echo["cost_usd"] == pytest.approx((11 * 0.5 + 200 * 1.0) / 1e6)
        assert echo["latency_s"] is None
