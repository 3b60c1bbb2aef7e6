"""What a request demands of an LLM: abilities, room in its context, and at most how much money."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from mixture.client.protocol import Call
from mixture.llm import LLM, Message

CHARACTERS_PER_TOKEN = 4  # of English text
TOKENS_PER_MESSAGE = 16  # role marks and the like, rounded up over the known chat templates
TEMPLATE_TOKENS = 64  # system text that a chat template adds by itself
TOKENS_PER_IMAGE = 4096  # more than any vendor counts for one
_ABILITIES = {"image_url": "vision", "input_image": "vision", "input_audio": "audio", "file": "files"}
_ONE_LLM_FIELDS = ("tools", "functions", "logprobs", "audio", "modalities", "prediction")


def abilities(messages: Sequence[Message], request: Mapping[str, Any]) -> frozenset[str]:
    """The capabilities (words of the pool file) that every LLM asked must have."""
    found = {_ABILITIES[kind] for kind in _part_kinds(messages) if kind in _ABILITIES}
    if request.get("tools") or request.get("functions"):
        found.add("tools")
    if _structured(request):
        found.add("json")
    return frozenset(found)


def one_llm_only(messages: Sequence[Message], request: Mapping[str, Any]) -> bool:
    """Whether one LLM has to answer by itself: tools, images, structured output and several choices survive no synthesis."""
    in_tool_use = any(message.get("role") in {"tool", "function"} or message.get("tool_calls") for message in messages)
    media = any(kind != "text" for kind in _part_kinds(messages))
    return in_tool_use or media or _structured(request) or (request.get("n") or 1) > 1 or any(request.get(name) for name in _ONE_LLM_FIELDS)


def expected_input_tokens(messages: Sequence[Message], request: Mapping[str, Any]) -> int:
    """Tokens of the request as far as its characters tell."""
    characters = sum(size(message.get("content")) for message in messages) + size(request.get("tools"))
    return math.ceil(characters / CHARACTERS_PER_TOKEN) + 4 * len(messages) + TOKENS_PER_IMAGE // 4 * images(messages)


def worst_case_usd(call: Call) -> float:
    """More than `call` can cost: no tokenizer makes more tokens than there are bytes, and no reply is longer than its limit."""
    llm = call.llm
    messages = llm.prompt.apply(call.messages)
    fields = sum(size(call.options.get(name)) for name in ("tools", "functions", "response_format"))
    asked = fields + sum(size(message.get("content")) + size(message.get("tool_calls")) + TOKENS_PER_MESSAGE for message in messages)
    asked += TEMPLATE_TOKENS + TOKENS_PER_IMAGE * images(messages)
    return llm.price.cost(min(asked, llm.context_window), _most_output(llm, call.options) * (call.options.get("n") or 1))


def _most_output(llm: LLM, request: Mapping[str, Any]) -> int:
    limits = [request[name] for name in ("max_completion_tokens", "max_tokens") if name in request]
    return max((llm.context_window if limit is None else int(limit) for limit in limits), default=llm.decoding.max_tokens)


def size(content: Any) -> int:
    """Bytes of text in `content`, media left out."""
    if content is None:
        return 0
    if isinstance(content, str):
        return len(content.encode(errors="replace"))
    parts = (
        [part for part in content if not (isinstance(part, dict) and part.get("type") in _ABILITIES)]
        if isinstance(content, list)
        else content
    )
    return len(orjson.dumps(parts, default=str))


def _part_kinds(messages: Sequence[Message]) -> Iterable[str]:
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            yield from (str(part.get("type", "text")) for part in content if isinstance(part, Mapping))


def images(messages: Sequence[Message]) -> int:
    """Images and other media in `messages`."""
    return sum(kind in _ABILITIES for kind in _part_kinds(messages))


def _structured(request: Mapping[str, Any]) -> bool:
    wanted = request.get("response_format")
    return isinstance(wanted, Mapping) and wanted.get("type", "text") != "text"
