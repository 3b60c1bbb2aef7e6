"""The chat of a logged call: what was asked, as messages and as the text a server scores, and what was replied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.logs.fields import loaded, repaired
from pipelines.user_files import chats


@dataclass(frozen=True, slots=True)
class Asked:
    """text: as a server scores it. messages: up to the last turn, where the log has them."""

    text: str
    messages: Sequence[Mapping[str, Any]] | None = None


def asked(value: Any) -> Asked | None:
    """What `value` asks: messages, a body that holds them, the JSON of either, or a bare text; None where it asks nothing."""
    parsed = loaded(value) if isinstance(value, str) else value
    text = chats.asked(parsed)
    if text is not None:
        inner: Any = parsed.get("messages") if isinstance(parsed, dict) and "messages" in parsed else parsed
        return Asked(repaired(text), inner if isinstance(inner, list) else [inner]) if text else None
    return Asked(repaired(value)) if isinstance(value, str) and value.strip() and isinstance(parsed, str) else None


def replied(value: Any) -> str | None:
    """The text of a reply: a completion, a message, messages, the JSON of one, or a bare text."""
    parsed = loaded(value) if isinstance(value, str) else value
    text = chats.replied(parsed)
    if text is None and isinstance(value, str) and not isinstance(parsed, dict | list):
        text = value
    return repaired(text) if text is not None else None


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """How long it took; None where one is missing or they are the wrong way round."""
    seconds = (end - start).total_seconds() if start is not None and end is not None else -1.0
    return seconds if seconds >= 0 else None
