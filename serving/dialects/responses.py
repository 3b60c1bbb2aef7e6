"""OpenAI's responses: requests read into chat completions, answers written as responses; passed on where an endpoint speaks them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response

from mixture.client.native import Native, usable
from mixture.client.native_responses import NativeResponses
from mixture.decision import Decision
from serving.dialects import responses_tools
from serving.dialects.completion import Completion
from serving.dialects.dialect import Arrived
from serving.dialects.responses_events import ResponsesEvents
from serving.dialects.responses_output import items_of
from serving.dialects.responses_request import ResponsesRequest
from serving.dialects.server_sent import event
from serving.errors import ResponsesUnavailable
from serving.json_answers import error_body, error_response
from serving.request.option_headers import with_header_options
from serving.request.protocol import ChatRequest, checked, json_object
from serving.scorers.scored_request import ScoredRequest
from serving.sessions.kept_responses import Kept, KeptResponses, Past

ECHOED = (
    "instructions", "max_output_tokens", "max_tool_calls", "metadata", "previous_response_id", "prompt_cache_key", "reasoning",
    "safety_identifier", "service_tier", "temperature", "text", "top_logprobs", "top_p", "truncation", "user",
)  # fmt: skip
log = structlog.get_logger("serving")


class ResponsesDialect:
    """Implements `serving.dialects.dialect.Dialect`."""

    name = "responses"
    path = "/v1/responses"

    def authorization(self, headers: Headers) -> str | None:
        """As it is."""
        return headers.get("authorization")

    async def read(self, arrived: Arrived) -> "ResponsesAsked":
        """The request. One that names an LLM whose endpoint speaks responses may hold more than others: it goes there as it is."""
        written = with_header_options(json_object(arrived.content), arrived.headers)
        asked = checked(ResponsesRequest, written)
        state, key = arrived.state, arrived.holder.id
        past = Past()
        if asked.previous_response_id is not None:
            past = await state.kept_responses.past(key, asked.previous_response_id)
        sent = {name: value for name, value in written.items() if name != "routemoa"}
        native = NativeResponses(sent, past.items, past.llm)
        named = next((llm for llm in state.llms.llms if llm.id == asked.model), None)
        lenient = named is not None and usable(native, named)
        chat, in_chat = asked.chat(written, past.items, lenient=lenient)
        return ResponsesAsked(chat, in_chat, native, asked, written, key, state.kept_responses)

    def error(self, error: Exception, headers: Mapping[str, str] | None = None) -> Response:
        """In OpenAI's schema."""
        return error_response(error, headers)

    def error_event(self, error: Exception) -> bytes:
        """As clients raise it."""
        said = error_body(error)["error"]
        return event({**said, "error": said, "type": "error", "sequence_number": 0}, "error")


@dataclass(frozen=True, slots=True)
class ResponsesAsked:
    """Implements `serving.dialects.dialect.Asked`. request, sent: as the caller wrote it. key: of the caller."""

    chat: ChatRequest
    written: Mapping[str, Any]
    native: Native
    request: ResponsesRequest
    sent: Mapping[str, Any]
    key: str
    kept: KeptResponses

    def answer(self, decision_id: str, created: int, scored: ScoredRequest | None) -> "ResponsesAnswer":
        """A response."""
        return ResponsesAnswer(self, Completion(decision_id, self.chat.model, created, scored, self.chat.routemoa.explain))


@dataclass(frozen=True, slots=True)
class ResponsesAnswer:
    """Implements `serving.dialects.dialect.Answer`. completion: knows our facts."""

    asked: ResponsesAsked
    completion: Completion

    @property
    def headers(self) -> Mapping[str, str]:
        """None of its own."""
        return {}

    def whole(self, decision: Decision) -> Mapping[str, Any]:
        """A response: the endpoint's own where it was passed on, with our facts for those who want an explanation."""
        native = decision.reply.native if decision.reply is not None else None
        if native is not None:
            facts = self._facts_of_passed_on(decision)
            return native if facts is None else {**native, "routemoa": facts}
        status = "incomplete" if decision.finish_reason in {"length", "content_filter"} else "completed"
        return self._envelope(status, self._output(decision), decision=decision)

    def stream(self) -> ResponsesEvents:
        """Its events."""
        return ResponsesEvents(self.completion.decision_id, self._envelope, self._free_form, self._facts_of_passed_on)

    async def keep(self, decision: Decision) -> None:
        """For requests that go on from it, unless the caller does not want that. One that cannot be kept is told when it is asked for."""
        request = self.asked.request
        if request.store is False:
            return
        native = decision.reply.native if decision.reply is not None else None
        response_id = self._id if native is None else str(native.get("id"))
        output: Sequence[Mapping[str, Any]] = self._output(decision) if native is None else native["output"]
        new = [{"role": "user", "content": request.input}] if isinstance(request.input, str) else request.input
        llm = None if native is None else decision.llm
        kept = Kept(response_id, request.previous_response_id, [*new, *output], llm)
        try:
            await self.asked.kept.keep(self.asked.key, kept)
        except ResponsesUnavailable as exc:
            with suppress(OSError):  # a full disk
                log.warning("a response was not kept", because=str(exc))

    @property
    def _id(self) -> str:
        return f"resp_{self.completion.decision_id}"

    @property
    def _free_form(self) -> frozenset[str]:
        return responses_tools.free_form(self.asked.request.tools or ())

    def _output(self, decision: Decision) -> list[dict[str, Any]]:
        status = "incomplete" if decision.finish_reason in {"length", "content_filter"} else "completed"
        items = items_of(decision, self.completion.decision_id, self._free_form)
        return [item.whole("completed" if item is not items[-1] else status) for item in items]

    def _facts_of_passed_on(self, decision: Decision) -> Mapping[str, Any] | None:
        """What is added to a response that is not ours: nothing, unless the caller asks for it."""
        return self.completion.facts(decision) if self.completion.explain else None

    def _envelope(
        self,
        status: str,
        output: Sequence[Mapping[str, Any]],
        decision: Decision | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The response around its output. decision: once it is there."""
        asked, sent = self.asked.request, self.asked.sent
        body: dict[str, Any] = {
            "id": self._id,
            "object": "response",
            "created_at": self.completion.created,
            "status": status,
            "error": error,
            "incomplete_details": None,
            "model": self.completion.model,
            "output": list(output),
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "tool_choice": asked.tool_choice or "auto",
            "tools": asked.tools or [],
            "store": asked.store is not False,
            "background": False,
            "usage": None,
            **{name: sent.get(name) for name in ECHOED},
        }
        body["text"] = body["text"] or {"format": {"type": "text"}}
        body["metadata"] = body["metadata"] or {}
        if decision is not None:
            if status == "incomplete":
                reason = "content_filter" if decision.finish_reason == "content_filter" else "max_output_tokens"
                body["incomplete_details"] = {"reason": reason}
            body |= {"usage": usage(decision), "routemoa": self.completion.facts(decision)}
        return body


def usage(decision: Decision) -> dict[str, Any]:
    """Tokens of everything that was run, with their parts."""
    runs = [run for layer in decision.layers for run in layer.runs] + ([decision.synthesis] if decision.synthesis else [])
    used = [run.usage for run in runs if run.usage is not None]
    return {
        "input_tokens": decision.input_tokens,
        "input_tokens_details": {
            "cached_tokens": sum(each.cache_read for each in used),
            "cache_write_tokens": sum(each.cache_write + each.cache_write_1h for each in used),
        },
        "output_tokens": decision.output_tokens,
        "output_tokens_details": {"reasoning_tokens": sum(each.reasoning for each in used)},
        "total_tokens": decision.input_tokens + decision.output_tokens,
    }
