"""What the messages and tools of a request may hold: text, and media that come with the request. No LLM is handed an address to fetch."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# `data:` carries the thing itself; every other scheme says where something lies.
_ADDRESS = re.compile(r"\s*(?!data:)[a-z][a-z0-9+.-]{0,30}:/", re.IGNORECASE | re.ASCII)
_IN_LINE = re.compile(r"data:|[A-Za-z0-9+/_=\s-]*\Z", re.IGNORECASE | re.ASCII)
# Fields in which an address is text that an LLM reads, or that nobody reads at all.
_TEXT_OF_A_MESSAGE = frozenset({
    "role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "annotations",
    "reasoning", "reasoning_content", "reasoning_details", "thinking_blocks",
})  # fmt: skip
_TEXT_OF_A_REQUEST = frozenset({
    "model", "messages", "metadata", "user", "safety_identifier", "prompt_cache_key", "stop", "tools", "tool_choice", "functions",
    "function_call", "response_format", "logit_bias", "routemoa", "grammar", "json_schema", "guided_json", "guided_grammar",
    "guided_regex", "guided_choice", "structured_outputs",
})  # fmt: skip
_OURS = frozenset({"function", "custom"})  # tools that the caller runs; an endpoint runs every other kind


def addresses(value: Any) -> Iterator[str]:
    """The addresses among the texts inside a JSON value."""
    if isinstance(value, str):
        if _ADDRESS.match(value):
            yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from addresses(each)
    elif isinstance(value, list):
        for each in value:
            yield from addresses(each)


def refuse_addresses(fields: Mapping[str, Any], text: frozenset[str]) -> None:
    """Raises ValueError for the first field that names an address, those aside that are `text`."""
    for name, value in fields.items():
        if name not in text and any(addresses(value)):
            raise ValueError(f"{name!r} names an address, and no LLM is sent to one: send the content itself")


class Carried(BaseModel):
    """A mapping of which only these keys are known."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ImageURL(Carried):
    """An image inside a message. Only data: URLs: nobody fetches an address that a caller names."""

    url: Annotated[str, Field(pattern="^data:")]
    detail: str | None = None
    format: str | None = None


class Audio(Carried):
    """A sound inside a message, base64."""

    data: str
    format: str | None = None

    @model_validator(mode="after")
    def _is_here(self) -> "Audio":
        _require_content(self.data, "data")
        return self


class File(Carried):
    """A file inside a message, base64; one that lies at an endpoint, by its id or its address, may be another caller's."""

    file_data: str
    filename: str | None = None
    format: str | None = None

    @model_validator(mode="after")
    def _is_here(self) -> "File":
        _require_content(self.file_data, "file_data")
        return self


class Part(Carried):
    """One part of a message's content."""

    type: Literal["text", "refusal", "image_url", "input_audio", "file"]
    text: str | None = None
    refusal: str | None = None
    image_url: ImageURL | None = None
    input_audio: Audio | None = None
    file: File | None = None
    cache_control: dict[str, Any] | None = None
    annotations: list[Any] | None = None
    id: str | None = None
    index: int | None = None

    @model_validator(mode="after")
    def _carries_what_it_says(self) -> "Part":
        for kind in ("text", "refusal", "image_url", "input_audio", "file"):
            if kind == self.type and getattr(self, kind) is None:
                raise ValueError(f"a part of type {self.type!r} needs {self.type!r}")
            if kind != self.type and getattr(self, kind) is not None:
                raise ValueError(f"a part of type {self.type!r} has no {kind!r}")
        return self


class ToolCall(BaseModel):
    """A call of a tool that an LLM asked for."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    type: str | None = None


class Tool(BaseModel):
    """A tool of the caller's. Those that an endpoint runs itself may name no address either."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    type: str | None = None

    @model_validator(mode="after")
    def _names_no_address(self) -> "Tool":
        if self.type not in _OURS:
            refuse_addresses(self.model_extra or {}, frozenset())
        return self


class MessageIn(BaseModel):
    """One message."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[Part], Field(min_length=1)] | None = None
    tool_calls: list[ToolCall] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "MessageIn":
        if self.content is None and self.role != "assistant":
            raise ValueError(f"a message of role {self.role!r} needs content")
        refuse_addresses(self.model_extra or {}, _TEXT_OF_A_MESSAGE)
        return self


def refuse_addresses_outside_messages(fields: Mapping[str, Any]) -> None:
    """Raises ValueError for a field of a request that names an address. fields: those that OpenAI's schema does not have."""
    refuse_addresses(fields, _TEXT_OF_A_REQUEST)


def _require_content(value: str, name: str) -> None:
    if not _IN_LINE.match(value):
        raise ValueError(f"{name!r} is no base64 content and no data: URL, and no LLM is sent to an address")
