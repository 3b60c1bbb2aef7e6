"""Anthropic's Messages: `POST /v1/messages`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response

from mixture.client.native import Event
from mixture.client.native_messages import NativeMessages
from mixture.client.protocol import Chunk
from mixture.decision import Decision
from serving.dialects import messages_errors, messages_reply
from serving.dialects.completion import Completion
from serving.dialects.dialect import Arrived
from serving.dialects.messages_request import as_chat, betas_of, passed_on
from serving.dialects.messages_schema import MessagesRequest, parse
from serving.dialects.messages_stream import BlockEvents, begins
from serving.dialects.server_sent import event
from serving.request.option_headers import with_header_options
from serving.request.protocol import ChatRequest, checked
from serving.scorers.scored_request import ScoredRequest

LAST = frozenset({"message_delta", "message_stop"})


class MessagesDialect:
    """Implements `serving.dialects.dialect.Dialect`. `anthropic-version` is not needed: there is one version of the schema here."""

    name = "messages"
    path = "/v1/messages"

    def authorization(self, headers: Headers) -> str | None:
        """The vendor's clients send a key as `x-api-key`, or as a bearer's."""
        key = headers.get("x-api-key")
        return headers.get("authorization") or (None if key is None else f"Bearer {key}")

    async def read(self, arrived: Arrived) -> "MessagesAsked":
        """The request as a chat completion request."""
        body, written = parse(MessagesRequest, arrived.content)
        chat = with_header_options(as_chat(body), arrived.headers)
        native = NativeMessages(passed_on(written), betas_of(arrived.headers))
        return MessagesAsked(checked(ChatRequest, chat), chat, native, tuple(body.stop_sequences or ()))

    def error(self, error: Exception, headers: Mapping[str, str] | None = None) -> Response:
        """In the vendor's schema."""
        return messages_errors.response(error, headers)

    def error_event(self, error: Exception) -> bytes:
        """In the vendor's schema."""
        return event(messages_errors.body(error, ""), "error")


@dataclass(frozen=True, slots=True)
class MessagesAsked:
    """Implements `serving.dialects.dialect.Asked`. stops: the caller's stop sequences."""

    chat: ChatRequest
    written: Mapping[str, Any]
    native: NativeMessages
    stops: tuple[str, ...]

    def answer(self, decision_id: str, created: int, scored: ScoredRequest | None) -> "MessagesAnswer":
        """A message."""
        facts = Completion(decision_id, self.chat.model, created, scored, self.chat.routemoa.explain)
        return MessagesAnswer(decision_id, self.chat.model, self.stops, facts)


@dataclass(frozen=True, slots=True)
class MessagesAnswer:
    """Implements `serving.dialects.dialect.Answer`."""

    decision_id: str
    model: str
    stops: tuple[str, ...]
    completion: Completion

    @property
    def headers(self) -> Mapping[str, str]:
        """The vendor's clients show it where something is wrong."""
        return {"request-id": self.decision_id}

    def whole(self, decision: Decision) -> Mapping[str, Any]:
        """A message, our facts beside it; the endpoint's own where it was passed on, with our facts for those who want an explanation."""
        native = decision.reply.native if decision.reply is not None else None
        if native is not None:
            facts = self.facts_of_passed_on(decision)
            return native if facts is None else {**native, "routemoa": facts}
        message = messages_reply.whole(decision, self.decision_id, self.model, self.stops)
        return {**message, "routemoa": self.completion.facts(decision)}

    def stream(self) -> "MessagesEvents":
        """Events of one."""
        return MessagesEvents(self)

    def facts_of_passed_on(self, decision: Decision) -> Mapping[str, Any] | None:
        """What is added to a message that is not ours: nothing, unless the caller asks for it."""
        return self.completion.facts(decision) if self.completion.explain else None

    async def keep(self, decision: Decision) -> None:
        """Nothing: each request brings its whole conversation."""


@dataclass(slots=True)
class MessagesEvents:
    """Implements `serving.dialects.dialect.AnswerEvents`. It ends in `message_stop` only when it is complete."""

    answer: MessagesAnswer
    _blocks: BlockEvents = field(default_factory=BlockEvents)
    _begun: bool = False
    _held_back: list[Event] = field(default_factory=list)  # of a stream that is passed on: those that say it is complete

    def chunk(self, chunk: Chunk) -> Sequence[bytes]:
        """The events of its blocks; the event itself where the endpoint speaks this dialect."""
        if chunk.native is not None:
            self._begun = True
            if chunk.native.tree.get("type") in LAST:
                self._held_back.append(chunk.native)
                return ()
            return (event(chunk.native.tree, chunk.native.name),)
        return [*self._begin(), *map(_event, self._blocks.take(chunk))]

    def end(self, decision: Decision) -> Sequence[bytes]:
        """What waited, why the answer stopped, and what all of it used; our facts are beside that."""
        if self._held_back:
            return [event(self._with_facts(each.tree, decision), each.name) for each in self._held_back]
        events = [*self._begin(), *map(_event, self._blocks.rest())]
        stopped = messages_reply.stopped(decision, self._blocks.shown, self.answer.stops)
        told = {"usage": messages_reply.usage(decision), "routemoa": self.answer.completion.facts(decision)}
        return [*events, _event({"type": "message_delta", "delta": stopped, **told}), _event({"type": "message_stop"})]

    def failed(self, error: Exception) -> Sequence[bytes]:
        """An error event, and no message_stop."""
        return (event(messages_errors.body(error, self.answer.decision_id), "error"),)

    def _with_facts(self, tree: Mapping[str, Any], decision: Decision) -> Mapping[str, Any]:
        facts = self.answer.facts_of_passed_on(decision) if tree.get("type") == "message_delta" else None
        return tree if facts is None else {**tree, "routemoa": facts}

    def _begin(self) -> Sequence[bytes]:
        if self._begun:
            return ()
        self._begun = True
        return (_event(begins(self.answer.decision_id, self.answer.model)),)


def _event(content: Mapping[str, Any]) -> bytes:
    return event(content, content["type"])
