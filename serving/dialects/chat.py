"""OpenAI's chat completions: the inner form itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response

from mixture.client.protocol import Chunk
from mixture.decision import Decision
from serving.dialects.completion import Completion
from serving.dialects.dialect import Arrived
from serving.dialects.server_sent import DONE, event
from serving.json_answers import error_body, error_response
from serving.request.option_headers import with_header_options
from serving.request.protocol import ChatRequest, checked, json_object
from serving.scorers.scored_request import ScoredRequest


class ChatDialect:
    """Implements `serving.dialects.dialect.Dialect`."""

    name = "chat"
    path = "/v1/chat/completions"

    def authorization(self, headers: Headers) -> str | None:
        """As it is."""
        return headers.get("authorization")

    async def read(self, arrived: Arrived) -> "ChatAsked":
        """The request, which is the inner form already."""
        written = with_header_options(json_object(arrived.content), arrived.headers)
        return ChatAsked(checked(ChatRequest, written), written)

    def error(self, error: Exception, headers: Mapping[str, str] | None = None) -> Response:
        """In OpenAI's schema."""
        return error_response(error, headers)

    def error_event(self, error: Exception) -> bytes:
        """In OpenAI's schema, and no [DONE] after it."""
        return event(error_body(error))


@dataclass(frozen=True, slots=True)
class ChatAsked:
    """Implements `serving.dialects.dialect.Asked`."""

    chat: ChatRequest
    written: Mapping[str, Any]
    native: None = None

    def answer(self, decision_id: str, created: int, scored: ScoredRequest | None) -> "ChatAnswer":
        """A chat completion."""
        completion = Completion(decision_id, self.chat.model, created, scored, self.chat.routemoa.explain)
        return ChatAnswer(completion, self.chat.include_usage)


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """Implements `serving.dialects.dialect.Answer`."""

    completion: Completion
    include_usage: bool

    @property
    def headers(self) -> Mapping[str, str]:
        """None of its own."""
        return {}

    def whole(self, decision: Decision) -> Mapping[str, Any]:
        """A chat completion."""
        return self.completion.whole(decision)

    def stream(self) -> "ChatEvents":
        """Chunks of one."""
        return ChatEvents(self.completion, self.include_usage)

    async def keep(self, decision: Decision) -> None:
        """Nothing: each request brings its whole conversation."""


@dataclass(slots=True)
class ChatEvents:
    """Implements `serving.dialects.dialect.AnswerEvents`. It ends in `[DONE]` only when it is complete."""

    completion: Completion
    include_usage: bool
    _first: bool = True
    _endings: list[dict[str, Any]] = field(default_factory=list)  # chunks that say an answer is finished wait for its decision

    def chunk(self, chunk: Chunk) -> Sequence[bytes]:
        """The chunk, where there is something to see."""
        visible = self.completion.chunk(chunk, first=self._first)
        if visible is None:
            return ()
        self._first = False
        if any(choice.get("finish_reason") for choice in visible["choices"]):
            self._endings.append(visible)
            return ()
        return (event(visible),)

    def end(self, decision: Decision) -> Sequence[bytes]:
        """The endings, our facts in the last, the usage for those who asked for it, and [DONE]. n > 1: each choice ends by itself."""
        ending = self._endings.pop() if self._endings else None
        events = [*map(event, self._endings), event(self.completion.last(decision, ending))]
        if self.include_usage:
            events.append(event(self.completion.usage_chunk(decision)))
        return (*events, DONE)

    def failed(self, error: Exception) -> Sequence[bytes]:
        """An error event, and no [DONE]."""
        return (event(error_body(error)),)
