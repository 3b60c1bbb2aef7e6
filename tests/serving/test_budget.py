"""A budget holds whatever fields a request brings."""

import faulty_upstream
import pytest

ASK = {"messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}], "max_tokens": 5, "routemoa": {"budget_usd": 0.0065}}
BUYS_MORE = [
    {"n_predict": 60},
    {"best_of": 4},
    {"min_tokens": 60},
    {"ignore_eos": True},
    {"service_tier": "priority"},
    {"web_search_options": {}},
    {"max_new_tokens": 60},
    {"use_beam_search": True},
    {"prediction": {"type": "content", "content": "x" * 1000}},
    {"modalities": ["text", "audio"], "audio": {"voice": "a", "format": "wav"}},
    {"plugins": [{"id": "web"}]},
    {"models": ["dearer"]},
    {"thinking": {"budget_tokens": 10_000}},
    {"a_field_of_tomorrow": 1},
    {"tools": [{"type": "web_search"}]},
]


@pytest.mark.parametrize("model", ["echo", "routemoa", "routemoa-single"])
@pytest.mark.parametrize("fields", BUYS_MORE, ids=lambda fields: next(iter(fields)))
def test_a_field_that_may_buy_more_is_refused_under_a_budget(client, model, fields) -> None:
    """400 with the field as param, before any endpoint is asked; without a budget it is passed on."""
    before = dict(faulty_upstream.counts)
    for path in ("/v1/chat/completions", "/v1/route") if model != "echo" else ("/v1/chat/completions",):
        refused = client.post(path, json={**ASK, **fields, "model": model})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, next(iter(fields))), refused.text
    assert faulty_upstream.counts == before
    if "tools" not in fields:
        assert client.post("/v1/chat/completions", json={**ASK, **fields, "model": model, "routemoa": {}}).status_code == 200


def test_an_operators_budget_holds_alike(client) -> None:
    """It is no matter who set it."""
    settings = client.app.state.serving.settings
    limited = settings.model_copy(update={"mixture": settings.mixture.model_copy(update={"budget_usd": 0.01})})
    client.app.state.serving.settings = limited
    try:
        refused = client.post("/v1/chat/completions", json={**ASK, "model": "echo", "routemoa": {}, "n_predict": 60})
    finally:
        client.app.state.serving.settings = settings
    assert refused.json()["error"]["param"] == "n_predict"


def test_what_clients_send_every_day_is_taken(client) -> None:
    """Sampling, structured output, tools of the caller's own: their cost is bounded."""
    everyday = {"temperature": 0.2, "top_p": 0.9, "n": 2, "stop": ["x"], "seed": 1, "user": "me", "metadata": {"a": "b"}, "logprobs": True}
    assert client.post("/v1/chat/completions", json={**ASK, **everyday, "model": "echo"}).status_code == 200
    tools = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
    assert client.post("/v1/chat/completions", json={**ASK, "tools": tools, "model": "tooled"}).status_code == 200
