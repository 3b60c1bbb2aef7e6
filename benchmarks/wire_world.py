"""What five providers send, and what may become of it: replies, streams and errors in their shapes, damaged at random from a seed."""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KEY = "sk-fuzz-0123456789abcdefghijklmnop"  # of ours, which some endpoints repeat
NUMBERS: tuple[Any, ...] = (0, -1, 3, 7.5, 2**63, -(2**70), 10**30)
TEXTS: tuple[Any, ...] = ("", " ", "x", "7", "error", "\ud83d", "a\u2028b", "\x00", KEY, "é" * 300)
TREES: tuple[Any, ...] = (
    [],
    {},
    [None],
    [[]],
    {"a": None},
    [{"type": "text", "text": "p"}],
    {"type": "text", "text": "p"},
    {"message": KEY},
)
JUNK = (None, True, False, *NUMBERS, *TEXTS, *TREES)
USAGE = {"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 16}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
LOGPROBS = {"content": [{"token": "Pa", "logprob": -0.2, "top_logprobs": []}, {"token": "ris", "logprob": -0.1, "top_logprobs": []}]}


@dataclass(frozen=True, slots=True)
class Shape:
    """One provider. head: of every object. message: further fields of a message. choice: of a choice. usage: what it counts.

    wraps: how it writes an error. first: events before the first choice.
    """

    head: dict[str, Any]
    message: dict[str, Any]
    choice: dict[str, Any]
    usage: dict[str, Any] | None
    wraps: Callable[[str, int], Any]
    first: tuple[str, ...] = ()


def _openai_error(words: str, status: int) -> Any:
    return {"error": {"message": words, "type": "server_error" if status >= 500 else "invalid_request_error", "param": None, "code": None}}


SHAPES = {
    "openai": Shape(
        {"id": "chatcmpl-1", "created": 1, "model": "gpt", "service_tier": "default", "system_fingerprint": "fp_1"},
        {"refusal": None, "annotations": []},
        {"logprobs": LOGPROBS},
        {
            **USAGE,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 2, "accepted_prediction_tokens": 0},
        },
        _openai_error,
    ),
    "azure": Shape(
        {"id": "chatcmpl-2", "created": 1, "model": "gpt", "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]},
        {"refusal": None},
        {"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}},
        USAGE,
        lambda words, status: {"error": {"code": str(status), "message": words, "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
        ('data: {"choices": [], "created": 0, "id": "", "prompt_filter_results": [{}]}\n\n',),
    ),
    "openrouter": Shape(
        {"id": "gen-1", "created": 1, "model": "vendor/name", "provider": "Vendor"},
        {"refusal": None, "reasoning": "Let me see.", "reasoning_details": [{"type": "reasoning.text", "text": "Let me see."}]},
        {"native_finish_reason": "stop"},
        {**USAGE, "cost": 0.00012, "is_byok": False, "cost_details": {"upstream_inference_cost": None}},
        lambda words, status: {"error": {"message": words, "code": status, "metadata": {"raw": words}}, "user_id": "u"},
        (": OPENROUTER PROCESSING\n\n",),
    ),
    "vllm": Shape(
        {"id": "cmpl-1", "created": 1, "model": "weights", "prompt_logprobs": None, "kv_transfer_params": None},
        {"reasoning_content": "Let me see.", "function_call": None, "audio": None},
        {"logprobs": LOGPROBS, "stop_reason": None, "token_ids": None},
        {**USAGE, "prompt_tokens_details": None},
        lambda words, status: {"object": "error", "message": words, "type": "BadRequestError", "param": None, "code": status},
    ),
    "mistral": Shape(
        {"id": "m-1", "created": 1, "model": "magistral"},
        {
            "prefix": False,
            "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Paris."}],
        },
        {},
        USAGE,
        lambda words, status: {"detail": [{"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": words}], "status": status},
        ("event: ping\n\n", "retry: 3000\n\n"),
    ),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint sends to one request: status, content type, and the body in the pieces in which it is written.

    breaks: whether the connection closes before the body's end.
    """

    status: int
    kind: str
    pieces: tuple[bytes, ...]
    breaks: bool = False

    def head(self, *, streamed: bool) -> bytes:
        """The HTTP head, with a length or in chunks."""
        length = sum(map(len, self.pieces)) + (100 if self.breaks else 0)
        framing = "Transfer-Encoding: chunked" if streamed else f"Content-Length: {length}"
        return f"HTTP/1.1 {self.status} Status\r\nContent-Type: {self.kind}\r\n{framing}\r\n\r\n".encode()


def answer(seed: int, number: int, *, stream: bool) -> Answer:
    """What case `number` gets."""
    dice = random.Random(f"{seed}:{number}")
    shape = SHAPES[sorted(SHAPES)[number % len(SHAPES)]]
    if dice.random() < 0.1:
        status = dice.choice([200, 200, 400, 401, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529])
        words = dice.choice(["no such thing", f"Incorrect API key provided: {KEY}", "x" * 290 + KEY, f"{KEY[:20]}..."])
        return Answer(status, "application/json", (_bytes(dice, _damaged(dice, shape.wraps(words, status))),))
    body = _stream(dice, shape) if stream else _bytes(dice, _damaged(dice, _whole(dice, shape)))
    if dice.random() < 0.15:
        body = _torn(dice, body)
    kind = dice.choice(["application/json", "text/plain", f"text/{KEY}"]) if dice.random() < 0.05 else _kind(stream)
    return Answer(200 if dice.random() < 0.97 else 201, kind, _cut(dice, body), breaks=dice.random() < 0.03)


def _kind(stream: bool) -> str:
    return "text/event-stream; charset=utf-8" if stream else "application/json"


def _whole(dice: random.Random, shape: Shape) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Paris.", **shape.message}
    finish_reason = "stop"
    if dice.random() < 0.3:
        message |= {"content": None, "tool_calls": [CALL, {**CALL, "id": "call_2"}]}
        finish_reason = "tool_calls"
    elif dice.random() < 0.1:
        message |= {"content": None, "refusal": "I cannot."}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason, **shape.choice}
    return copy.deepcopy({**shape.head, "object": "chat.completion", "choices": [choice], "usage": shape.usage})


def _stream(dice: random.Random, shape: Shape) -> bytes:
    """The events of a reply: damaged each by itself, left out, doubled, in another order, or with lines between them."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", **shape.message, "content": ""}]
    if dice.random() < 0.4:
        cut = {"type": "function", "index": 0, "id": "call_1", "function": {"name": "weather", "arguments": '{"city": '}}
        other = {"index": 1, "id": "call_2", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        deltas += [{"tool_calls": [cut]}, {"tool_calls": [{"index": 0, "function": {"arguments": '"Rome"}'}}]}, {"tool_calls": [other]}]
        finish_reason = "tool_calls"
    else:
        deltas += [{"content": "Pa"}, {"content": "ris"}, {"content": "."}]
        finish_reason = "stop"
    trees = [{"index": 0, "delta": delta, "finish_reason": None, **shape.choice} for delta in deltas]
    trees.append({"index": 0, "delta": {}, "finish_reason": finish_reason})
    events = [copy.deepcopy({**shape.head, "object": "chat.completion.chunk", "choices": [tree]}) for tree in trees]
    events.append(copy.deepcopy({**shape.head, "object": "chat.completion.chunk", "choices": [], "usage": shape.usage}))
    if dice.random() < 0.1:
        events.insert(dice.randrange(len(events)), shape.wraps(f"broke {KEY}", dice.choice([429, 500, 502])))
    if dice.random() < 0.6:
        at = dice.randrange(len(events))
        events[at] = _damaged(dice, events[at])
    written = [*(first.encode() for first in shape.first), *(b"data: " + _bytes(dice, event) + b"\n\n" for event in events)]
    written.append(dice.choice([b"data: [DONE]\n\n"] * 8 + [b"", b"data: [done]\n\n", b"data:[DONE]"]))
    for change in dice.sample([_drop, _double, _swap, _comment, _join], k=dice.choice([0, 0, 1, 2])):
        change(dice, written)
    body = b"".join(written)
    return body.replace(b"\n", b"\r\n") if dice.random() < 0.1 else body


def _drop(dice: random.Random, written: list[bytes]) -> None:
    del written[dice.randrange(len(written))]


def _double(dice: random.Random, written: list[bytes]) -> None:
    at = dice.randrange(len(written))
    written.insert(at, written[at])


def _swap(dice: random.Random, written: list[bytes]) -> None:
    one, other = dice.randrange(len(written)), dice.randrange(len(written))
    written[one], written[other] = written[other], written[one]


def _comment(dice: random.Random, written: list[bytes]) -> None:
    lines = [b": wait\n\n", b"id: 7\n\n", b"event: ping\n\n", b"data:\n\n", b"\n", b"event: error\ndata: {}\n\n", b"nonsense\n\n"]
    written.insert(dice.randrange(len(written) + 1), dice.choice(lines))


def _join(dice: random.Random, written: list[bytes]) -> None:
    at = dice.randrange(len(written))
    written[at] = written[at].replace(b"\n\n", b"\n")


def _damaged(dice: random.Random, tree: Any) -> Any:
    """`tree` with up to three of its values replaced, left out, renamed, wrapped, doubled, or joined by an error."""
    for _ in range(dice.choice([0, 1, 1, 1, 2, 3])):
        places = _places(tree)
        if not places:
            return dice.choice(JUNK)
        inside, at = dice.choice(places)
        how = dice.randrange(7)
        if how == 0:
            del inside[at]
        elif how == 1 and isinstance(inside, dict):
            inside[dice.choice(["error", "x", "index", str(at).upper()])] = inside.pop(at)
        elif how == 2:
            inside[at] = [inside[at]]
        elif how == 3 and isinstance(inside, list):
            inside.append(copy.deepcopy(inside[at]))
        elif how == 4:
            inside[at] = json.dumps(inside[at]) if not isinstance(inside[at], str) else inside[at][:1]
        else:
            inside[at] = copy.deepcopy(dice.choice(JUNK))
    return tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every value inside `tree`: what holds it, and where."""
    if isinstance(tree, dict | list):
        inner = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree))
        return [(tree, at) for at, _ in inner] + [place for _, value in inner for place in _places(value)]
    return []


def _bytes(dice: random.Random, tree: Any) -> bytes:
    text = json.dumps(tree, ensure_ascii=dice.random() < 0.5).encode(errors="surrogatepass")
    return text.replace(b": 1,", dice.choice([b": NaN,", b": 1e999,", b": 1,,"]), 1) if dice.random() < 0.03 else text


def _torn(dice: random.Random, body: bytes) -> bytes:
    """`body` with bytes lost, changed or put in."""
    at = dice.randrange(len(body) + 1)
    return dice.choice([body[:at], body[:at] + bytes([dice.randrange(256)]) + body[at + 1 :], b"\xef\xbb\xbf" + body, b"\n \n" + body])


def _cut(dice: random.Random, body: bytes) -> tuple[bytes, ...]:
    """`body` in the pieces in which it is written, cut anywhere."""
    cuts = sorted(dice.randrange(len(body) + 1) for _ in range(dice.choice([0, 0, 1, 3])))
    return tuple(piece for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True) if (piece := body[start:end]))
