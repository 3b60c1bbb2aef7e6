"""What of a message means something to some LLMs only: thoughts signed by the one that had them, and marks for prefix caches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mixture.llm import LLM, Message

KEY = "provider_state"  # of a message; never sent under this name


@dataclass(frozen=True, slots=True)
class ProviderState:
    """Beside one message of a request that was translated from another dialect; callers' JSON cannot bring one.

    maker: id of the LLM that wrote the message, "" where nobody knows. fields: of the message, which go back to the maker unchanged and to
    no other. marks: (characters of the content before it, cache_control) in order, where the content is one text.
    """

    maker: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    marks: tuple[tuple[int, Mapping[str, Any]], ...] = ()


def as_sent(llm: LLM, messages: Sequence[Message]) -> Sequence[Message]:
    """`messages` as `llm` gets them: what is not for it is left out. Others than translated messages stay as they are."""
    return [_as_sent(llm, message) if isinstance(message.get(KEY), ProviderState) else message for message in messages]


def takes_marks(llm: LLM) -> bool:
    """Whether marks mean something to an LLM: where writing a cache has a price of its own, callers say what is to be kept.

    Elsewhere a cache needs no marks, and an endpoint may refuse them.
    """
    return llm.price.cache_write is not None and llm.price.cache_write != llm.price.input


def _as_sent(llm: LLM, message: Message) -> Message:
    sent = {name: value for name, value in message.items() if name != KEY}
    state: ProviderState = message[KEY]
    if state.maker == llm.id:
        sent |= state.fields
    content = sent.get("content")
    if isinstance(content, str) and state.marks and takes_marks(llm):
        sent["content"] = _marked(content, state.marks)
    elif isinstance(content, list) and not takes_marks(llm):
        sent["content"] = [{name: value for name, value in part.items() if name != "cache_control"} for part in content]
    return sent


def _marked(content: str, marks: Sequence[tuple[int, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The text in parts, each but the last ending at a mark."""
    parts: list[dict[str, Any]] = []
    start = 0
    for end, mark in marks:
        parts.append({"type": "text", "text": content[start:end], "cache_control": dict(mark)})
        start = end
    return [*parts, {"type": "text", "text": content[start:]}] if start < len(content) else parts
