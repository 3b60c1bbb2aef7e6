"""What of a conversation is scored: its present user turn, before it as much of the system text and earlier turns as fits."""

from collections.abc import Mapping, Sequence
from typing import Any

from scorer.text_features import LONGEST
from serving.request.harness_text import HarnessSettings

CHARACTERS_PER_TOKEN = 8  # above English's average of 4 to 5, so the encoder's own truncation decides, not this one
SYSTEM = frozenset({"system", "developer"})
TURNS = frozenset({"user", "assistant"})
RULES = HarnessSettings()


def query_text(messages: Sequence[Mapping[str, Any]], max_tokens: int, rules: HarnessSettings = RULES) -> str:
    """System text, earlier turns and the present user turn, in this order, cut from the left to what a scorer of `max_tokens` looks at.

    rules: what of user turns and system text is a harness's, and not scored. What follows the present user turn (tool calls and their
    results) is not scored: an agent's loop keeps its decision.
    """
    longest = max(max_tokens * CHARACTERS_PER_TOKEN, LONGEST)
    at = user_turn(messages, rules)
    if at is None:
        last_user_turn = max((place for place, message in enumerate(messages) if message.get("role") == "user"), default=len(messages) - 1)
        return _context(messages[:last_user_turn], longest, rules, [text_of(messages[last_user_turn])])
    return _context(messages[:at], longest, rules, [rules.stripped(text_of(messages[at]))])


def user_turn(messages: Sequence[Mapping[str, Any]], rules: HarnessSettings = RULES) -> int | None:
    """The place of the present user turn: the last one in which the user said something; None where there is none."""
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].get("role") == "user" and is_said(messages[place], rules):
            return place
    return None


def is_said(message: Mapping[str, Any], rules: HarnessSettings = RULES) -> bool:
    """Whether a user turn holds more than harness text: words, or an image."""
    content = message.get("content")
    media = isinstance(content, list) and any(isinstance(part, dict) and part.get("type") not in {"text", None} for part in content)
    return media or bool(rules.stripped(text_of(message)))


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message, without its media."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))


def _context(before: Sequence[Mapping[str, Any]], longest: int, rules: HarnessSettings, parts: list[str]) -> str:
    """`parts` with what comes before them, the latest first taken, until there are `longest` characters."""
    taken = sum(map(len, parts))
    for message in reversed([each for each in before if each.get("role") in TURNS]):
        if taken >= longest:
            break
        text = text_of(message)
        text = rules.stripped(text) if message.get("role") == "user" else text
        parts = [text, *parts] if text else parts
        taken += len(text)
    system = [text for each in before if each.get("role") in SYSTEM and 0 < len(text := text_of(each)) <= rules.system_characters]
    return "\n\n".join([*(system if taken < longest else ()), *(part for part in parts if part)])[-longest:]
