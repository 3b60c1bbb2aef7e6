"""What a request of OpenAI's responses may hold, and the chat completion request that it is."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, field_validator

from serving.dialects import responses_tools
from serving.dialects.responses_input import Item, Messages
from serving.errors import RequestRefused
from serving.request.protocol import MOST_PIECES, ChatRequest, RequestOptions, refusal

LOGPROBS = "message.output_text.logprobs"
NOBODY_DOES = {  # fields of OpenAI's that no LLM asked through chat completions can have, with what to do instead
    "background": "Leave it out: answers are waited for or streamed.",
    "conversation": "Send previous_response_id, or the conversation itself as input.",
    "prompt": "Send the prompt's text as instructions and input.",
    "context_management": "Leave it out and shorten the conversation.",
    "moderation": "Leave it out.",
}
NEVER = frozenset({"background", "conversation"})  # answers that nobody records, and what lies at a vendor and may be another caller's
# Fields that mean the same to a chat completion, under its own names.
RENAMED = {"max_output_tokens": "max_tokens"}
SAME = (
    "temperature", "top_p", "top_logprobs", "parallel_tool_calls", "user", "safety_identifier", "prompt_cache_key",
    "prompt_cache_retention", "service_tier",
)  # fmt: skip
_NAMED_BACK = {"messages": "input", "max_tokens": "max_output_tokens", "response_format": "text.format"}


def _text_or_items(value: Any) -> Any:
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        if len(value) > MOST_PIECES:
            raise ValueError(f"{len(value)} items, of at most {MOST_PIECES}")
    elif not isinstance(value, str):
        raise ValueError("is neither a text nor a list of items")
    return value


_TEXT_OR_ITEMS = {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "object"}}]}
Input = Annotated[Any, BeforeValidator(_text_or_items), WithJsonSchema(_TEXT_OR_ITEMS)]  # a union would put the kind into the field's name


class ReasoningIn(BaseModel):
    """How hard to think. summary: taken, and not needed: what an LLM thinks aloud is returned."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    effort: Annotated[str, Field(max_length=32)] | None = None
    summary: str | None = None
    generate_summary: str | None = None


class TextIn(BaseModel):
    """The form of the answer's text."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    format: dict[str, Any] | None = None
    verbosity: str | None = None


class ResponsesRequest(BaseModel):
    """A request to /v1/responses. Fields that are not here are refused by name, unless the LLM's endpoint gets the request as it is."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    model: Annotated[str, Field(min_length=1, max_length=256)]
    input: Input
    instructions: str | None = None
    previous_response_id: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=MOST_PIECES)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    reasoning: ReasoningIn | None = None
    text: TextIn | None = None
    include: list[str] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    service_tier: str | None = None
    routemoa: RequestOptions = RequestOptions()

    @field_validator("routemoa", mode="before")
    @classmethod
    def _none_is_default(cls, value: Any) -> Any:
        return RequestOptions() if value is None else value

    def refuse_what_nobody_does(self, *, lenient: bool) -> None:
        """lenient: the LLM's endpoint gets the request as it is. Raises RequestRefused naming the field."""
        for name, value in (self.model_extra or {}).items():
            if value in (None, False) or (lenient and name not in NEVER):
                continue
            if name in RequestOptions.model_fields:
                raise RequestRefused(f"{name!r} belongs into 'routemoa'.", next_step=f'Send {{"routemoa": {{"{name}": ...}}}}.', param=name)
            next_step = NOBODY_DOES.get(name, "Leave it out, or name an LLM whose pool entry has `responses` among endpoint.dialects.")
            raise RequestRefused(f"{name}: is not taken here.", next_step=next_step, param=name)
        if self.truncation == "auto" and not lenient:
            next_step = "Leave it out and shorten the conversation."
            raise RequestRefused("truncation: conversations are not cut here.", next_step=next_step, param="truncation")

    def chat(self, written: Mapping[str, Any], kept: Sequence[Item], *, lenient: bool) -> tuple[ChatRequest, dict[str, Any]]:
        """The chat completion request, and its JSON. kept: items that it goes on from. lenient: the LLM's endpoint reads it as it is.

        Raises RequestRefused naming the field. The JSON lacks what is for us alone: metadata, store.
        """
        self.refuse_what_nobody_does(lenient=lenient)
        messages = Messages.of(self.instructions, kept, self.input, lenient=lenient)
        fields = {name: written[name] for name in SAME if written.get(name) is not None}
        fields |= {ours: written[name] for name, ours in RENAMED.items() if written.get(name) is not None}
        fields |= self._form() | self._tools(lenient=lenient)
        if self.reasoning is not None and self.reasoning.effort is not None:
            fields["reasoning_effort"] = self.reasoning.effort
        if self.top_logprobs or LOGPROBS in (self.include or ()):
            fields["logprobs"] = True
        if lenient:
            fields |= {name: value for name, value in (self.model_extra or {}).items() if value is not None}
        chat = {"model": self.model, "messages": _leading_system_as_one(messages), **fields}
        ours = {"stream": self.stream, "metadata": self.metadata, "previous_response_id": self.previous_response_id}
        try:
            return ChatRequest.model_validate({**chat, **ours, "routemoa": self.routemoa}), chat
        except ValidationError as exc:
            raise _in_our_words(exc) from exc

    def _form(self) -> dict[str, Any]:
        form: dict[str, Any] = {}
        if self.text is None:
            return form
        if self.text.verbosity is not None:
            form["verbosity"] = self.text.verbosity
        wanted = self.text.format or {}
        kind = wanted.get("type", "text")
        if kind == "json_schema":
            schema = {name: value for name, value in wanted.items() if name != "type" and value is not None}
            form["response_format"] = {"type": kind, "json_schema": schema}
        elif kind == "json_object":
            form["response_format"] = {"type": kind}
        elif kind != "text":
            next_step = "Give text, json_object or json_schema."
            raise RequestRefused(f"text.format.type: {kind!r} is no form.", next_step=next_step, param="text.format.type")
        return form

    def _tools(self, *, lenient: bool) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if self.tools:
            fields["tools"] = responses_tools.in_chat(self.tools, lenient=lenient)
            if self.tool_choice is not None:
                fields["tool_choice"] = responses_tools.choice_in_chat(self.tool_choice, lenient=lenient)
        return fields


def _leading_system_as_one(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with the system texts at the beginning joined: templates of many LLMs take one, and only there."""
    leading = 0
    while leading < len(messages) and messages[leading]["role"] == "system" and isinstance(messages[leading]["content"], str):
        leading += 1
    if leading < 2:
        return messages
    joined = "\n\n".join(message["content"] for message in messages[:leading])
    return [{"role": "system", "content": joined}, *messages[leading:]]


def _in_our_words(error: ValidationError) -> RequestRefused:
    """A complaint about the chat completion request, about the field that it was made from."""
    refused = refusal(ChatRequest, error)
    first, _, rest = (refused.param or "").partition(".")
    named = _NAMED_BACK.get(first)
    if named is None:
        return refused
    param = named if first == "messages" or not rest else f"{named}.{rest}"
    return RequestRefused(refused.what.replace(refused.param or "", param), next_step=refused.next_step, param=param)
