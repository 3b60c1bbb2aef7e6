"""Costs that endpoints state themselves, and prices that change or are unknown."""

import pytest
from routing_client import ready
from world import entry

from mixture.client.protocol import Reply
from serving.events import CostDiffers, Event, Events
from serving.observed.stated_costs import QUIET_S, StatedCosts
from serving.worker.metrics import Metrics


def reply(cost_usd: float, stated_usd: float | None) -> Reply:
    return Reply("a", "yes", "stop", 10, 5, cost_usd, 1.0, stated_usd=stated_usd)


def test_a_difference_above_two_percent_is_counted_and_told_once_in_a_while() -> None:
    """Within it, or where the endpoint states nothing, nothing is said; one event for each LLM and ten minutes."""
    seen: list[Event] = []
    metrics = Metrics()
    costs = StatedCosts(Events(seen.append), metrics)
    for cost, stated in ((1.0, None), (1.0, 1.019), (1.0, 0.981), (0.0, 0.0), (1e-10, 0.0)):
        costs.compare(reply(cost, stated), 0.0)
    assert seen == []
    for at in (0.0, 1.0, QUIET_S, QUIET_S + 1):
        costs.compare(reply(1.0, 1.05), at)
    assert seen == [CostDiffers("a", 1.0, 1.05)] * 2
    assert b'routemoa_cost_differs_total{llm="a"} 4.0' in metrics.text()


@pytest.fixture
def unpriced(world):
    """A server on a pool in which `echo` has no price."""
    world.write_pool({**world.pool(), "echo": entry(world.base_url, "echo", price=None)})
    yield from ready(world)


def test_an_llm_of_unknown_price_is_left_out_where_cost_counts(unpriced) -> None:
    """The ranking says why; by its name it answers, with a cost that is null and not 0, and with a budget it does not."""
    ask = {"messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}], "max_tokens": 5}
    route = unpriced.post("/v1/route", json={**ask, "model": "routemoa"}).json()
    assert route["excluded"]["echo"] == "its price is unknown, and cost counts here"
    named = unpriced.post("/v1/chat/completions", json={**ask, "model": "echo"})
    assert (named.status_code, named.json()["routemoa"]["cost_usd"]) == (200, None)
    refused = unpriced.post("/v1/chat/completions", json={**ask, "model": "echo", "routemoa": {"budget_usd": 1}})
    assert (refused.status_code, "price is unknown" in refused.text) == (400, True)
    listed = unpriced.get("/admin/llms").json()["llms"]
    assert next(each for each in listed if each["id"] == "echo")["price"]["input"] is None
