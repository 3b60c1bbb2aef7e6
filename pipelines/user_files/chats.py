"""Chat messages as text: what was asked, and what an LLM replied, in the shapes of the OpenAI protocol and of ShareGPT."""

import json
from collections.abc import Mapping
from typing import Any

ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant", "ai": "assistant"}
ASSISTANT = "assistant"


def is_chat(value: object) -> bool:
    """Whether `value` is a list of messages, each with a role and a content."""
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) and _role(each) is not None for each in value)


def parsed(value: object) -> object:
    """`value`, or what its JSON says where it is the text of a chat or reply, as exports put it into a cell."""
    if isinstance(value, str) and value.lstrip()[:1] in {"[", "{"}:
        try:
            inner = json.loads(value)
        except ValueError:
            return value
        return inner if asked(inner) is not None or replied(inner) is not None else value
    return value


def asked(value: object) -> str | None:
    """The text of a query: system text, earlier turns and the last user turn, as a server scores them; None for what is no chat."""
    if isinstance(value, dict) and is_chat(value.get("messages")):
        value = value["messages"]
    if isinstance(value, dict) and _role(value) is not None:
        value = [value]
    if not isinstance(value, list) or not is_chat(value):
        return None
    last = max((place for place, message in enumerate(value) if _role(message) == "user"), default=None)
    if last is None:
        return None
    turns = value[: last + 1]
    system = [_content(message) for message in turns if _role(message) in {"system", "developer"}]
    others = [_content(message) for message in turns if _role(message) in {"user", ASSISTANT}]
    return "\n\n".join(part for part in (*system, *others) if part)


def replied(value: object) -> str | None:
    """The text of an LLM's reply: a message, a completion's first choice, or what follows the last user turn of a chat; None for others."""
    if isinstance(value, dict):
        choices = value.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            return replied(choices[0].get("message")) if "message" in choices[0] else _string(choices[0].get("text"))
        return _content(value) if _role(value) == ASSISTANT else None
    if isinstance(value, list) and is_chat(value):
        return _content(value[-1]) if _role(value[-1]) == ASSISTANT else None
    return None


def _role(message: Mapping[str, Any]) -> str | None:
    """The message's role by the OpenAI protocol's name; None where it is no message."""
    role = message.get("role", message.get("from"))
    if not isinstance(role, str) or not {"content", "value", "tool_calls", "parts"} & set(message):
        return None
    return ROLES.get(role.casefold(), role.casefold())


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content", message.get("value", message.get("parts")))
    if isinstance(content, list):
        return "\n".join(filter(None, map(_part, content)))
    return content if isinstance(content, str) else ""


def _part(part: object) -> str:
    text: object = part.get("text") if isinstance(part, dict) else part
    return text if isinstance(text, str) else ""


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None
