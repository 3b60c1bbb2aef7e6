"""What a request that failed had spent by then: in its record, and in the metrics."""

import pytest
from routing_client import ready
from world import World, entry

ASK = {"messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}
EACH_USD = (10 * 1.0 + 5 * 2.0) / 1e6  # what the upstream says it used, at the price of its entry


class Empty(World):
    def pool(self):
        return {name: entry(self.base_url, "empty") for name in ("void", "blank")} | {"broken": entry(self.base_url, "error-inside")}


@pytest.fixture
def client(tmp_path, upstream):
    made = Empty(tmp_path / "project", upstream, roster=("void", "blank"))
    made.publish("1")
    yield from ready(made)


@pytest.mark.parametrize("model", ["routemoa-single", "routemoa"])
def test_answers_that_were_paid_and_empty(client, model) -> None:
    """Both LLMs were paid for nothing: 502, and the record has their cost, their tokens and each call."""
    failed = client.post("/v1/chat/completions", json={**ASK, "model": model})
    assert (failed.status_code, failed.json()["error"]["code"]) == (502, "no_answer")
    kept = client.get(f"/v1/decisions/{failed.headers['x-routemoa-decision']}").json()
    assert kept["status"] == "error"
    assert kept["cost_usd"] == pytest.approx(2 * EACH_USD)
    assert (kept["input_tokens"], kept["output_tokens"]) == (20, 10)
    assert sorted(each["llm"] for each in kept["decision"]["calls"]) == ["blank", "void"]
    assert kept["decision"]["unsettled_usd"] == 0
    metrics = client.get("/metrics").text
    assert f'routemoa_cost_usd_total{{llm="void"}} {EACH_USD}' in metrics
    assert 'routemoa_llm_failures_total{error="LLMGarbled",llm="void"} 1.0' in metrics
    assert 'routemoa_tokens_total{direction="in"} 20.0' in metrics


def test_a_stream_that_broke_may_still_be_charged(client) -> None:
    """What it costs nobody knows: the record and the metrics say at most how much."""
    with client.stream("POST", "/v1/chat/completions", json={**ASK, "model": "broken", "stream": True}) as stream:
        stream.read()
    kept = client.get(f"/v1/decisions/{stream.headers['x-routemoa-decision']}").json()
    assert (kept["status"], kept["cost_usd"]) == ("error", 0)
    unsettled = kept["decision"]["unsettled_usd"]
    assert 0.0005 < unsettled < 0.001  # 256 tokens out at 2 USD a million, and what was sent
    assert f"routemoa_unsettled_usd_total {unsettled}" in client.get("/metrics").text
