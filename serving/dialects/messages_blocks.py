"""What the turns of a request in Anthropic's Messages dialect may hold: blocks of words, media, calls of tools, results and thoughts."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MOST_RESULTS = 2000  # texts of one search
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\s-]*\Z")
_NOT_HERE = "no LLM is sent to an address, and files that lie at a vendor are another's: send the content itself, as base64"
IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def _or_text(schema: dict[str, Any]) -> None:
    """Says of a list of blocks that a text may stand in its place."""
    blocks = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string"}, blocks]


OR_TEXT = Field(json_schema_extra=_or_text)


def as_blocks(value: Any) -> Any:
    """A text as the block that it stands for; nothing as no blocks."""
    if value is None:
        return []
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


class Part(BaseModel):
    """Keys that are not read (citations, callers of tools) change nothing that an LLM of another vendor could be told."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class CacheControl(Part):
    """Where a prefix ends that should be kept, and for how long."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Text(Part):
    """Words."""

    type: Literal["text"]
    text: str
    cache_control: CacheControl | None = None


class Source(Part):
    """An image or a document that comes with the request."""

    type: str
    media_type: str = ""
    data: str = ""
    url: Any = None
    file_id: Any = None

    @model_validator(mode="after")
    def _is_here(self) -> "Source":
        if self.type in {"url", "file"}:
            raise ValueError(f"a source of type {self.type!r} is refused: {_NOT_HERE}")
        if self.url is not None or self.file_id is not None:
            raise ValueError(f"a source that names an address or a file is refused: {_NOT_HERE}")
        if self.type not in {"base64", "text"}:
            raise ValueError(f"a source of type {self.type[:40]!r} is not known here; known is 'base64', of documents 'text' too")
        if self.type == "base64" and not _BASE64.match(self.data):
            raise ValueError("'data' is no base64")
        if not self.data:
            raise ValueError("a source needs 'data'")
        return self


class Image(Part):
    """An image."""

    type: Literal["image"]
    source: Source
    cache_control: CacheControl | None = None

    @model_validator(mode="after")
    def _is_an_image(self) -> "Image":
        if self.source.type != "base64" or self.source.media_type not in IMAGES:
            raise ValueError(f"an image is a source of type 'base64' whose media_type is one of {', '.join(sorted(IMAGES))}")
        return self


class Document(Part):
    """A PDF, or a plain text."""

    type: Literal["document"]
    source: Source
    title: str | None = None
    context: str | None = None
    cache_control: CacheControl | None = None

    @model_validator(mode="after")
    def _is_readable(self) -> "Document":
        wanted = {"base64": "application/pdf", "text": "text/plain"}[self.source.type]
        if self.source.media_type != wanted:
            raise ValueError(f"a document of type {self.source.type!r} has the media_type {wanted!r}")
        return self


class SearchResult(Part):
    """What a search of the caller's found. source: where, as text that an LLM reads."""

    type: Literal["search_result"]
    source: str
    title: str
    content: Annotated[list[Text], Field(max_length=MOST_RESULTS)]
    cache_control: CacheControl | None = None


Shown = Annotated[Text | Image | Document | SearchResult, Field(discriminator="type")]


class ToolResult(Part):
    """What came of a call of a tool."""

    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(min_length=1)]
    content: Annotated[list[Shown], OR_TEXT] = []
    is_error: bool | None = None
    cache_control: CacheControl | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _text_is_one_block(cls, value: Any) -> Any:
        return as_blocks(value)


class ToolUse(Part):
    """A call of a tool that an LLM asked for."""

    type: Literal["tool_use"]
    id: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    input: dict[str, Any]
    cache_control: CacheControl | None = None


class Thinking(Part):
    """What an LLM thought; the signature says to the one that made it that it is its own."""

    type: Literal["thinking"]
    thinking: str
    signature: str = ""


class RedactedThinking(Part):
    """What an LLM thought, in a form that only it can read."""

    type: Literal["redacted_thinking"]
    data: str


Block = Annotated[Text | Image | Document | SearchResult | ToolResult | ToolUse | Thinking | RedactedThinking, Field(discriminator="type")]
_OF_ROLE: Mapping[str, frozenset[str]] = {
    "user": frozenset({"text", "image", "document", "search_result", "tool_result"}),
    "assistant": frozenset({"text", "tool_use", "thinking", "redacted_thinking"}),
    "system": frozenset({"text"}),
}


class Message(Part):
    """One turn."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[list[Block], OR_TEXT]

    @field_validator("content", mode="before")
    @classmethod
    def _text_is_one_block(cls, value: Any) -> Any:
        return as_blocks(value)

    @model_validator(mode="after")
    def _fits_its_role(self) -> "Message":
        for place, block in enumerate(self.content):
            if block.type not in _OF_ROLE[self.role]:
                raise ValueError(f"block {place} is of type {block.type!r}, which no message of role {self.role!r} has")
        if not self.content and self.role != "assistant":
            raise ValueError(f"a message of role {self.role!r} needs content")
        return self
