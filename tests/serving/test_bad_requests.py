"""However malformed a request is, the answer is a 4xx in OpenAI's schema, never a 5xx."""

import json

import faulty_upstream
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.errors import RequestRefused
from serving.request.protocol import ChatRequest, parse
from tests.cpu import at_most

MESSAGE = {"role": "user", "content": "what is 1 + 2 ?"}
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
keys = st.text(max_size=8)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12)
POSTS = ["/v1/chat/completions", "/v1/route", "/v1/feedback", "/admin/llms", "/admin/jobs", "/admin/scorer/promote"]
LETTERS = st.characters(codec="ascii", min_codepoint=33, exclude_characters="?#%\\\x7f")
FIELDS = ["model", "messages", "stream", "stream_options", "routemoa", "temperature", "max_tokens", "n", "tools", "response_format", "stop"]
FIELDS += ["seed", "logprobs", "functions", "tool_choice", "user", "metadata", "budget_usd"]
OURS = ["budget_usd", "deadline_s", "weights", "k", "max_layers", "aggregation", "data_policy", "explain", "domain", "budget"]
bodies = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(FIELDS, anything),
        "model": st.sampled_from(["echo", "routemoa", "routemoa-single", "nobody"]) | anything,
        "messages": st.just([MESSAGE]) | st.lists(st.just(MESSAGE) | anything, max_size=3) | anything,
        "routemoa": st.dictionaries(st.sampled_from(OURS), anything, max_size=3) | anything,
    },
)


def check(response) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert error["code"]


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(body=bodies, path=st.sampled_from(POSTS))
def test_json_of_any_shape(client, body, path) -> None:
    """Any JSON object is answered or refused by field."""
    check(client.post(path, content=json.dumps(body), headers={"content-type": "application/json"}))


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()), path=st.sampled_from(POSTS))
def test_bytes_of_any_kind(client, content, path) -> None:
    """Any bytes are answered or refused."""
    check(client.post(path, content=content))


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]), path=st.text(LETTERS, max_size=30))
def test_any_address(client, method, path) -> None:
    """Any method on any address is answered or refused."""
    check(client.request(method, f"http://testserver/{path}", follow_redirects=False))


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, 400, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, 400, "messages.0"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://10.0.0.1/"}}]}]}, 400, None),
        ({"model": ""}, 400, "model"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"max_tokens": True}, 400, "max_tokens"),
        ({"stream": "yes"}, 400, "stream"),
        ({"routemoa": {"k": 0}}, 400, "routemoa.k"),
        ({"routemoa": {"weights": {"usd": -1}}}, 400, "routemoa.weights.usd"),
        ({"routemoa": {"weights": {"dollars": 1}}}, 400, "routemoa.weights.dollars"),
        ({"routemoa": {"aggregation": "magic"}}, 400, "routemoa.aggregation"),
        ({"routemoa": {"weights": {"usd": 9.9}}}, 400, "routemoa.weights.usd"),
        ({"routemoa": {"weights": {"second": 0.001}}}, 400, "routemoa.weights.second"),
        ({"routemoa": {"weights": {"quality": 1.1}}}, 400, "routemoa.weights.quality"),
        ({"routemoa": {"weights": {"usd": 10, "second": 0.002, "quality": 1}}}, 200, None),
        ({"routemoa": {"weights": {"usd": 1000, "second": 1, "quality": 0.5}}}, 200, None),
        ({"weights": {"usd": 1000}}, 400, None),
        ({"budget_usd": 1.0}, 400, None),
    ],
)
def test_a_wrong_field_is_named(client, change, status, param) -> None:
    """The error's param is the dotted name of the field."""
    response = client.post("/v1/chat/completions", json={"model": "echo", "messages": [MESSAGE], **change})
    assert response.status_code == status
    if param is not None:
        assert response.json()["error"]["param"] == param


def test_a_weight_that_is_not_obeyed_says_what_may_be_asked(client) -> None:
    """A request may make money and time dearer, not cheaper; /v1/route refuses alike, and our fields outside `routemoa` are named."""
    for path in ("/v1/chat/completions", "/v1/route"):
        asked = {"model": "routemoa", "messages": [MESSAGE], "routemoa": {"weights": {"usd": 1}}}
        message = client.post(path, json=asked).json()["error"]["message"]
        assert message.startswith("routemoa.weights.usd: 1 would let a request cost more than this server allows, whose weight is 10.")
        assert message.endswith("Give 10 or more, or leave it out.")
        stray = client.post(path, json={"model": "routemoa", "messages": [MESSAGE], "weights": {"usd": 1000}}).json()["error"]["message"]
        assert "'weights' belongs into 'routemoa'" in stray


@pytest.mark.parametrize("model", ["echo", "routemoa", "routemoa-single"])
@pytest.mark.parametrize("stream", [False, True])
def test_addresses_reach_no_llm_by_any_way(client, model, stream) -> None:
    """Routed, passed through, whole and streamed: refused by the part, and no endpoint is asked."""
    before = dict(faulty_upstream.counts)
    for part in (
        {"type": "video_url", "video_url": {"url": "http://10.0.0.1/"}},
        {"type": "file", "file": {"file_url": "http://10.0.0.1/"}},
    ):
        asked = {"model": model, "stream": stream, "messages": [{"role": "user", "content": [part]}]}
        refused = client.post("/v1/chat/completions", json=asked)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
    assert faulty_upstream.counts == before


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/route"])
@pytest.mark.parametrize("fields", [{"tools": [{"type": []}]}, {"functions": [{"type": []}]}, {"tools": [{"type": {}}], "budget": 1}])
def test_a_type_of_any_shape_is_no_fault_of_ours(client, path, fields) -> None:
    """Sizes are taken of what was sent, whatever its shape."""
    for model in ("routemoa", "routemoa-single", "echo"):
        for budget in (None, 0.01):
            asked = {"model": model, "messages": [MESSAGE], **fields, "routemoa": {"budget_usd": budget}}
            check(client.post(path, json=asked))
    if "tools" in fields:
        assert client.post(path, json={"model": "routemoa", "messages": [MESSAGE], **fields}).status_code == 400


def test_a_body_too_large_is_413(client) -> None:
    """Neither an announced nor a chunked body passes the limit."""
    big = b'{"x": "' + b"x" * (5 * 1024 * 1024) + b'"}'
    for content in (big, iter([big[: len(big) // 2], big[len(big) // 2 :]])):
        response = client.post("/v1/chat/completions", content=content)
        assert response.status_code == 413
        assert response.json()["error"]["code"] == "request_too_large"


def test_deep_json_is_refused(client) -> None:
    """What cannot be written again is not read."""
    for depth in (300, 900, 100_000):
        nested = b"[" * depth + b"]" * depth
        check(
            client.post("/v1/chat/completions", content=b'{"model":"echo","messages":[{"role":"user","content":"x"}],"x":' + nested + b"}")
        )


def test_null_means_not_given(client) -> None:
    """Clients send null for what they leave out."""
    fields = ("temperature", "max_tokens", "tools", "stop", "stream", "stream_options", "routemoa", "response_format", "n", "seed")
    response = client.post("/v1/chat/completions", json={"model": "echo", "messages": [MESSAGE], **dict.fromkeys(fields)})
    assert response.status_code == 200


PART, WORD = {"type": "text", "text": "x"}, {"role": "user", "content": "x"}
MANY = {
    "messages": {"messages": [WORD] * 2001},
    "parts": {"messages": [{"role": "user", "content": [PART] * 1001}, {"role": "user", "content": [PART] * 1001}]},
    "tool calls": {"messages": [{"role": "assistant", "tool_calls": [{}] * 2001}, WORD]},
    "values": {"metadata": [[]] * 500_000},
    "keys": {"routemoa": {f"k{number}": 1 for number in range(100_000)}},
    "wrong values": {"functions": [1] * 500_000},
    "wrong values nested": {"metadata": {"a": [{"b": [1] * 60_000}]}},
}


@pytest.mark.parametrize("what", MANY)
def test_many_small_things_are_refused_before_they_take_long(client, what) -> None:
    """One request may not keep the others waiting while its fields are checked."""
    content = json.dumps({"model": "echo", "messages": [MESSAGE], **MANY[what]}).encode()
    with at_most(0.5), pytest.raises(RequestRefused, match=r"at most|holds more than"):
        parse(ChatRequest, content)
    check(client.post("/v1/chat/completions", content=content))


def test_a_long_conversation_is_read(client) -> None:
    """Many turns with tool calls, and a long text, are what agents send."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        MESSAGE,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "x" * 1000},
    ]
    response = client.post("/v1/chat/completions", json={"model": "echo", "messages": turns * 450 + [MESSAGE]})
    assert response.status_code == 200
