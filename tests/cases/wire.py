"""What endpoints send, from real HTTP through the client: each case is asked for a whole reply and for a stream."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mixture.client.openai import OpenAIClient
from mixture.client.protocol import LOGPROBS, Call, Reply
from mixture.errors import LLMFailed, LLMGarbled, LLMOverloaded, LLMRefused, LLMUnreachable
from tests.mixture.client.misbehaving import STREAM, llm, response, serving

QUESTION = [{"role": "user", "content": "What is 2 + 2?"}]
Outcome = Reply | Exception
Right = Callable[[Outcome], str]


def says(text: str, finish_reason: str = "stop", *, tokens: tuple[int, int] | None = None, **more: Any) -> Right:
    """A reply of this text. tokens: None where they have to be estimated. more: further fields of its message."""

    def check(outcome: Outcome) -> str:
        if isinstance(outcome, Exception):
            return f"{type(outcome).__name__}: {outcome}"
        message = outcome.raw["choices"][0]["message"]
        got = (outcome.text, outcome.finish_reason, None if outcome.usage_estimated else (outcome.input_tokens, outcome.output_tokens))
        return "" if (*got, message | more) == (text, finish_reason, tokens, message) else f"{got}, {message}"

    return check


def fails(kind: type[LLMFailed], **more: Any) -> Right:
    """A failure of this kind, with these attributes."""

    def check(outcome: Outcome) -> str:
        right = type(outcome) is kind and all(getattr(outcome, name) == value for name, value in more.items())
        return "" if right else f"{type(outcome).__name__}: {outcome} {vars(outcome) if isinstance(outcome, Exception) else ''}"

    return check


def calls(*expected: tuple[str, str, str], finish_reason: str = "tool_calls", tokens: tuple[int, int] | None = None) -> Right:
    """A reply without words that makes these calls: id, name and arguments of each."""
    whole = [{"id": id_, "type": "function", "function": {"name": name, "arguments": written}} for id_, name, written in expected]
    return says("", finish_reason, tokens=tokens, tool_calls=whole)


def any_failure(outcome: Outcome) -> str:
    """A failure of the LLM, whichever."""
    return "" if isinstance(outcome, LLMFailed) else f"{outcome}"


def anything(outcome: Outcome) -> str:
    """A reply or a failure of the LLM: what a case must come to that nobody wrote an outcome for."""
    return "" if isinstance(outcome, Reply | LLMFailed) else f"{type(outcome).__name__}: {outcome}"


HI = says("hi", tokens=(10, 2))
UNCOUNTED = says("hi")
PAID = {"paid": (30e-6, 10, 2)}
WHOLE: Mapping[str, Right] = {
    "bom_json": HI,
    "choices_empty": fails(LLMGarbled, **PAID),
    "content_filter": says("", "content_filter", tokens=(10, 2)),
    "content_null_reasoning": says("", "length", tokens=(10, 2), reasoning_content="Let me think"),
    "content_null_refusal": says("I cannot help", tokens=(10, 2), refusal="I cannot help", content=None),
    "content_parts": says("4", tokens=(10, 2), content="4", reasoning_content="hmm 2+2"),
    "ctx_400": fails(LLMRefused, status=400, code="context_length_exceeded"),
    "error_code_string": fails(LLMOverloaded, status=429),
    "error_in_200_choice_error": fails(LLMOverloaded, status=502, **PAID),
    "error_in_200_string": fails(LLMOverloaded, status=500),
    "error_in_200_with_choices": fails(LLMOverloaded, status=502),
    "finish_null": HI,
    "html_502": fails(LLMOverloaded, status=502),
    "leading_whitespace_keepalive": HI,
    "logprobs_legacy": HI,
    "logprobs_null_token": HI,
    "message_missing_text_completion": says("hi", tokens=(10, 2), content="hi", role="assistant"),
    "nan_in_json": HI,
    "ok": HI,
    "policy_400": fails(LLMRefused, status=400, code="content_filter"),
    "quota_429": fails(LLMOverloaded, status=429, code="insufficient_quota", retryable=False),
    "retry_after_date": fails(LLMOverloaded, status=429, retry_after_s=86_400.0),
    "status_201": HI,
    "tool_ok": calls(("c1", "f", "{}"), tokens=(10, 2)),
    "usage_absent": UNCOUNTED,
    "usage_cached": says("hi", tokens=(2006, 300)),
    "usage_cost_given": says("hi", tokens=(10, 5)),
    "usage_empty": UNCOUNTED,
    "usage_float": HI,
    "usage_no_completion": UNCOUNTED,
    "usage_null": UNCOUNTED,
    "usage_reasoning_outside": says("hi", tokens=(10, 405)),
    "usage_string": HI,
}
STREAMED: Mapping[str, Right] = {
    "s_azure_filter_first": HI,
    "s_azure_filter_last": UNCOUNTED,
    "s_comments": UNCOUNTED,
    "s_content_after_finish": says("ab"),
    "s_content_parts": says("4", reasoning_content="hm"),
    "s_created_float": says("a"),
    "s_crlf": UNCOUNTED,
    "s_data_no_space": UNCOUNTED,
    "s_done_lower": UNCOUNTED,
    "s_empty_data": UNCOUNTED,
    "s_error_first": fails(LLMOverloaded),
    "s_error_midstream": fails(LLMOverloaded, status=502, billable=True),
    "s_event_error": fails(LLMOverloaded),
    "s_finish_empty_string": says("hi there"),
    "s_finish_empty_string_only": says("hi there"),
    "s_finish_with_content": says("hello"),
    "s_first_token_slow": says("a"),
    "s_function_null": calls(("c", "f", "{}")),
    "s_index_1_only": says("a"),
    "s_index_null": says("a"),
    "s_logprobs": says("a"),
    "s_n2": says("a"),
    "s_no_done": UNCOUNTED,
    "s_no_finish_done": UNCOUNTED,
    "s_no_finish_no_done": fails(LLMUnreachable),
    "s_not_a_stream_json": any_failure,
    "s_plain": says("hello", tokens=(10, 2)),
    "s_reasoning": says("4", tokens=(10, 2), reasoning_content="think more"),
    "s_reasoning_only_length": says("", "length", tokens=(10, 2), reasoning_content="think more"),
    "s_role_null": says("a"),
    "s_tool": calls(("call_1", "f", '{"a":1}')),
    "s_tool_finish_stop": calls(("call_1", "f", "{}"), finish_reason="stop"),
    "s_tool_index_gap": calls(("call_1", "f", "{}"), ("call_2", "g", "{}")),
    "s_tool_index_missing_parallel": calls(("call_1", "f", '{"a":1}'), ("call_2", "g", '{"b":2}')),
    "s_tool_index_null": calls(("call_1", "f", "{}")),
    "s_tool_nulls": calls(("call_1", "f", '{"a":1}')),
    "s_two_json_lines_in_event": UNCOUNTED,
    "s_u2028": says("a\u2028b"),
    "s_usage_before_finish": HI,
    "s_usage_in_last_choice_chunk": HI,
    "s_usage_no_choices_key": HI,
    "s_usage_zero_last": HI,
    "tool_ok": calls(("c1", "f", "{}")),
}


def wire(folder: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """`*.json`: what an endpoint sends: status, headers, body or raw, or stream (events in order; a text is sent as it is).

    refuse: fields of a request for which it is a 400. A case that nobody wrote an outcome for must be a reply or a failure of the LLM.
    """
    for path in sorted(folder.glob("*.json")):
        case = json.loads(path.read_text())
        otherwise = HI if "refuse" in case else anything
        for stream, outcomes in ((False, WHOLE), (True, STREAMED if "stream" in case else WHOLE)):
            right = outcomes.get(path.stem, otherwise)
            name = f"wire/{path.stem}{' streamed' if stream else ''}"
            yield name, lambda case=case, right=right, stream=stream: right(_asked(case, stream=stream))


def _asked(case: Mapping[str, Any], *, stream: bool) -> Outcome:
    """What one call comes to."""

    async def run() -> Outcome:
        async def answer(writer: asyncio.StreamWriter, number: int) -> None:
            sent = asked.bodies[number]
            if refused := [name for name in case.get("refuse", ()) if name in sent]:
                error = {"message": f"Unsupported parameter: '{refused[0]}' is not supported with this model.", "param": refused[0]}
                writer.write(response({"error": error}, status=400))
            elif "stream" in case and sent["stream"]:
                writer.write(STREAM)
                for event in case["stream"]:
                    await _send(writer, event)
                writer.close()
            else:
                content = case["raw"].encode() if "raw" in case else case["body"]
                headers = {name.replace("-", "_"): value for name, value in case.get("headers", {}).items()}
                writer.write(response(content, status=case.get("status", 200), **headers))

        async with serving(answer) as asked, OpenAIClient(attempts=1) as client:
            call = Call(llm(asked.url), QUESTION, LOGPROBS)
            try:
                return [chunk async for chunk in client.stream(call)][-1].reply if stream else await client.ask(call)
            except Exception as exc:
                return exc

    return asyncio.run(run())


async def _send(writer: asyncio.StreamWriter, event: Any) -> None:
    if isinstance(event, int | float):
        await asyncio.sleep(event)
        return
    as_it_is = isinstance(event, str) and event != "[DONE]"
    writer.write(event.encode() if as_it_is else f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode())
    await writer.drain()
