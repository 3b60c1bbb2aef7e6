"""Anthropic's own client works against the server unchanged: virtual models and LLMs by name, streamed and whole."""

import contextlib
import time
from typing import Any, cast

import anthropic
import pytest
from anthropic import Anthropic
from world import World

from serving.access import keys

ASK: Any = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]
ADD: Any = [{"name": "add", "description": "adds", "input_schema": {"type": "object", "properties": {}}}]
PIXEL = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}


@pytest.fixture
def official(client, shared: World) -> Anthropic:
    """The vendor's own client, its HTTP going to the app in this process."""
    return Anthropic(api_key=shared.key, base_url="http://testserver", http_client=client, max_retries=0)


@pytest.mark.parametrize("model", ["routemoa", "routemoa-single", "echo"])
def test_create(official: Anthropic, model: str) -> None:
    """A message parses, with its usage, and our facts as a further field."""
    answer = official.messages.create(model=model, max_tokens=100, messages=ASK, extra_body={"routemoa": {"max_layers": 1}})
    assert "the sum of 1 and 2" in answer.content[0].text
    assert (answer.model, answer.role, answer.stop_reason) == (model, "assistant", "end_turn")
    assert answer.usage.input_tokens >= 10
    assert answer.usage.output_tokens >= 5
    assert answer.model_extra["routemoa"]["decision_id"] in answer.id
    assert answer._request_id in answer.id


@pytest.mark.parametrize("model", ["routemoa", "routemoa-single", "echo"])
def test_stream(official: Anthropic, model: str) -> None:
    """The client's accumulating helper ends with the whole message."""
    with official.messages.stream(model=model, max_tokens=100, messages=ASK) as stream:
        said = "".join(stream.text_stream)
        answer = stream.get_final_message()
    assert "the sum of 1 and 2" in said
    assert answer.content[0].text == said
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens >= 10


def test_the_events_are_the_vendors(official: Anthropic) -> None:
    """In their order, the last with our facts beside the usage."""
    events = list(official.messages.create(model="echo", max_tokens=100, messages=ASK, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert events[-2].model_extra["routemoa"]["llm"] == "echo"


@pytest.mark.parametrize("model", ["routemoa", "tooled"])
def test_tools(official: Anthropic, model: str) -> None:
    """A call of a tool comes back as the LLM made it."""
    answer = official.messages.create(model=model, max_tokens=100, messages=ASK, tools=ADD)
    assert [(block.type, block.name, block.input) for block in answer.content] == [("tool_use", "add", {})]
    assert answer.stop_reason == "tool_use"


@pytest.mark.parametrize("model", ["routemoa", "tooled"])
def test_images(official: Anthropic, model: str) -> None:
    """An image goes to an LLM that sees, as a data: URL."""
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "what is it ?"}, PIXEL]}]
    answer = official.messages.create(model=model, max_tokens=100, messages=messages)
    assert "data:image/png;base64,iVBORw0KGgo=" in answer.content[0].text
    assert answer.model_extra["routemoa"]["llm"] == "tooled"


def test_structured_output(official: Anthropic) -> None:
    """It needs an LLM that writes JSON, and one alone."""
    form: Any = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    answer = official.messages.create(model="routemoa", max_tokens=100, messages=ASK, output_config=form)
    assert answer.model_extra["routemoa"]["llm"] == "tooled"


@pytest.mark.parametrize("how", ["headers", "metadata", "body"])
def test_options(official: Anthropic, how: str) -> None:
    """Of our own: in headers, in the metadata, or beside the fields of the dialect."""
    sent: dict[str, Any] = {
        "headers": {"extra_headers": {"x-routemoa-k": "1", "x-routemoa-explain": "true"}},
        "metadata": {"metadata": {"routemoa": {"k": 1, "explain": True}}},
        "body": {"extra_body": {"routemoa": {"k": 1, "explain": True}}},
    }[how]
    answer = official.messages.create(model="routemoa", max_tokens=100, messages=ASK, **sent)
    assert answer.model_extra["routemoa"]["decision"]["options"]["k"] == 1


def test_count_tokens(official: Anthropic) -> None:
    """An estimate that grows with what is sent, tools and their calls too."""
    little = official.messages.count_tokens(model="routemoa", messages=ASK).input_tokens
    more = official.messages.count_tokens(model="echo", messages=ASK, tools=ADD, system="Be brief." * 20).input_tokens
    assert 0 < little < more


def test_an_answer_is_known_by_its_id(official: Anthropic, client) -> None:
    """Its record is found by it, and what it was worth is reported by it."""
    answer = official.messages.create(model="routemoa-single", max_tokens=100, messages=ASK)
    assert client.get(f"/v1/decisions/{answer.id}").json()["virtual_model"] == "routemoa-single"
    assert client.post("/v1/feedback", json={"decision_id": answer.id, "score": 1.0}).is_success


def test_models(official: Anthropic) -> None:
    """The list has what a request may name; each can be retrieved."""
    names = {model.id for model in official.models.list()}
    assert {"routemoa", "routemoa-single", "echo"} <= names
    assert not {"retired-one", "recorded-one"} & names
    assert official.models.retrieve("routemoa").type == "model"


def test_a_key_in_the_vendors_header(client, shared: World) -> None:
    """X-api-key, as older clients send it; no anthropic-version is needed."""
    sent = {"model": "echo", "max_tokens": 9, "messages": ASK}
    client.headers.pop("Authorization")
    try:
        assert client.post("/v1/messages", json=sent, headers={"x-api-key": shared.key}).status_code == 200
        refused = client.post("/v1/messages", json=sent, headers={"x-api-key": "wrong"})
    finally:
        client.headers["Authorization"] = f"Bearer {shared.key}"
    assert refused.status_code == 401
    assert refused.json()["error"]["type"] == "authentication_error"


CALLS: Any = [
    (lambda it: it.with_options(api_key="wrong").messages.create(model="echo", max_tokens=9, messages=ASK), anthropic.AuthenticationError),
    (lambda it: it.messages.create(model="nobody-here", max_tokens=9, messages=ASK), anthropic.NotFoundError),
    (lambda it: it.messages.count_tokens(model="nobody-here", messages=ASK), anthropic.NotFoundError),
    (lambda it: it.messages.create(model="echo", max_tokens=9, messages=[]), anthropic.BadRequestError),
    (lambda it: it.messages.create(model="echo", max_tokens=9, messages=ASK, extra_body={"temperature": 9}), anthropic.BadRequestError),
    (lambda it: it.messages.create(model="echo", max_tokens=9, messages=ASK, system=cast(Any, 4)), anthropic.BadRequestError),
    (lambda it: it.messages.create(model="refuse", max_tokens=9, messages=ASK), anthropic.BadRequestError),
    (lambda it: it.messages.create(model="garbled", max_tokens=9, messages=ASK), anthropic.InternalServerError),
    (lambda it: it.messages.create(model="down", max_tokens=9, messages=ASK), anthropic.OverloadedError),
    (lambda it: it.messages.create(model="hang", max_tokens=9, messages=ASK), anthropic.GatewayTimeoutError),
    (
        lambda it: it.messages.create(model="echo", max_tokens=9, messages=ASK, extra_headers={"x-routemoa-k": "x"}),
        anthropic.BadRequestError,
    ),
    (lambda it: it.get("/v1/messages/batches", cast_to=object), anthropic.NotFoundError),
]


@pytest.mark.parametrize(("call", "raised"), CALLS)
def test_errors_are_the_clients_own(official: Anthropic, call, raised) -> None:
    """Every error arrives as the exception that the client has for it, in the vendor's schema."""
    with pytest.raises(raised) as caught:
        call(official)
    body = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["message"]
    assert body["request_id"] == caught.value.request_id
    assert caught.value.type == body["error"]["type"]


def test_a_refusal_names_its_field(official: Anthropic) -> None:
    """As its caller wrote it."""
    there: Any = {"type": "image", "source": {"type": "url", "url": "http://127.0.0.1/x.png"}}
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.content\.0\.source: a source of type 'url' is refused"):
        official.messages.create(model="tooled", max_tokens=9, messages=[{"role": "user", "content": [there]}])


@pytest.mark.parametrize(("model", "kind"), [("cut", "api_error"), ("error-inside", "overloaded_error")])
def test_a_broken_stream_raises(official: Anthropic, model: str, kind: str) -> None:
    """A stream that fails ends in the vendor's error event, never as a complete message."""
    with pytest.raises(anthropic.APIStatusError) as caught, official.messages.stream(model=model, max_tokens=9, messages=ASK) as stream:
        stream.until_done()
    assert caught.value.type == kind
    assert caught.value.body["type"] == "error"


def test_rates_and_budgets(client, shared: World) -> None:
    """Both are a RateLimitError, which says when to ask again, or that asking again is of no use."""
    limits = {"one-a-minute": {"requests_per_minute": 1}, "one-cent": {"usd_per_day": 0.00001}}
    for name, limit in limits.items():
        key = keys.create(shared.settings().keys_file, name, ("chat",), **limit)
        official = Anthropic(api_key=key, base_url="http://testserver", http_client=client, max_retries=0)
        with pytest.raises(anthropic.RateLimitError) as caught:
            asked_until_refused(official)
        assert caught.value.type == "rate_limit_error"
        headers = caught.value.response.headers
        assert headers["x-should-retry"] == "false" if name == "one-cent" else int(headers["retry-after"]) > 0


def asked_until_refused(official: Anthropic) -> None:
    """Raises what refuses; the server may take a moment to know the key."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        with contextlib.suppress(anthropic.AuthenticationError):
            official.messages.create(model="tooled", max_tokens=5000, messages=ASK)
        time.sleep(0.02)
