"""Answers in Anthropic's dialect, whole and as events that the vendor's own client puts together."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from mixture.client.protocol import Call, Chunk, Reply
from mixture.client.stream_assembly import Assembly
from mixture.client.thinking_state import ThinkingState, opened
from mixture.decision import Decision, Layer, Run
from mixture.errors import LLMFailed
from mixture.llm import LLM
from mixture.price import Price
from mixture.usage import Usage
from serving.dialects import messages_reply
from serving.dialects.messages_stream import BlockEvents, begins

LLM_ = LLM("one", "one", Price(1.0, 2.0))
EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


def decision(raw: Mapping[str, Any], usage: Usage | None = None, *, finish: str = "stop") -> Decision:
    """What one LLM answered unchanged."""
    usage = usage or Usage(10, 5)
    reply = Reply("one", "", finish, usage.input_tokens, usage.output_tokens, 0.0, 0.1, raw=raw, usage=usage)
    layer = Layer((Run.of(reply, ""),), {}, {})
    return Decision(
        text="", llm="one", finish_reason=finish, layers=(layer,), stopped_because="", aggregation="single", score=1.0, cost_usd=0.0,
        latency_s=0.1, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, reply=reply,
    )  # fmt: skip


def message(finish: str = "stop", **fields: Any) -> dict[str, Any]:
    """A chat completion with this message."""
    return {"choices": [{"index": 0, "message": {"role": "assistant", **fields}, "finish_reason": finish}]}


def call(name: str, arguments: str, at: int = 0) -> dict[str, Any]:
    """A call of a tool in the chat dialect."""
    return {"index": at, "id": f"call-{at}", "type": "function", "function": {"name": name, "arguments": arguments}}


def whole(raw: Mapping[str, Any], usage: Usage | None = None, stops: Sequence[str] = ()) -> Message:
    """As the vendor's client reads it, which finds nothing wrong."""
    return Message.model_validate(messages_reply.whole(decision(raw, usage), "d1", "routemoa", stops), strict=True)


def test_an_answer_of_every_kind_of_block() -> None:
    """Thoughts first, then words, then calls."""
    answer = whole(message("tool_calls", content="I add.", reasoning_content="hm", tool_calls=[call("add", '{"a": 1}')]))
    thought, said, used = answer.content
    assert (thought.type, said.type, used.type) == ("thinking", "text", "tool_use")
    assert (thought.thinking, said.text, used.name, used.input) == ("hm", "I add.", "add", {"a": 1})
    assert opened(thought.signature) == ThinkingState("one", text="reasoning_content")
    assert answer.stop_reason == "tool_use"
    assert answer.id == "msg_d1"


@pytest.mark.parametrize(
    ("finish", "fields", "reason"),
    [
        ("stop", {"content": "x"}, "end_turn"),
        ("length", {"content": "x"}, "max_tokens"),
        ("content_filter", {"content": "x"}, "refusal"),
        ("stop", {"content": None, "refusal": "no"}, "refusal"),
        ("tool_calls", {"tool_calls": [call("f", "{}")]}, "tool_use"),
        ("stop", {"tool_calls": [call("f", "{}")]}, "tool_use"),
        ("eos", {"content": "x"}, "end_turn"),
    ],
)
def test_why_it_stopped(finish: str, fields: Mapping[str, Any], reason: str) -> None:
    """The chat dialect's reasons in the vendor's words."""
    assert whole(message(finish, **fields)).stop_reason == reason


def test_a_stop_sequence_is_named_where_the_endpoint_names_it() -> None:
    """VLLM says which one it met."""
    raw = message(content="x")
    raw["choices"][0]["stop_reason"] = "END"
    answer = whole(raw, stops=["END"])
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "END")
    assert whole(raw).stop_reason == "end_turn"


@pytest.mark.parametrize(("written", "read"), [("", {}), ("[1]", {"INVALID_JSON": "[1]"}), ("{", {"INVALID_JSON": "{"})])
def test_arguments_that_are_no_object_are_kept(written: str, read: dict[str, Any]) -> None:
    """So that the caller can tell the LLM what it wrote."""
    assert whole(message(tool_calls=[call("f", written)])).content[0].input == read


def test_usage_leaves_caches_out_of_the_input() -> None:
    """As the vendor bills: input, cache writes and cache reads add up to all that was read."""
    used = Usage(1000, 50, cache_read=600, cache_write=100, cache_write_1h=200, reasoning=20)
    usage = whole(message(content="x"), used).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (100, 600, 300)
    assert usage.cache_creation.ephemeral_1h_input_tokens == 200
    assert (usage.output_tokens, usage.output_tokens_details.thinking_tokens) == (50, 20)


def streamed(deltas: Sequence[Mapping[str, Any]], finish: str = "stop") -> tuple[Message, Message]:
    """A streamed answer as the vendor's client accumulates it, and the same answer whole."""
    assembly = Assembly(Call(LLM_, ()))
    chunks = [assembly.add({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}) for delta in deltas]
    chunks.append(assembly.add({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}))
    events, writer = [begins("d1", "routemoa")], BlockEvents()
    for chunk in chunks:
        events += writer.take(chunk)
    events += writer.rest()
    done = decision(assembly.reply(0.1).raw, finish=finish)
    events.append({"type": "message_delta", "delta": messages_reply.stopped(done, writer.shown), "usage": messages_reply.usage(done)})
    assert_one_block_at_a_time(events)
    snapshot, buffers = None, {}
    for event in events:
        snapshot = accumulate_event(event=EVENT.validate_python(event), current_snapshot=snapshot, json_bufs=buffers)
    return snapshot, Message.model_validate(messages_reply.whole(done, "d1", "routemoa"))


def assert_one_block_at_a_time(events: Sequence[Mapping[str, Any]]) -> None:
    """Each begins at the next index, grows and ends before another begins."""
    begun, is_open = 0, False
    for event in events:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == begun
            begun, is_open = begun + 1, True
        elif event["type"].startswith("content_block"):
            assert is_open
            assert event["index"] == begun - 1
            is_open = event["type"] != "content_block_stop"
    assert not is_open


def test_two_calls_written_at_once() -> None:
    """The second waits for the end of the first; nothing of either is lost."""
    deltas = [
        {"content": "I "},
        {"content": "add."},
        {"tool_calls": [call("add", "", 0)]},
        {"tool_calls": [call("sub", '{"b"', 1)]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": ": 2}"}}]},
        {"content": " Done."},
    ]
    answer, _ = streamed(deltas, "tool_calls")
    first, one, other, last = answer.content
    assert (first.text, last.text) == ("I add.", " Done.")
    assert (one.name, one.input, other.name, other.input) == ("add", {"a": 1}, "sub", {"b": 2})


def test_thoughts_are_streamed_with_their_signature() -> None:
    """The signature holds what the LLM's gateway wants back."""
    signed = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    answer, same = streamed([{"reasoning_content": "h"}, {"reasoning_content": "m", "thinking_blocks": [signed]}, {"content": "3"}])
    assert [block.to_dict(exclude_none=True) for block in answer.content] == [block.to_dict() for block in same.content]
    assert opened(answer.content[0].signature) == ThinkingState("one", fields={"thinking_blocks": [signed]}, text="reasoning_content")


def test_thoughts_that_nobody_reads_are_redacted() -> None:
    """They come before the words that they led to, which are not held back for them."""
    hidden = {"type": "reasoning.encrypted", "data": "x"}
    answer, _ = streamed([{"reasoning_details": [hidden]}, {"content": "3"}])
    assert [block.type for block in answer.content] == ["redacted_thinking", "text"]
    assert opened(answer.content[0].data).fields == {"reasoning_details": [hidden]}


def test_the_words_of_a_mixture_are_one_block() -> None:
    """Chunks of a synthesis have no message of an endpoint."""
    writer = BlockEvents()
    events = [*writer.take(Chunk("a")), *writer.take(Chunk("b")), *writer.rest()]
    assert [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"] == ["a", "b"]


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
arguments = st.dictionaries(st.sampled_from("abc"), words, max_size=2).map(lambda each: orjson.dumps(each).decode())


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Deltas of words, thoughts and calls, whose pieces are mixed as an endpoint may mix them."""
    pieces = []
    for at in range(draw(st.integers(0, 3))):
        written = draw(arguments)
        cut = draw(st.integers(0, len(written)))
        later = {"tool_calls": [{"index": at, "function": {"arguments": written[cut:]}}]}
        pieces.append([{"tool_calls": [call(f"tool{at}", written[:cut], at)]}, later])
    pieces.append([{"content": each} for each in draw(st.lists(words, max_size=3))])
    pieces.append([{"reasoning": each} for each in draw(st.lists(words, max_size=3))])
    mixed = []
    while any(pieces):
        mixed.append(draw(st.sampled_from([each for each in pieces if each])).pop(0))
    return mixed


@given(streams())
def test_a_stream_brings_all_that_the_whole_answer_has(deltas: list[dict[str, Any]]) -> None:
    """Whatever the order of the pieces: the same words, thoughts and calls."""
    answer, same = streamed(deltas, "stop")
    for kind, part in (("text", "text"), ("thinking", "thinking")):
        both = ["".join(getattr(block, part) for block in each.content if block.type == kind) for each in (answer, same)]
        assert both[0] == both[1]
    called = [[(block.id, block.name, block.input) for block in each.content if block.type == "tool_use"] for each in (answer, same)]
    assert sorted(called[0], key=str) == sorted(called[1], key=str)
    assert answer.stop_reason == same.stop_reason


@given(st.one_of(st.text(max_size=40), st.binary(max_size=40).map(lambda content: "routemoa." + content.hex())))
def test_any_signature_is_opened_or_not(signature: str) -> None:
    """Callers send what they like."""
    state = opened(signature)
    assert state is None or state.sealed()


odd = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["type", "name", "function", "text"]), inner)),
    max_leaves=6,
)
names = st.sampled_from(
    ["content", "reasoning", "reasoning_content", "thinking_blocks", "reasoning_details", "tool_calls", "refusal", "role"]
)


@given(st.lists(st.dictionaries(names, odd, max_size=3), max_size=4), odd, odd)
def test_whatever_an_endpoint_sends_is_written(deltas: list[dict[str, Any]], finish: Any, met: Any) -> None:
    """Any value in a delta or a choice becomes events and a message that the vendor's client reads, or is an error of the LLM."""
    assembly, events, writer = Assembly(Call(LLM_, ())), [begins("d1", "routemoa")], BlockEvents()
    try:
        for delta in deltas:
            events += writer.take(assembly.add({"choices": [{"delta": delta, "finish_reason": finish, "stop_reason": met}]}))
        done = decision(assembly.reply(0.1).raw)
    except LLMFailed:
        return
    events += writer.rest()
    assert_one_block_at_a_time(events)
    for event in events:
        EVENT.validate_python(orjson.loads(orjson.dumps(event)))
    written = messages_reply.whole(done, "d1", "routemoa", ["x"])
    Message.model_validate(orjson.loads(orjson.dumps(written)))
    messages_reply.stopped(done, writer.shown, ["x"])
