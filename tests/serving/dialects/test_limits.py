"""Rates, budgets and load count requests of every dialect."""

import re

import pytest
from routing_client import ready
from starlette.testclient import TestClient
from vendor_world import VendorWorld

from serving.access import keys

ASK = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "x"}]},
    "/v1/responses": {"input": "x"},
    "/v1/messages": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 5},
    "/v1/embeddings": {"input": "x"},
    "/v1/completions": {"prompt": "x"},
}


@pytest.fixture(scope="module")
def limited(project: VendorWorld):
    """A server that was started with the keys there."""
    made = {path: keys.create(project.settings().keys_file, path, ("chat",), requests_per_minute=1) for path in ASK}
    poor = {path: keys.create(project.settings().keys_file, f"poor {path}", ("chat",), usd_per_day=1e-7) for path in ASK}
    for client in ready(project):
        yield client, made, poor


@pytest.mark.parametrize("path", ASK)
def test_a_rate_counts(limited: tuple[TestClient, dict, dict], path: str) -> None:
    """The second of a minute is told when to come again."""
    client, made, _ = limited
    header = {"Authorization": f"Bearer {made[path]}"}
    assert client.post(path, json={"model": "plain", **ASK[path]}, headers=header).headers["x-ratelimit-remaining-requests"] == "0"
    refused = client.post(path, json={"model": "plain", **ASK[path]}, headers=header)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ASK)
def test_a_budget_holds(limited: tuple[TestClient, dict, dict], path: str) -> None:
    """No LLM is asked whose worst case it has no room for."""
    client, _, poor = limited
    refused = client.post(path, json={"model": "plain", **ASK[path]}, headers={"Authorization": f"Bearer {poor[path]}"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")


@pytest.mark.parametrize("model", ["routemoa", "routemoa-single"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_a_prompt_too_long_for_every_llm_is_refused_as_vendors_do(served: TestClient, path: str, model: str) -> None:
    """By OpenAI's code, or Anthropic's words, coding agents know that they have to shorten their history."""
    long = [{"role": "user", "content": "word " * 210_000}]
    asked = {"model": model, "input" if path == "/v1/responses" else "messages": long, **({"max_tokens": 5} if "messages" in path else {})}
    refused = [served.post(path, json=asked | {"stream": stream}) for stream in (False, True)]
    for each in refused:
        error = each.json()["error"]
        assert (each.status_code, error["type"], error["code"]) == (400, "invalid_request_error", "context_length_exceeded")
        vendors = r"^prompt is too long: \d{6} tokens > 200000 maximum$" if path == "/v1/messages" else "maximum context length is 200000"
        assert re.search(vendors, error["message"])


def test_a_prompt_that_another_reason_forbids_is_not_too_long(served: TestClient) -> None:
    """Shortening it would not help."""
    asked = {"model": "routemoa", "messages": [{"role": "user", "content": "word " * 210_000}], "routemoa": {"data_policy": ["mars"]}}
    assert served.post("/v1/chat/completions", json=asked).json()["error"]["code"] == "no_capable_llm"
