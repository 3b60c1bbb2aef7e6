"""How big a request is, in bytes and tokens, and what a call may cost at most."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from mixture.client.native import usable
from mixture.client.protocol import Call
from mixture.client.token_estimate import content_tokens
from mixture.llm import LLM, Message

TOKENS_PER_MESSAGE = 16  # role marks and the like, rounded up over the known chat templates
TEMPLATE_TOKENS = 64  # system text that a chat template adds by itself
TOKENS_PER_IMAGE = 4096  # more than any vendor counts for one
LIMITS = ("max_completion_tokens", "max_tokens")
CALLS = ("tool_calls", "function_call")  # of a message: what an LLM asked tools for is read again at each later turn
DECLARED = ("tools", "functions", "response_format")  # of the request: written into the prompt by chat templates and vendors
MEDIA = frozenset({"image_url", "input_image", "input_audio", "file"})  # parts of a message that are no text
UNBOUNDED_MEDIA = frozenset({"input_audio", "file"})  # an hour, a thousand pages: only the context window bounds their tokens


def expected_input_tokens(messages: Sequence[Message], request: Mapping[str, Any]) -> int:
    """Tokens of the request as far as its characters tell: texts, calls of tools, the tools, the wanted form of the answer, images."""
    said = sum(content_tokens(_without_media(message.get("content"))) for message in messages)
    called = sum(content_tokens(message[name]) for message in messages for name in CALLS if message.get(name))
    declared = sum(content_tokens(request[name]) for name in DECLARED if request.get(name))
    return said + called + declared + 4 * len(messages) + TOKENS_PER_IMAGE // 4 * images(messages)


def worst_case_usd(call: Call) -> float:
    """More than `call` can cost: no tokenizer makes more tokens than there are bytes, and no reply is longer than its limit."""
    llm = call.llm
    messages = llm.prompt.apply(call.messages)
    if not UNBOUNDED_MEDIA.isdisjoint(part_kinds(messages)):
        input_tokens = llm.context_window
    else:
        of_messages = sum(sum(map(size, message.values())) + TOKENS_PER_MESSAGE for message in messages)
        of_fields = sum(map(size_of_field, call.options.values()))
        input_tokens = min(of_messages + of_fields + TEMPLATE_TOKENS + TOKENS_PER_IMAGE * images(messages), llm.context_window)
    limits = call.options
    if usable(call.native, llm) and limits.keys().isdisjoint(LIMITS):  # it goes as it is, without the limit that the pool entry has
        limits = {**limits, "max_tokens": None}
    return llm.price.most(input_tokens, most_output_tokens(llm, limits) * (call.options.get("n") or 1))


def most_output_tokens(llm: LLM, request: Mapping[str, Any]) -> int:
    """The limit on an answer's tokens: the request's, or its LLM's own where it has none; the context window where none is sent."""
    limits = {name: request[name] for name in LIMITS if name in request}
    limits = limits or {"max_tokens": llm.decoding.max_tokens}
    unlimited = [limit is None or name in llm.request_fields.omit for name, limit in limits.items()]
    return llm.context_window if any(unlimited) else max(map(int, limits.values()))


def size(content: Any) -> int:
    """Bytes of text in `content`, media left out."""
    if content is None:
        return 0
    if isinstance(content, str):
        return len(content.encode(errors="replace"))
    return len(orjson.dumps(_without_media(content), default=str))


def size_of_field(value: Any) -> int:
    """Bytes of text in a field of the request; a number brings none."""
    return 0 if isinstance(value, int | float) else size(value)


def _without_media(content: Any) -> Any:
    return [part for part in content if not _is_media(part)] if isinstance(content, list) else content


def _is_media(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("type"), str) and part["type"] in MEDIA


def part_kinds(messages: Sequence[Message]) -> Iterable[str]:
    """The types of all parts of `messages` that have parts."""
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            yield from (str(part.get("type", "text")) for part in content if isinstance(part, Mapping))


def images(messages: Sequence[Message]) -> int:
    """Images and other media in `messages`."""
    return sum(kind in MEDIA for kind in part_kinds(messages))
