"""What a request requires of an LLM: abilities, and whether one has to answer alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from mixture.client.request_size import part_kinds
from mixture.llm import Message

_ABILITIES = {"image_url": "vision", "input_image": "vision", "input_audio": "audio", "file": "files"}
_ONE_LLM_FIELDS = ("tools", "functions", "logprobs", "audio", "modalities", "prediction")


def abilities(messages: Sequence[Message], fields: Mapping[str, Any]) -> frozenset[str]:
    """The capabilities (words of the pool file) that every LLM asked must have."""
    required = {_ABILITIES[kind] for kind in part_kinds(messages) if kind in _ABILITIES}
    if fields.get("tools") or fields.get("functions"):
        required.add("tools")
    if _structured(fields):
        required.add("json")
    return frozenset(required)


def one_llm_only(messages: Sequence[Message], fields: Mapping[str, Any]) -> bool:
    """Whether one LLM has to answer by itself: tools, images, structured output and several choices survive no synthesis."""
    in_tool_use = any(message.get("role") in {"tool", "function"} or message.get("tool_calls") for message in messages)
    media = any(kind != "text" for kind in part_kinds(messages))
    return in_tool_use or media or _structured(fields) or (fields.get("n") or 1) > 1 or any(fields.get(name) for name in _ONE_LLM_FIELDS)


def _structured(fields: Mapping[str, Any]) -> bool:
    wanted = fields.get("response_format")
    return isinstance(wanted, Mapping) and wanted.get("type", "text") != "text"
