"""Energy in a server: what pool entries declare, what is recorded of it, and who is left out where a kilowatt-hour counts."""

import pytest
from routing_client import ready
from world import entry

from mixture.energy import JOULES_A_KWH

ASK = {"messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}], "max_tokens": 5}
DECLARED = {"input": 1.0, "output": 4.0, "source": "a wall meter"}


@pytest.fixture
def metered(world):
    """A server on a pool in which `echo` alone declares its energy."""
    world.write_pool({**world.pool(), "echo": entry(world.base_url, "echo", energy=DECLARED)})
    yield from ready(world)


def test_energy_is_recorded_where_it_is_known_and_null_where_not(metered) -> None:
    """In the answer, its decision, and as a figure; an LLM of unknown energy has null, never 0."""
    known = metered.post("/v1/chat/completions", json={**ASK, "model": "echo"}).json()
    usage = known["usage"]
    joules = usage["prompt_tokens"] * 1.0 + usage["completion_tokens"] * 4.0
    assert known["routemoa"]["energy_kwh"] == pytest.approx(joules / JOULES_A_KWH)
    decision = metered.get(f"/v1/decisions/{known['routemoa']['decision_id']}").json()
    assert decision["decision"]["energy_kwh"] == pytest.approx(joules / JOULES_A_KWH)
    unknown = metered.post("/v1/chat/completions", json={**ASK, "model": "slow"}).json()
    assert unknown["routemoa"]["energy_kwh"] is None
    metrics = metered.get("/metrics").text
    assert 'routemoa_energy_kwh_total{llm="echo"}' in metrics
    assert 'routemoa_unmetered_calls_total{llm="slow"} 1.0' in metrics


def test_a_request_may_say_that_energy_counts(metered) -> None:
    """LLMs of unknown energy are then left out, with the reason."""
    route = metered.post("/v1/route", json={**ASK, "model": "routemoa", "routemoa": {"weights": {"kwh": 5.0}}}).json()
    assert route["chosen"] == ["echo"]
    assert route["excluded"]["slow"] == "its energy is unknown, and energy counts here"
    assert "a kilowatt-hour 5" in route["explanation"]
