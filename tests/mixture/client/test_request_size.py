"""What a request demands: abilities, room, and a worst case that holds."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.client.protocol import Call
from mixture.client.request_body import body
from mixture.client.request_size import expected_input_tokens, worst_case_usd
from mixture.client.requirements import abilities, one_llm_only
from mixture.llm import Decoding, Prompt, RequestFields
from tests.mixture.makers import llm, user

IMAGE = [{"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "data:" + "x" * 9000}}]}]
TOOL = {"tools": [{"type": "function", "function": {"name": "f"}}]}


@pytest.mark.parametrize(
    ("messages", "request_", "needed"),
    [(user(), {}, set()), (user(), TOOL, {"tools"}), (IMAGE, {}, {"vision"}),
     (user(), {"response_format": {"type": "json_schema"}}, {"json"}),
     (user(), {"response_format": {"type": "text"}}, set()), (user(), {"tools": []}, set())],
)  # fmt: skip
def test_abilities_follow_from_the_request(messages: list[dict[str, Any]], request_: dict[str, Any], needed: set[str]) -> None:
    """Tools, images and structured output need LLMs that can."""
    assert abilities(messages, request_) == needed
    assert one_llm_only(messages, request_) == bool(needed)


def test_a_conversation_in_tool_use_stays_with_one_llm() -> None:
    """Tool results cannot be answered by several at once."""
    assert one_llm_only([*user(), {"role": "tool", "content": "5", "tool_call_id": "1"}], {})
    assert not one_llm_only(user(), {"n": 1, "temperature": 0, "seed": 1, "max_tokens": 5, "logprobs": False})


@given(st.text(max_size=300), st.integers(1, 500), st.integers(1, 4))
def test_the_worst_case_is_never_below_one_token_a_byte(text: str, limit: int, choices: int) -> None:
    """No tokenizer makes more tokens than bytes, prompt style included, and no reply passes its limit, once a choice."""
    asked = llm("a", price=1e6, prompt=Prompt(system="Be brief."), context_window=10**6)
    call = Call(asked, user(text), {"max_tokens": limit, "n": choices})
    assert worst_case_usd(call) >= len(text.encode()) + len("Be brief.") + limit * choices


def test_the_reply_limit_is_the_requests_else_the_llms() -> None:
    """max_completion_tokens and max_tokens override the pool's; null means up to the context window."""
    asked = llm("a", price=1e6, decoding=Decoding(max_tokens=7), context_window=1000)

    def most(**request: int | None) -> float:
        return worst_case_usd(Call(asked, user(""), request))

    base = most() - 7
    assert most(max_tokens=50) - base == 50
    assert most(max_completion_tokens=60) - base == 60
    assert most(max_tokens=None) - base == 1000
    assert most(max_completion_tokens=60, max_tokens=90) - base == 90
    assert most(max_completion_tokens=60, max_tokens=None) - base == 1000
    omitting = replace(asked, request_fields=RequestFields(omit=frozenset({"max_tokens"})))
    assert worst_case_usd(Call(omitting, user(""), {"max_tokens": 50})) - base == 1000


def test_one_reply_limit_is_sent() -> None:
    """Of the two names of the limit the newer one goes out, whatever the caller and the pool say of the older."""
    asked = llm("a")

    def sent(**request: int) -> dict[str, Any]:
        return {name: value for name, value in body(Call(asked, user(), request), stream=False).items() if name.startswith("max_")}

    assert sent(max_completion_tokens=60, max_tokens=90) == sent(max_completion_tokens=60) == {"max_completion_tokens": 60}
    assert sent(max_tokens=90) == {"max_tokens": 90}


def test_an_image_counts_as_an_image_not_as_its_bytes() -> None:
    """A data URL does not fill the context window by its length."""
    assert expected_input_tokens(IMAGE, {}) < 2000


def test_an_agents_calls_and_tools_are_read_again_and_counted() -> None:
    """Against the characters of the whole transcript as an agent sends it, four to a token: calls, results, tools and the answer's form."""
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "write_file", "arguments": json.dumps({"path": "a.py", "text": "x" * 8000})},
    }
    tools = [{"type": "function", "function": {"name": "write_file", "description": "y" * 2000, "parameters": {"type": "object"}}}]
    form = {"type": "json_schema", "json_schema": {"name": "z" * 1200, "schema": {}}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Write it."},
        {"role": "assistant", "content": None, "tool_calls": [call, call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "w" * 1600}},
    ]
    sent = json.dumps({"messages": messages, "tools": tools, "response_format": form}, separators=(",", ":"))
    counted = expected_input_tokens(messages, {"tools": tools, "response_format": form})
    assert counted == pytest.approx(len(sent) / 4, rel=0.02)
    assert counted == expected_input_tokens(messages, {"functions": tools, "response_format": form, "temperature": 0.5})
    assert expected_input_tokens(user("Hi."), {}) == 4 + 1


def test_everything_that_is_sent_is_counted() -> None:
    """A long text in any field of a message or of the request costs input tokens."""
    plain = worst_case_usd(Call(llm("a", context_window=100_000), user()))
    for message, fields in (
        ({"reasoning_content": "x" * 5000}, {}),
        ({"name": "x" * 5000}, {}),
        ({}, {"chat_template_kwargs": {"a": "x" * 5000}}),
    ):
        call = Call(llm("a", context_window=100_000), [{**user()[0], **message}], fields)
        assert worst_case_usd(call) >= plain + 5000 / 1e6


@pytest.mark.parametrize("kind", ["input_audio", "file"])
def test_sounds_and_files_may_fill_the_context_window(kind: str) -> None:
    """Nothing in the request says how many tokens an hour or a thousand pages are."""
    call = Call(llm("a", context_window=100_000), [{"role": "user", "content": [{"type": kind, kind: {}}]}])
    assert worst_case_usd(call) == pytest.approx((100_000 + 256) / 1e6)
