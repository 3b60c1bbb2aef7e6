"""OpenAI's embeddings and older completions: passed on to the LLM that they name; recorded, charged and limited like every request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator
from starlette.datastructures import Headers
from starlette.responses import Response

from mixture.client.json_values import mappings
from mixture.client.native import Event, Native
from mixture.client.native_openai import NativeCompletions, NativeEmbeddings
from mixture.client.protocol import Chunk
from mixture.decision import Decision
from serving.choice.virtual_models import VIRTUAL
from serving.dialects.dialect import Arrived, Asked
from serving.dialects.server_sent import DONE, event
from serving.errors import RequestRefused
from serving.json_answers import error_body, error_response
from serving.request.protocol import MOST_PIECES, ChatRequest, RequestOptions, StreamOptions, parse
from serving.scorers.scored_request import ScoredRequest


def _texts_or_tokens(value: Any) -> Any:
    if isinstance(value, str) or _are_tokens(value):
        return value
    if not isinstance(value, list) or not value or not all(isinstance(each, str) or _are_tokens(each) for each in value):
        raise ValueError("is neither a text, nor a list of texts or of tokens")
    if len(value) > MOST_PIECES:
        raise ValueError(f"{len(value)} texts, of at most {MOST_PIECES}")
    return value


def _are_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, int) and not isinstance(each, bool) for each in value)


_TOKENS = {"type": "array", "minItems": 1, "items": {"type": "integer"}}
_SEVERAL = {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"}, _TOKENS]}}
Texts = Annotated[Any, BeforeValidator(_texts_or_tokens), WithJsonSchema({"anyOf": [{"type": "string"}, _TOKENS, _SEVERAL]})]


class _Named(BaseModel):
    """A request that names an LLM; its endpoint reads all fields that are not ours."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    model: Annotated[str, Field(min_length=1, max_length=256)]
    routemoa: RequestOptions = RequestOptions()

    @field_validator("routemoa", mode="before")
    @classmethod
    def _none_is_default(cls, value: Any) -> Any:
        return RequestOptions() if value is None else value


class EmbeddingsRequest(_Named):
    """A request to /v1/embeddings."""

    input: Texts


class CompletionsRequest(_Named):
    """A request to /v1/completions."""

    prompt: Texts
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    n: Annotated[int, Field(ge=1, le=16)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class _PassedOn:
    """What both have in common."""

    def authorization(self, headers: Headers) -> str | None:
        """As it is."""
        return headers.get("authorization")

    def error(self, error: Exception, headers: Mapping[str, str] | None = None) -> Response:
        """In OpenAI's schema."""
        return error_response(error, headers)

    def error_event(self, error: Exception) -> bytes:
        """In OpenAI's schema, and no [DONE] after it."""
        return event(error_body(error))


class EmbeddingsDialect(_PassedOn):
    """Implements `serving.dialects.dialect.Dialect`."""

    name = "embeddings"
    path = "/v1/embeddings"

    async def read(self, arrived: Arrived) -> Asked:
        """The request; nothing is written, so that one token is the most."""
        request, written = parse(EmbeddingsRequest, arrived.content)
        _refuse_virtual(request.model, "embeddings")
        return _asked(request, request.input, NativeEmbeddings(_theirs(written)), {"max_tokens": 1})


class CompletionsDialect(_PassedOn):
    """Implements `serving.dialects.dialect.Dialect`."""

    name = "completions"
    path = "/v1/completions"

    async def read(self, arrived: Arrived) -> Asked:
        """The request. Each of several prompts gets its answers."""
        request, written = parse(CompletionsRequest, arrived.content)
        _refuse_virtual(request.model, "completions")
        several = len(request.prompt) if isinstance(request.prompt, list) and not isinstance(request.prompt[0], int) else 1
        fields = {name: value for name, value in written.items() if name not in {"prompt", "stream", "stream_options", "routemoa", "model"}}
        fields |= {"n": several * (request.n or 1)}
        return _asked(request, request.prompt, NativeCompletions(_theirs(written)), fields)


def _refuse_virtual(model: str, what: str) -> None:
    if model in VIRTUAL:
        next_step = "Name an LLM of the pool; GET /v1/models lists them."
        raise RequestRefused(f"model: {what} are not routed, so {model!r} cannot give any.", next_step=next_step, param="model")


def _theirs(written: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in written.items() if name != "routemoa"}


def _asked(request: _Named, content: Any, native: Native, fields: Mapping[str, Any]) -> Asked:
    """As a chat of one message, by which it is measured. fields: of it."""
    message = {"role": "user", "content": _measured(content)}
    stream = getattr(request, "stream", None)
    options = getattr(request, "stream_options", None)
    chat = {"model": request.model, "messages": [message], "stream": stream, "stream_options": options, "routemoa": request.routemoa}
    in_chat = {"model": request.model, "messages": [message], **{name: value for name, value in fields.items() if value is not None}}
    return PassedOnAsked(ChatRequest.model_validate(chat), in_chat, native)


def _measured(content: Any) -> str:
    """Text as long as the content; a token is a word of one letter."""
    pieces = content if isinstance(content, list) else [content]
    return " ".join(each if isinstance(each, str) else "x" if isinstance(each, int) else " ".join("x" * len(each)) for each in pieces)


@dataclass(frozen=True, slots=True)
class PassedOnAsked:
    """Implements `serving.dialects.dialect.Asked`."""

    chat: ChatRequest
    written: Mapping[str, Any]
    native: Native

    def answer(self, decision_id: str, created: int, scored: ScoredRequest | None) -> "PassedOnAnswer":  # noqa: ARG002 - theirs
        """What the endpoint sends."""
        return PassedOnAnswer(self.chat.include_usage)


@dataclass(frozen=True, slots=True)
class PassedOnAnswer:
    """Implements `serving.dialects.dialect.Answer`."""

    include_usage: bool

    @property
    def headers(self) -> Mapping[str, str]:
        """None of its own."""
        return {}

    def whole(self, decision: Decision) -> Mapping[str, Any]:
        """The endpoint's JSON."""
        return (decision.reply.native if decision.reply is not None else None) or {}

    def stream(self) -> "PassedOnEvents":
        """The endpoint's events."""
        return PassedOnEvents(self.include_usage)

    async def keep(self, decision: Decision) -> None:
        """Nothing."""


@dataclass(slots=True)
class PassedOnEvents:
    """Implements `serving.dialects.dialect.AnswerEvents`. include_usage: whether the caller asked for the usage, too."""

    include_usage: bool
    _held_back: list[Event] = field(default_factory=list)

    def chunk(self, chunk: Chunk) -> Sequence[bytes]:
        """The endpoint's event; those that say that a text is finished wait."""
        if chunk.native is None:
            return ()
        choices = mappings(chunk.native.tree.get("choices"))
        if not choices or any(choice.get("finish_reason") for choice in choices):
            if choices or self.include_usage:
                self._held_back.append(chunk.native)
            return ()
        return (event(chunk.native.tree, chunk.native.name),)

    def end(self, decision: Decision) -> Sequence[bytes]:  # noqa: ARG002 - all is theirs
        """What waited, and [DONE]."""
        return (*(event(each.tree, each.name) for each in self._held_back), DONE)

    def failed(self, error: Exception) -> Sequence[bytes]:
        """An error event, and no [DONE]."""
        return (event(error_body(error)),)
