"""What callers may send by mistake or on purpose, from a seed: requests of every kind with values replaced, left out or wrapped."""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mixture.client.thinking_state import ThinkingState

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, -(2**70), 10**400, 1e-320, 1e308, float("nan"), float("inf"), "", " ", "x", "\x00", "\ud83d", "a\u2028b",
    "é" * 300, "../../etc/passwd", "http://127.0.0.1:9/", "data:text/plain;base64,eA==", [], {}, [None], [[]], {"": None},
    {"type": []}, {"type": {}}, [{"type": None}], [{"type": "text"}], [{"type": "image_url", "image_url": {"url": "http://x"}}],
    {"role": "user"}, [{"role": "user", "content": [{}]}],
)  # fmt: skip
FIELDS = (
    "model", "messages", "stream", "stream_options", "routemoa", "temperature", "top_p", "max_tokens", "max_completion_tokens",
    "n", "seed", "stop", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "tools", "tool_choice", "functions",
    "function_call", "response_format", "user", "metadata", "logit_bias", "modalities", "audio", "prediction", "reasoning_effort",
    "service_tier", "web_search_options", "best_of", "n_predict", "budget_usd", "deadline_s", "weights", "k", "max_layers",
    "aggregation", "data_policy", "explain", "domain", "score", "source", "reference", "grader", "choices", "decision_id", "role",
    "content", "tool_calls", "tool_call_id", "name", "type", "text", "image_url", "input_audio", "file", "system", "stop_sequences",
    "thinking", "signature", "output_config", "cache_control", "source", "tool_use_id", "is_error", "input", "input_schema", "top_k",
    "instructions", "previous_response_id", "store", "include", "reasoning", "max_output_tokens", "call_id", "output", "arguments",
)  # fmt: skip
TEXT = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
PARTS = [
    {"type": "text", "text": "what is it ?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
    {"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}},
    {"type": "file", "file": {"file_data": "data:application/pdf;base64,eA==", "filename": "x.pdf"}},
]
OPTIONS = {
    "budget_usd": 1.0,
    "deadline_s": 20.0,
    "weights": {"quality": 1, "usd": 20, "second": 1},
    "k": 1,
    "explain": True,
    "domain": "law",
}
TOLD = [*TEXT, {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c", "content": "3"}]
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
KEPT = {"type": "ephemeral", "ttl": "1h"}
PIXEL = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
SEALED = ThinkingState("one", "s", {"thinking_blocks": [{"type": "thinking", "signature": "s"}]}, "reasoning_content").sealed()
BLOCKS = [
    {"role": "user", "content": [{"type": "text", "text": "what is it ?", "cache_control": KEPT}, PIXEL]},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": SEALED},
            {"type": "redacted_thinking", "data": SEALED},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1]}},
        ],
    },
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "3"}, PIXEL], "is_error": True}],
    },
]
OFFERED = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}, "strict": True, "cache_control": KEPT}
THINKING = {"type": "enabled", "budget_tokens": 1024}
FORM = {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}
ITEMS = [
    {"role": "user", "content": [{"type": "input_text", "text": "what is it ?"}]},
    {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "x"},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "3"}]},
]
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": True}
SHAPES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", CHAT, {"model": "one", "messages": TEXT, "temperature": 0.5, "max_tokens": 5}),
    ("POST", CHAT, {"model": "routemoa-single", "messages": TEXT, "stream": True, "stream_options": {"include_usage": True}}),
    ("POST", CHAT, {"model": "routemoa", "messages": TEXT, "routemoa": OPTIONS, "stop": ["x"], "seed": 3}),
    ("POST", CHAT, {"model": "two", "messages": [{"role": "user", "content": PARTS}], "user": "u", "metadata": {"a": "b"}}),
    ("POST", CHAT, {"model": "routemoa-single", "messages": TOLD, "tools": [TOOL], "response_format": {"type": "text"}}),
    ("POST", CHAT, {"model": "three", "messages": TOLD, "tools": [TOOL], "n": 2, "logprobs": True, "top_logprobs": 2, "stream": True}),
    ("POST", RESPONSES, {"model": "one", "input": "1 and 2 ?", "instructions": "Add.", "max_output_tokens": 5}),
    ("POST", RESPONSES, {"model": "routemoa-single", "input": ITEMS, "tools": [FUNCTION], "stream": True, "reasoning": {"effort": "low"}}),
    ("POST", RESPONSES, {"model": "routemoa", "input": ITEMS[:1], "previous_response_id": "resp_no", "store": False, "routemoa": OPTIONS}),
    ("POST", MESSAGES, {"model": "one", "max_tokens": 5, "messages": TEXT, "system": "Add.", "temperature": 0.5, "stop_sequences": ["x"]}),
    ("POST", MESSAGES, {"model": "routemoa-single", "max_tokens": 2000, "messages": BLOCKS, "tools": [OFFERED], "stream": True}),
    ("POST", MESSAGES, {"model": "two", "max_tokens": 2000, "messages": BLOCKS, "thinking": THINKING, "metadata": {"user_id": "u"}}),
    ("POST", MESSAGES, {"model": "routemoa", "max_tokens": 9, "messages": TEXT, "output_config": FORM, "routemoa": OPTIONS}),
    ("POST", f"{MESSAGES}/count_tokens", {"model": "three", "messages": BLOCKS, "tools": [OFFERED], "tool_choice": {"type": "any"}}),
    ("POST", "/v1/route", {"messages": TEXT, "tools": [TOOL], "routemoa": OPTIONS}),
    ("POST", "/v1/feedback", {"decision_id": "none", "score": 1.0, "reference": "3", "grader": "number"}),
    ("POST", "/admin/llms", {"id": "five", "name": "five", "endpoint": {"base_url": "http://127.0.0.1:9/v1", "served_name": "x"}}),
    ("POST", "/admin/jobs", {"kind": "retrain", "reason": "malformed", "full": False}),
    ("POST", "/admin/scorer/promote", {"version": "1", "override": "because"}),
    ("GET", "/v1/decisions/none", {}),
    ("GET", "/v1/models/none", {}),
    ("GET", "/admin/jobs/none", {}),
    ("DELETE", "/admin/jobs/none", {}),
)  # fmt: skip
NO_METHOD = "BREW"  # of no HTTP
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", NO_METHOD)
PATHS = (
    "/",
    "/livez",
    "/v1",
    "/V1/models",
    "//admin/llms",
    "/v1/messages/batches",
    "/v1/responses/none",
    "/v1/decisions/%00",
    "/v1/decisions/..%2f..%2fkeys.json",
    "/v1/models?x=%ff",
    "/" + "x" * 3000,
)


@dataclass(frozen=True, slots=True)
class Malformed:
    """One request."""

    method: str
    path: str
    body: bytes


def malformed(random_: random.Random) -> Malformed:
    """One of them; a few are well by chance."""
    method, path, shape = random_.choice(SHAPES)
    tree = copy.deepcopy(shape)
    for _ in range(random_.choice((0, 1, 1, 2, 3))):
        tree = random_.choice(CHANGES)(random_, tree)
    body = json.dumps(tree, ensure_ascii=random_.random() < 0.8).encode("utf-8", "surrogatepass")
    if random_.random() < 0.2:
        body = random_.choice(DAMAGES)(random_, body)
    if random_.random() < 0.05:
        method = random_.choice(METHODS)
    if random_.random() < 0.05:
        path = random_.choice(PATHS)
    return Malformed(method, path, body)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container in a tree, with each of its keys."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [place for key in keys for place in [(tree, key), *_places(tree[key])]]


def _replace(random_: random.Random, tree: Any) -> Any:
    places = _places(tree)
    if not places:
        return copy.deepcopy(random_.choice(ODD))
    container, key = random_.choice(places)
    container[key] = copy.deepcopy(random_.choice(ODD))
    return tree


def _leave_out(random_: random.Random, tree: Any) -> Any:
    places = _places(tree)
    if places:
        container, key = random_.choice(places)
        del container[key]
    return tree


def _add(random_: random.Random, tree: Any) -> Any:
    containers = [each for each in [tree, *(container[key] for container, key in _places(tree))] if isinstance(each, dict)]
    if containers:
        random_.choice(containers)[random_.choice(FIELDS)] = copy.deepcopy(random_.choice(ODD))
    return tree


def _wrap(random_: random.Random, tree: Any) -> Any:
    places = _places(tree)
    if places:
        container, key = random_.choice(places)
        container[key] = random_.choice(([container[key]], {"x": container[key]}, str(container[key]), [container[key]] * 3))
    return tree


CHANGES: tuple[Callable[[random.Random, Any], Any], ...] = (_replace, _replace, _leave_out, _add, _wrap)
DAMAGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    lambda random_, body: body[: random_.randrange(len(body) + 1)],
    lambda random_, body: bytes(byte if random_.random() > 0.02 else random_.randrange(256) for byte in body),
    lambda random_, _: random_.randbytes(random_.randrange(200)),
    lambda _, body: body.decode("utf-8", "replace").encode("utf-16"),
    lambda _, body: b"\xef\xbb\xbf" + body,
    lambda random_, body: b"[" * random_.choice((10, 300, 100_000)) + body,
    lambda random_, body: b'{"a":' * random_.choice((10, 300, 50_000)) + body + b"}" * 10,
    lambda _, body: body.replace(b"{", b'{"model": 1, "model": [], ', 1),
    lambda _, body: body.replace(b"1", b"1" * 5000, 1),
    lambda _, body: body.replace(b"1", b"1e999", 1),
    lambda _, body: body + body,
    lambda _, __: b"",
)
