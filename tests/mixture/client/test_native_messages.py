"""Replies in Anthropic's dialect are read whatever endpoints send, and pass on as they came."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.client.native_messages import MessagesAssembly, NativeMessages
from mixture.client.protocol import Call
from mixture.client.thinking_state import ThinkingState, opened
from mixture.errors import LLMFailed, LLMGarbled, LLMOverloaded, LLMRefused
from mixture.llm import LLM, Endpoint
from mixture.price import Price

ONE = LLM("one", "one", Price(1.0, 2.0), Endpoint("http://127.0.0.1:9/v1", "served-one"))
USED = {"input_tokens": 10, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 0, "output_tokens": 1}
HEAD = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None, "usage": USED}


def assembly() -> MessagesAssembly:
    """Of a reply that begins."""
    return NativeMessages({"messages": []}).assembly(Call(ONE, ()))


def events() -> list[dict[str, Any]]:
    """A thought, words and a call of a tool."""
    return [
        {"type": "message_start", "message": HEAD},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "ping"},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "I add."}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "add", "input": {}}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a":'}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": " 1}"}},
        {"type": "content_block_stop", "index": 2},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 30, "output_tokens_details": {"thinking_tokens": 4}},
        },
        {"type": "message_stop"},
    ]


def test_a_stream_is_put_together_as_the_message_that_it_is() -> None:
    """Its usage is the last that was told, caches included; the signature is in an envelope."""
    reading = assembly()
    chunks = [reading.add(each, named=each["type"]) for each in events()]
    assert reading.complete(done=False)
    reply = reading.reply(0.1)
    assert "".join(chunk.text for chunk in chunks) == reply.text == "I add."
    assert (reply.input_tokens, reply.output_tokens, reply.finish_reason) == (100, 30, "tool_calls")
    assert reply.usage is not None
    assert (reply.usage.cache_read, reply.usage.reasoning) == (90, 4)
    assert reply.native is not None
    thought, said, used = reply.native["content"]
    assert opened(thought.pop("signature")) == ThinkingState("one", signature="sig")
    assert thought == {"type": "thinking", "thinking": "hm"}
    assert said == {"type": "text", "text": "I add."}
    assert used == {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}}
    assert reply.raw["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a":1}'}
    passed = [chunk.native.tree for chunk in chunks if chunk.native is not None]
    assert [each for each in passed if "signature" not in str(each)] == [each for each in events() if "signature" not in str(each)]


def test_a_broken_stream_is_no_reply() -> None:
    """One that ends before it says so."""
    reading = assembly()
    for each in events()[:-1]:
        reading.add(each, named=each["type"])
    assert not reading.complete(done=True)
    with pytest.raises(LLMGarbled, match="no finished message"):
        reading.reply(0.1)


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("overloaded_error", LLMOverloaded),
        ("rate_limit_error", LLMOverloaded),
        ("invalid_request_error", LLMRefused),
        ("api_error", LLMFailed),
    ],
)
def test_an_error_is_an_error_of_the_llm(kind: str, raised: type[LLMFailed]) -> None:
    """By the vendor's types, also in the middle of a stream, where what was used is charged."""
    reading = assembly()
    for each in events()[:8]:
        reading.add(each, named=each["type"])
    with pytest.raises(raised) as failed:
        reading.add({"type": "error", "error": {"type": kind, "message": "no"}}, named="error")
    assert failed.value.billable


def test_another_llms_thoughts_do_not_go_there() -> None:
    """Its own do, as it signed them, and what was signed before this server was asked; a turn of nothing else is left out."""
    own, others = ThinkingState("one", signature="sig").sealed(), ThinkingState("two", signature="x").sealed()
    block = {"type": "thinking", "thinking": "hm"}
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [{**block, "signature": others}]},
        {"role": "assistant", "content": [{**block, "signature": each} for each in (own, others, "before", "")]},
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": own}, {"type": "text", "text": "b"}]},
    ]
    sent = NativeMessages({"model": "one", "max_tokens": 5, "messages": messages}).body(ONE, stream=True)
    assert sent == {
        "model": "served-one",
        "max_tokens": 5,
        "stream": True,
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [{**block, "signature": "sig"}, {**block, "signature": "before"}]},
            {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "sig"}, {"type": "text", "text": "b"}]},
        ],
    }


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from(["text", "thinking", "tool_use", "message"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "index", "delta", "content_block", "message", "usage", "error", "text", "content"]), inner
        ),
    ),
    max_leaves=10,
)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container in a tree with each of its keys."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [place for key in keys for place in [(tree, key), *places(tree[key])]]


@given(st.data(), values)
def test_whatever_is_sent_is_read_or_an_error_of_the_llm(data: st.DataObject, odd: Any) -> None:
    """Any value in any place of a stream, or of a whole message."""
    whole = [{**HEAD, "content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"}]
    told: list[Any] = copy.deepcopy(data.draw(st.sampled_from([events(), whole])))
    container, key = data.draw(st.sampled_from(places(told)))
    container[key] = odd
    reading = assembly()
    try:
        for each in told:
            reading.add(each, named=each.get("type") if isinstance(each, dict) and isinstance(each.get("type"), str) else None)
        reply = reading.reply(0.1)
    except LLMFailed:
        return
    assert reply.native is not None
