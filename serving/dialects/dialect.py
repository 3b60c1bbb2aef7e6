"""What a dialect is: how its requests are read into the inner form, and how decisions, streams and errors are written in it.

The inner form of a request is a chat completion request: `ChatRequest`, and the JSON it was validated from. The inner form of an answer is
a `Decision`, streamed as `Chunk`s before it. `serving.answers.answering` does everything between them, the same for every dialect.

A dialect is added by a module that implements the four protocols below, a line in `serving.dialects.spoken`, and a route that calls
`serving.answers.answering.answered` with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.datastructures import Headers
from starlette.responses import Response

from mixture.client.native import Native
from mixture.client.protocol import Chunk
from mixture.decision import Decision
from serving.access.keys import KeyEntry
from serving.request.protocol import ChatRequest
from serving.scorers.scored_request import ScoredRequest
from serving.state import State


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as it came. content: its body, within the operator's limit. holder: whose key it carries."""

    content: bytes
    headers: Headers
    holder: KeyEntry
    state: State


class Dialect(Protocol):
    """One dialect. Holds no state: one instance serves all requests."""

    @property
    def name(self) -> str:
        """As `endpoint.dialects` of a pool entry has it."""

    @property
    def path(self) -> str:
        """Where its requests are sent; errors at addresses below it are written in it, too."""

    def authorization(self, headers: Headers) -> str | None:
        """The key of a request, as an Authorization header would carry it (`Bearer KEY`); None where there is none."""

    async def read(self, arrived: Arrived) -> "Asked":
        """The request. Raises RequestRefused (or another ServingError) naming the field as its caller wrote it."""

    def error(self, error: Exception, headers: Mapping[str, str] | None = None) -> Response:
        """A whole answer that is an error. Status and further headers are those of `serving.errors`, whatever the dialect."""

    def error_event(self, error: Exception) -> bytes:
        """The server-sent event that ends a stream whose `AnswerEvents` cannot be reached: the server stops."""


class Asked(Protocol):
    """One request, read: the inner form, and what its dialect has to remember for the answer."""

    @property
    def chat(self) -> ChatRequest:
        """The request, checked."""

    @property
    def written(self) -> Mapping[str, Any]:
        """The JSON of `chat`: `messages` and all fields that go to LLMs, in the chat dialect's own words."""

    @property
    def native(self) -> Native | None:
        """The caller's own request, for endpoints that speak this dialect; None where there is no such way."""

    def answer(self, decision_id: str, created: int, scored: ScoredRequest | None) -> "Answer":
        """The envelope of its answer. created: seconds since the epoch. scored: None where the request names an LLM."""


class Answer(Protocol):
    """One answer, written in its dialect."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the response, beside those that all dialects have (`serving.answers.answer_headers`)."""

    def whole(self, decision: Decision) -> Mapping[str, Any]:
        """The JSON of an answer that is not streamed."""

    def stream(self) -> "AnswerEvents":
        """What writes it as a stream; called once, and only where `chat.stream` is true."""

    async def keep(self, decision: Decision) -> None:
        """Keeps what later requests may refer to. Called once its record is durable, before the answer (or its last event) leaves."""


class AnswerEvents(Protocol):
    """The server-sent events of one stream, in order. Each method gives whole events as bytes (`server_sent.event`), maybe none.

    Nothing that says "complete" may leave before `end`: until then the answer may still fail, or its record be lost.
    """

    def chunk(self, chunk: Chunk) -> Sequence[bytes]:
        """The events of the next chunk, with those that begin the stream before its first.

        `chunk.text`: new words of the first choice. `chunk.raw`: the event in the chat dialect's form where one LLM answers unchanged
        (deltas of content, reasoning_content, tool_calls; no choices in the one that only brings usage), else empty. `chunk.reply`: set on
        the last one. `chunk.native`: the endpoint's own event where it speaks this dialect.
        """

    def end(self, decision: Decision) -> Sequence[bytes]:
        """The events after the last chunk, where all went well; those that begin the stream too where no chunk brought anything to see."""

    def failed(self, error: Exception) -> Sequence[bytes]:
        """The events that end a stream that fails. Public words only: `serving.json_answers.error_body`."""
