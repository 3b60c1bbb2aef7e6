"""What a request in Anthropic's Messages dialect may hold beside its turns. It is checked under its own names, before it is translated."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from registry.validation_errors import Complaint, complaints
from serving.dialects.messages_blocks import OR_TEXT, CacheControl, Message, Part, Text, as_blocks
from serving.errors import RequestRefused
from serving.request.protocol import MOST_PIECES, json_object

# Of the vendor's own service: how it counts, bills or keeps what it does. They change no answer.
WITHOUT_EFFECT = frozenset({"betas", "context_management", "diagnostics", "service_tier", "speed", "user_profile_id", "workspace_id"})

T = TypeVar("T", bound=BaseModel)


class Tool(Part):
    """A tool of the caller's. Those that the vendor's servers run do not exist here."""

    type: str | None = None
    name: Annotated[str, Field(min_length=1, max_length=128)]
    description: str | None = None
    input_schema: dict[str, Any]
    strict: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_the_callers(cls, value: Any) -> Any:
        kind = value.get("type") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind != "custom":
            raise ValueError(f"a tool of type {kind[:60]!r} is one of the vendor's own, which LLMs of other vendors do not have")
        return value


class ToolChoice(Part):
    """Which tool is to be called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def _names_its_tool(self) -> "ToolChoice":
        if self.type == "tool" and not self.name:
            raise ValueError("a tool_choice of type 'tool' needs 'name'")
        return self


class ThinkingConfig(Part):
    """Whether an LLM should think, and for how many tokens at most."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Annotated[int, Field(ge=1024)] | None = None

    @model_validator(mode="after")
    def _says_how_much(self) -> "ThinkingConfig":
        if self.type == "enabled" and self.budget_tokens is None:
            raise ValueError("thinking of type 'enabled' needs 'budget_tokens'")
        return self


class OutputFormat(Part):
    """Structured output."""

    type: Literal["json_schema"]
    json_schema: Annotated[dict[str, Any], Field(alias="schema")]


class OutputConfig(Part):
    """How much an LLM should put into its answer, and the answer's form."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class Metadata(Part):
    """routemoa: our own options, for clients that send no further fields."""

    user_id: Annotated[str, Field(max_length=1024)] | None = None
    session_id: Annotated[str, Field(max_length=1024)] | None = None
    routemoa: dict[str, Any] | None = None


class CountRequest(BaseModel):
    """A request whose tokens are counted: what is said to an LLM, without the limits on its answer."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    model: Annotated[str, Field(min_length=1, max_length=256)]
    messages: Annotated[list[Message], Field(min_length=1)]
    system: Annotated[list[Text], Field(max_length=MOST_PIECES), OR_TEXT] = []
    tools: Annotated[list[Tool], Field(max_length=MOST_PIECES, fail_fast=True)] | None = None
    tool_choice: ToolChoice | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None
    metadata: Metadata | None = None
    routemoa: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, value: Any) -> Any:
        """Null is not given."""
        if not isinstance(value, dict):
            return value
        return {name: each for name, each in value.items() if name not in WITHOUT_EFFECT and each is not None}

    @field_validator("system", mode="before")
    @classmethod
    def _text_is_one_block(cls, value: Any) -> Any:
        return as_blocks(value)

    @field_validator("messages", mode="before")
    @classmethod
    def _are_not_too_many(cls, value: Any) -> Any:
        """Counted before each is checked, which takes longer."""
        if isinstance(value, list) and (pieces := sum(map(_pieces, value))) > MOST_PIECES:
            raise ValueError(f"{pieces} messages and blocks, of at most {MOST_PIECES}")
        return value

    @model_validator(mode="after")
    def _says_its_options_once(self) -> "CountRequest":
        if self.routemoa is not None and self.metadata is not None and self.metadata.routemoa is not None:
            raise ValueError("'routemoa' stands in the request and in its metadata: say it once")
        return self


class MessagesRequest(CountRequest):
    """A request for an answer. Unknown keys are refused, as the vendor does: one of them may be what the answer depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)]
    stream: bool | None = None
    stop_sequences: Annotated[list[str], Field(max_length=16)] | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=10_000_000)] | None = None

    @model_validator(mode="after")
    def _thinks_within_its_limit(self) -> "MessagesRequest":
        budget = None if self.thinking is None else self.thinking.budget_tokens
        if budget is not None and budget >= self.max_tokens:
            raise ValueError(f"thinking.budget_tokens ({budget}) has to be less than max_tokens ({self.max_tokens})")
        return self


def parse(kind: type[T], content: bytes) -> tuple[T, dict[str, Any]]:
    """The request in `content`, checked, and its JSON as sent. Raises RequestRefused naming the field as its caller wrote it."""
    written = json_object(content)
    try:
        return kind.model_validate(written), written
    except ValidationError as exc:
        raise refusal(exc, kind, written) from exc


def refusal(error: ValidationError, kind: type[BaseModel], written: Any) -> RequestRefused:
    """The first complaint, with the field's dotted name as its caller wrote it; the value is not repeated (it may be a prompt)."""
    first = complaints(error, kind)[0]
    param = ".".join(map(str, _as_written(first, written))) or None
    reason = "unknown key" if first.is_unknown_key else first.reason
    return RequestRefused(f"{param or 'The request'}: {reason}.", next_step="Correct the field.", param=param)


def _as_written(complaint: Complaint, written: Any) -> list[int | str]:
    """Where it is about, without what Pydantic puts between the steps: the type of a block."""
    steps: list[int | str] = []
    for number, step in enumerate(complaint.location, 1):
        if step in (written if isinstance(written, dict) else range(len(written)) if isinstance(written, list) else ()):
            written = written[step]
        elif not (complaint.is_missing and number == len(complaint.location)):
            continue
        steps.append(step)
    return steps


def _pieces(message: Any) -> int:
    """A message and its blocks, those of tools' results too."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return 1
    inner = (block.get("content") for block in content if isinstance(block, dict))
    return 1 + len(content) + sum(len(each) for each in inner if isinstance(each, list))
