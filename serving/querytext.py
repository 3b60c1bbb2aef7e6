"""What of a conversation is scored: its last user turn, before it as much of the system text and earlier turns as fits."""

from collections.abc import Mapping, Sequence
from typing import Any

from scorer.text_features import LONGEST

CHARACTERS_PER_TOKEN = 8  # above English's average of 4 to 5, so the encoder's own truncation decides, not this one
SYSTEM = frozenset({"system", "developer"})
TURNS = frozenset({"user", "assistant"})


def query_text(messages: Sequence[Mapping[str, Any]], max_tokens: int) -> str:
    """System text, earlier turns and the last user turn, in this order, cut from the left to what a scorer of `max_tokens` looks at.

    What follows the last user turn (tool calls and their results) is not scored: an agent's loop keeps its decision.
    """
    last_user_turn = max((place for place, message in enumerate(messages) if message.get("role") == "user"), default=len(messages) - 1)
    until = messages[: last_user_turn + 1]
    system = [_text(message) for message in until if message.get("role") in SYSTEM]
    turns = [_text(message) for message in until if message.get("role") in TURNS]
    parts = [part for part in (*system, *turns) if part] or [_text(messages[last_user_turn])]
    return "\n\n".join(parts)[-max(max_tokens * CHARACTERS_PER_TOKEN, LONGEST) :]


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
