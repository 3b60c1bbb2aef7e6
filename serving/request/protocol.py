"""What a chat request may hold: OpenAI's schema with fields we do not know passed on, and our own namespace, which refuses them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mixture.choose.options import Aggregation, Options
from mixture.choose.restrict import Requested
from mixture.effort import Level
from registry.validation_errors import complaints
from scorer.near_matches import did_you_mean
from serving.errors import RequestRefused
from serving.request.conversation import MessageIn, Tool, refuse_addresses_outside_messages

Positive = Annotated[float, Field(ge=0, allow_inf_nan=False)]
OURS = frozenset({"model", "messages", "stream", "stream_options", "routemoa"})  # not passed on to LLMs
MOST_PIECES = 2000  # messages, their parts and their tool calls; a long conversation of an agent has hundreds
MOST_VALUES, MOST_KEYS = 50_000, 2000  # of JSON; a body of 4 MB could hold a million, and each wrong one costs 10 us
DEEPEST = 200  # levels of JSON; an LLM's endpoint gets them inside further ones
T = TypeVar("T", bound=BaseModel)


class WeightsIn(BaseModel):
    """What a right answer, a dollar, a second and a kilowatt-hour are worth, in one unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    quality: Positive | None = None
    usd: Positive | None = None
    second: Positive | None = None
    kwh: Positive | None = None


class RequestOptions(BaseModel):
    """`routemoa: {...}` of a request: narrows what the operator allows. `domain` is only recorded; `session` names its session.

    explore: false leaves nothing of the choice to chance; true gets what the operator allows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    budget_usd: Positive | None = None
    deadline_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    weights: WeightsIn | None = None
    k: Annotated[int, Field(ge=1)] | None = None
    max_layers: Annotated[int, Field(ge=1)] | None = None
    aggregation: Aggregation | None = None
    data_policy: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=32)] | None = None
    explain: bool = False
    domain: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    explore: bool | None = None
    session: Annotated[str, Field(min_length=1, max_length=512)] | None = None

    def requested(self, operator: Options, now: float) -> Requested:
        """For `mixture.choose.restrict.restrict`; `now` is monotonic seconds."""
        weights = None
        if self.weights is not None:
            weights = replace(operator.weights, **self.weights.model_dump(exclude_none=True))
        return Requested(
            k=self.k,
            max_layers=self.max_layers,
            weights=weights,
            budget_usd=self.budget_usd,
            deadline=None if self.deadline_s is None else now + self.deadline_s,
            aggregation=self.aggregation,
            data_policy=None if self.data_policy is None else frozenset(self.data_policy),
        )


class StreamOptions(BaseModel):
    """How a stream ends."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A chat completion request. The fields that are checked here would otherwise fail at an LLM, at our cost."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    model: Annotated[str, Field(min_length=1, max_length=256)]
    messages: Annotated[list[MessageIn], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    routemoa: RequestOptions = RequestOptions()
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    n: Annotated[int, Field(ge=1, le=16)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Annotated[list[Tool], Field(max_length=MOST_PIECES, fail_fast=True)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    functions: Annotated[list[dict[str, Any]], Field(max_length=MOST_PIECES, fail_fast=True)] | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: Level | None = None
    user: str | None = None

    @field_validator("routemoa", mode="before")
    @classmethod
    def _none_is_default(cls, value: Any) -> Any:
        return RequestOptions() if value is None else value

    @field_validator("messages", mode="before")
    @classmethod
    def _are_not_too_many(cls, value: Any) -> Any:
        """Counted before each is checked, which takes longer."""
        if isinstance(value, list) and (pieces := len(value) + sum(map(_pieces, value))) > MOST_PIECES:
            raise ValueError(f"{pieces} messages, parts and tool calls, of at most {MOST_PIECES}")
        return value

    @model_validator(mode="after")
    def _has_no_stray_field(self) -> "ChatRequest":
        for name in RequestOptions.model_fields.keys() & (self.model_extra or {}).keys():
            raise ValueError(f'{name!r} belongs into \'routemoa\': {{"routemoa": {{"{name}": ...}}}}')
        refuse_addresses_outside_messages(self.model_extra or {})
        return self

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk that holds the usage."""
        return self.stream_options is not None and self.stream_options.include_usage


class RouteRequest(ChatRequest):
    """A chat completion request that is only decided on. scorer_version: a loaded one, or its alias; asked for with the scope `admin`."""

    model: Annotated[str, Field(min_length=1, max_length=256)] = "routemoa"
    scorer_version: Annotated[str, Field(min_length=1, max_length=64)] | None = None


def parse(kind: type[T], content: bytes) -> tuple[T, dict[str, Any]]:
    """The request in `content`, checked, and its JSON as sent. Raises RequestRefused naming the field."""
    written = json_object(content)
    return checked(kind, written), written


def checked(kind: type[T], written: Mapping[str, Any]) -> T:
    """The request that `written` is. Raises RequestRefused naming the field."""
    try:
        return kind.model_validate(written)
    except ValidationError as exc:
        raise refusal(kind, exc) from exc


def json_object(content: bytes) -> dict[str, Any]:
    """The JSON object that a body is. Raises RequestRefused where it is none, or takes too long to check."""
    try:
        written = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise RequestRefused(f"The body is not JSON ({exc}).", next_step="Send a JSON object.") from exc
    if not isinstance(written, dict):
        raise RequestRefused(f"The body is a JSON {type(written).__name__}, not an object.", next_step="Send a JSON object.")
    _check_size(written)
    return written


def _check_size(written: dict[str, Any]) -> None:
    """Raises RequestRefused for JSON that takes long to check, or that nests more deeply than an LLM's endpoint reads it."""
    level: list[dict[str, Any] | list[Any]] = [written]
    values = depth = 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise RequestRefused("The body is nested too deeply.", next_step=f"Nest at most {DEEPEST} levels.")
        inner: list[dict[str, Any] | list[Any]] = []
        for each in level:
            values += len(each)
            if values > MOST_VALUES or (isinstance(each, dict) and len(each) > MOST_KEYS):
                what = f"more than {MOST_VALUES} values, or an object of more than {MOST_KEYS} keys"
                raise RequestRefused(f"The body holds {what}.", next_step="Send less.")
            inner.extend(value for value in (each.values() if isinstance(each, dict) else each) if isinstance(value, dict | list))
        level = inner


def _pieces(message: Any) -> int:
    """Parts and tool calls of what may be a message."""
    lists = (message.get("content"), message.get("tool_calls")) if isinstance(message, dict) else ()
    return sum(len(each) for each in lists if isinstance(each, list))


def passed_on(written: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that go to LLMs as they were sent; null means not given."""
    return {name: value for name, value in written.items() if name not in OURS and value is not None}


def refusal(kind: type[BaseModel], error: ValidationError) -> RequestRefused:
    """The first complaint, with the field's dotted name; the value is not repeated (it may be a prompt)."""
    first = complaints(error, kind)[0]
    param = first.field or None
    if first.is_unknown_key:
        next_step = did_you_mean(str(first.location[-1]), first.keys)
        return RequestRefused(f"{param}: unknown key.", next_step=next_step, param=param)
    return RequestRefused(f"{param or 'The request'}: {first.reason}.", next_step="Correct the field.", param=param)
