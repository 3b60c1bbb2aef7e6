"""What an endpoint puts into messages for itself alone: signed and encrypted thinking, which another LLM refuses or misreads."""

from collections.abc import Mapping, Sequence
from typing import Any

from mixture.llm import Message

# Fields of a message: Anthropic's thinking with signatures, OpenRouter's details (encrypted, signed). Thinking in plain words stays.
FIELDS = frozenset({"thinking_blocks", "reasoning_details", "encrypted_content"})
PARTS = frozenset({"thinking", "redacted_thinking", "reasoning"})  # types of parts of a message's content


def count(messages: Sequence[Message]) -> int:
    """How many of `messages` hold any."""
    return sum(map(_holds, messages))


def without(messages: Sequence[Message], until: int) -> Sequence[Message]:
    """`messages`, those before the place `until` without it."""
    if not any(map(_holds, messages[:until])):
        return messages
    return [_bare(message) if place < until and _holds(message) else message for place, message in enumerate(messages)]


def _holds(message: Message) -> bool:
    if message.get("role") != "assistant":
        return False
    content = message.get("content")
    return not FIELDS.isdisjoint(message) or (isinstance(content, list) and any(map(_is_state, content)))


def _bare(message: Message) -> Message:
    bare = {name: value for name, value in message.items() if name not in FIELDS}
    content = bare.get("content")
    if isinstance(content, list):
        bare["content"] = [part for part in content if not _is_state(part)] or None
    return bare


def _is_state(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") in PARTS
