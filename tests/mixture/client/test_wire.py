"""What endpoints send, read for what is needed: what is wrong and not needed was not sent, what is needed and wrong is a failure."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.client.complaints import SHORTEST_SHOWN, Complaint, quoted, without
from mixture.client.json_values import parsed
from mixture.client.protocol import Call, Reply
from mixture.client.request_size import expected_input_tokens
from mixture.client.stream_assembly import MOST_CHARACTERS, Assembly
from mixture.client.usage import UsageReport
from mixture.errors import LLMFailed, LLMGarbled, LLMOverloaded, LLMRefused
from tests.mixture.client.misbehaving import completion, llm

LLM = llm("http://127.0.0.1/v1")
CALL = Call(LLM, [{"role": "user", "content": "x" * 40}])
CALLED = {"id": "c-1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


def whole(tree: Any, call: Call = CALL) -> Reply:
    assembly = Assembly(call)
    assembly.add(tree)
    return assembly.reply(1.0)


def put_together(*deltas: dict[str, Any], finish_reason: str = "stop") -> dict[str, Any]:
    """The message that deltas come to."""
    assembly = Assembly(CALL)
    for delta in deltas:
        assembly.add({"choices": [{"index": 0, "delta": delta}]})
    assembly.add({"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    message: dict[str, Any] = assembly.reply(1.0).raw["choices"][0]["message"]
    return message


def tools(*steps: dict[str, Any]) -> list[dict[str, Any]]:
    """The tool calls that steps of them come to."""
    called: list[dict[str, Any]] = put_together(*({"tool_calls": [step]} for step in steps))["tool_calls"]
    return called


@pytest.mark.parametrize(
    ("sent", "counts"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 2}, (10, 2)),
        ({"prompt_tokens": 10.0, "completion_tokens": "2"}, (10, 2)),
        ({"prompt_tokens": 10, "completion_tokens": 0}, (10, 0)),
        ({"prompt_tokens": -1_000_000, "completion_tokens": 2}, (None, 2)),
        ({"prompt_tokens": 2**63, "completion_tokens": True}, (None, None)),
        ({"prompt_tokens": 10, "total_tokens": 12}, (10, 2)),
        ({"total_tokens": 12}, (None, None)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (None, None)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 400}}, (10, 405)),
        ({"prompt_tokens": 10, "completion_tokens": 405, "completion_tokens_details": {"reasoning_tokens": 400}}, (10, 405)),
        ({}, (None, None)),
        (None, (None, None)),
        ([1], (None, None)),
    ],
)
def test_a_count_that_cannot_be_right_was_not_sent(sent: Any, counts: tuple[int | None, int | None]) -> None:
    """Negative, enormous or missing tokens are estimated, and marked so; the reply itself is good."""
    usage = UsageReport.of(sent)
    assert (usage.input_tokens, usage.output_tokens) == counts
    reply = whole(completion("four") | {"usage": sent})
    asked = expected_input_tokens(LLM.prompt.apply(CALL.messages), {})
    expected = (counts[0] or asked, 2 if counts[1] is None else counts[1])
    assert (reply.input_tokens, reply.output_tokens, reply.usage_estimated) == (*expected, None in counts)
    assert reply.cost_usd == pytest.approx((expected[0] + 10 * expected[1]) / 1e6)
    assert reply.raw["usage"]["total_tokens"] == sum(expected)
    assert ("estimated" in reply.raw["usage"]) == (None in counts)


def test_counts_of_a_stream_only_grow() -> None:
    """A zero in the last event takes nothing back, and details survive."""
    early = UsageReport.of({"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8}})
    later = UsageReport.of({"prompt_tokens": 10, "completion_tokens": 7})
    usage = early.fold(later).fold(UsageReport.of({"prompt_tokens": 0, "completion_tokens": 0}))
    assert (usage.input_tokens, usage.output_tokens, usage.details["prompt_tokens_details"]) == (10, 7, {"cached_tokens": 8})


@pytest.mark.parametrize(
    "steps",
    [
        ({"index": 0, **CALLED},),
        ({"index": None, **CALLED},),
        ({**CALLED},),
        ({"index": 0, "id": "c-1", "function": {"name": "f", "arguments": None}}, {"index": 0, "function": {"arguments": '{"a":1}'}}),
        ({"index": 0, **CALLED, "function": {"name": "f"}}, {"index": 0, "id": None, "type": None, "function": {"arguments": '{"a":1}'}}),
        ({"index": 3, "id": "c-1", "function": None}, {"index": 3, "id": "c-1", "function": {"name": "f", "arguments": {"a": 1}}}),
        ({"id": "c-1", "function": {"name": "f", "arguments": '{"a'}}, {"function": {"arguments": '":1}'}}),
        (
            {"index": 0, "id": "c-1", "function": {"name": "f", "arguments": '{"a'}},
            {"index": 0, "id": "x", "function": {"arguments": '":1}'}},
        ),
    ],
)
def test_a_tool_call_is_filled_piece_by_piece(steps: tuple[dict[str, Any], ...]) -> None:
    """Nothing that comes later takes away what came before, whatever an endpoint leaves out."""
    assert tools(*steps) == [CALLED]


@pytest.mark.parametrize(
    "numbers",
    [
        ({"index": 0}, {"index": 1}),
        ({}, {}),
        ({"index": None}, {"index": None}),
        ({"index": 0}, {"index": 0}),
        ({"index": 1}, {"index": 5}),
    ],
)
def test_tool_calls_are_told_apart_by_id(numbers: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Numbered, not numbered, or all numbered alike: two ids with two names are two calls, and further pieces find theirs."""
    other = {"id": "c-2", "type": "function", "function": {"name": "g", "arguments": ""}}
    late = {"id": "c-2", **numbers[1], "function": {"arguments": "{}"}}
    assert tools({**numbers[0], **CALLED}, {**numbers[1], **other}, late) == [
        CALLED,
        {**other, "function": {"name": "g", "arguments": "{}"}},
    ]


def test_tool_calls_pass_on_in_the_protocols_form() -> None:
    """A caller that puts a stream together by index and adds texts up gets the same calls; one without an id has one."""
    assembly = Assembly(CALL)
    steps = [{"id": None, "function": {"name": "f", "arguments": {}}}, {"id": "c-2", **{k: CALLED[k] for k in ("type", "function")}}]
    chunks = [assembly.add({"id": "r", "choices": [{"delta": {"tool_calls": [step]}}]}) for step in steps]
    passed_on = [chunk.raw["choices"][0]["delta"]["tool_calls"][0] for chunk in chunks]
    assert [(each["index"], each["id"], each["function"]["arguments"]) for each in passed_on] == [
        (0, "call_r_0_0", "{}"),
        (1, "c-2", '{"a":1}'),
    ]


def test_a_tool_call_without_a_name_is_of_no_use() -> None:
    """What it cost is told."""
    with pytest.raises(LLMGarbled, match="without saying which") as caught:
        whole(completion(message={"tool_calls": [{"id": "c-1", "function": {"arguments": "{}"}}]}))
    assert caught.value.paid == (30e-6, 10, 2)


@pytest.mark.parametrize(
    ("tree", "kind", "status"),
    [
        ({"error": {"message": "gone", "code": 502}, **completion()}, LLMOverloaded, 502),
        ({"error": {"message": "slow", "code": "429"}}, LLMOverloaded, 429),
        ({"error": {"message": "no", "type": "invalid_request_error"}, "choices": []}, LLMRefused, 400),
        ({"error": "overloaded"}, LLMOverloaded, 500),
        (completion(finish_reason="error"), LLMOverloaded, 500),
        (completion(error={"message": "gone", "code": 503}), LLMOverloaded, 503),
        ({"object": "error", "message": "out of memory"}, LLMOverloaded, 500),
        ({"detail": [{"loc": 3}], "status": 422}, LLMRefused, 422),
        ({"detail": [{"loc": ["body", "seed"], "msg": "unknown"}], "status": 422}, LLMRefused, 422),
    ],
)
def test_an_error_is_a_failure_whatever_stands_beside_it(tree: dict[str, Any], kind: type[LLMFailed], status: int) -> None:
    """In a whole reply and in an event; where the endpoint counted tokens they were paid."""
    with pytest.raises(kind, match=f"HTTP {status}") as caught:
        whole(tree)
    assert caught.value.status == status
    assert any(caught.value.paid) == ("usage" in tree)


def test_an_error_after_the_first_words_may_be_charged() -> None:
    """Although the same error before them is not."""
    assembly = Assembly(CALL)
    assembly.add({"choices": [{"delta": {"content": "Pa"}}]})
    with pytest.raises(LLMOverloaded) as caught:
        assembly.add({"error": {"message": "gone"}, "choices": [{"delta": {}, "finish_reason": "error"}]})
    assert caught.value.billable
    with pytest.raises(LLMOverloaded, match="does not say") as caught:
        Assembly(CALL).add({"text": "?"}, named="error")
    assert not caught.value.billable


def test_no_error_is_none() -> None:
    """Endpoints that always send the field leave it empty."""
    for nothing in (None, "", {}, {"message": None, "code": None}, False):
        assert whole(completion() | {"error": nothing}).text == "Paris"


def test_refusals_annotations_and_reasoning_survive() -> None:
    """A refusal is an answer; what was thought and cited is in the recorded whole, streamed or not."""
    cited = [{"type": "url_citation", "url_citation": {"url": "https://a.example"}}]
    message = {"role": "assistant", "content": None, "refusal": "I cannot.", "reasoning": "Hm, no.", "annotations": cited}
    reply = whole(completion(message=message))
    assert (reply.text, reply.raw["choices"][0]["message"]) == ("I cannot.", message)
    steps = ({"refusal": "I "}, {"refusal": "cannot.", "reasoning": "Hm, "}, {"reasoning": "no.", "annotations": cited})
    assert put_together(*steps) == message


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "4"}], "4"),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "2+2"}]}, {"type": "text", "text": "4"}], "4"),
        ([{"type": "output_text", "text": "fo"}, "ur", None, 3, {"type": "image_url", "image_url": {}}], "four"),
        ({"type": "text", "text": "4"}, "4"),
        (4, ""),
        ([], ""),
    ],
)
def test_content_may_come_in_parts(content: Any, text: str) -> None:
    """Their texts are the text; what was thought is kept apart."""
    reply = whole(completion(message={"content": content}))
    assert (reply.text, reply.raw["choices"][0]["message"]["content"]) == (text, text)
    if "thinking" in str(content):
        assert reply.raw["choices"][0]["message"]["reasoning_content"] == "2+2"


@pytest.mark.parametrize(
    ("logprobs", "mean"),
    [
        ({"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": None}, {"token": "c"}]}, -0.5),
        ({"tokens": ["a", "b"], "token_logprobs": [None, -0.1]}, -0.1),
        ({"content": [{"token": "a", "logprob": "low"}, {"token": "b", "logprob": 3.0}, 7]}, None),
        ([], None),
    ],
)
def test_tokens_without_a_log_probability_are_left_out(logprobs: Any, mean: float | None) -> None:
    """They are no reason to throw a reply away."""
    assert whole(completion(logprobs=logprobs)).mean_logprob == mean


def test_the_one_choice_that_was_asked_for_has_any_number() -> None:
    """Where several were asked for, each keeps its own."""
    numbered = {"choices": [{"index": 7, "delta": {"content": "a"}, "finish_reason": "stop"}]}
    assert Assembly(CALL).add(numbered).text == "a"
    both = {"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}
    assert [each["message"]["content"] for each in whole(both, Call(LLM, CALL.messages, {"n": 2})).raw["choices"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "tree"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'\n\n {"a": NaN, "b": -Infinity, "c": 1e999}', {"a": None, "b": None, "c": None}),
        (b'{"a": "half \\ud83d"}', {"a": "half �"}),
        (b'{"a": "whole \\ud83d\\ude00"}', {"a": "whole \N{GRINNING FACE}"}),
        (b'{"a": "\xff"}', {"a": "�"}),
    ],
)
def test_json_that_is_not_quite_json(content: bytes, tree: dict[str, Any]) -> None:
    """A mark of byte order, numbers that are none, half an emoji: the rest is read."""
    assert parsed(content) == tree


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"a": ', b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b"\x00\x01"])
def test_what_is_no_json_is_one_kind_of_error(content: bytes) -> None:
    """However deep or long."""
    with pytest.raises(ValueError, match=r"."):
        parsed(content)


def test_a_reply_without_end_is_cut() -> None:
    """Its cost is told where it was counted."""
    assembly = Assembly(CALL)
    piece = {"choices": [{"delta": {"content": "x" * (MOST_CHARACTERS // 2)}}]}
    for _ in range(2):
        assembly.add(piece)
    with pytest.raises(LLMGarbled, match="longer than 1,000,000 characters"):
        assembly.add(piece)


@given(st.text(min_size=20, max_size=40), st.integers(0, 20), st.integers(0, 40))
def test_no_part_of_a_key_is_quoted(key: str, start: int, end: int) -> None:
    """Whole or cut off anywhere."""
    words = f"{key} and {key[start : max(end, start)]}"
    cleaned = without(key, words)
    marked = cleaned.replace("[key]", "\0" * SHORTEST_SHOWN) if "[key]" not in key else cleaned
    assert not any(key[at : at + SHORTEST_SHOWN] in marked for at in range(len(key) - SHORTEST_SHOWN + 1)) or "[key]" in key


def test_keys_are_cleaned_before_a_complaint_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that passes the last character shown leaves no beginning behind."""
    monkeypatch.setenv("TESTED_KEY", key := "sk-0123456789abcdefghijklmnopqrstuvwxyz")
    tested = llm("http://127.0.0.1/v1", api_key_env="TESTED_KEY")
    for before in range(250, 310):
        assert "sk-0" not in quoted(tested, "x" * before + key)
    words = Complaint.inside(json.dumps({"error": {"message": f"Bearer {key[:20]}... is unknown"}}).encode()).words
    assert quoted(tested, words) == "Bearer [key]... is unknown"
