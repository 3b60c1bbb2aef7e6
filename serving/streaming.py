"""An answer as server-sent events. It ends in `[DONE]` only when it is complete and its record is durable, else in an error event."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from typing import Any

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from mixture.client.protocol import Chunk
from scorer.errors import RouteMoAError
from serving.answer_stream import AnswerStream
from serving.body import unless_disconnected
from serving.completion import Completion
from serving.errors import row_of
from serving.recording import ServedRequest
from serving.responses import error_body
from serving.state import State

DONE = b"data: [DONE]\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy that buffers would make a stream no stream
log = structlog.get_logger("serving")


async def streamed(request: Request, served: ServedRequest, completion: Completion) -> StreamingResponse:
    """The response once the first chunk is there: up to then a failure still has its HTTP status."""
    answer = AnswerStream(served.answer)
    try:
        first = await unless_disconnected(request, anext(answer, None))
    except BaseException:
        answer.cancel()
        raise
    headers = {**HEADERS, "x-routemoa-decision": served.decision_id}
    return AnswerResponse(_events(first, answer, served, completion), answer, headers, lambda: served.tab.close_later(served.account))


class AnswerResponse(StreamingResponse):
    """Server-sent events; the work on the answer ends with it, also where the caller leaves before its first byte. ended: called then."""

    def __init__(
        self, events: AsyncIterable[bytes], answer: AnswerStream, headers: Mapping[str, str], ended: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._answer, self._ended = answer, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._answer.cancel()
            self._ended()


async def _events(first: Chunk | None, answer: AnswerStream, served: ServedRequest, completion: Completion) -> AsyncGenerator[bytes, None]:
    state, settled = served.state, False
    endings: list[dict[str, Any]] = []  # chunks that say an answer is finished wait for its decision
    try:
        async for chunk in _chunks(first, answer, completion):
            if any(choice.get("finish_reason") for choice in chunk["choices"]):
                endings.append(chunk)
            else:
                yield event(chunk)
        decision = await answer.decision()
        for each in endings[:-1]:  # n > 1: each choice ends by itself
            yield event(each)
        settled = True  # a record that cannot be kept is told by itself
        await served.keep(decision)
        yield event(completion.last(decision, endings[-1] if endings else None))
        if served.chat.include_usage:
            yield event(completion.usage_chunk(decision))
        yield DONE
    except (asyncio.CancelledError, GeneratorExit) as exc:  # the caller hung up, or the server stops
        if not settled:
            _later(state, served, exc)
        raise
    except Exception as exc:
        if not isinstance(exc, RouteMoAError):
            log.exception("a stream failed")
        state.metrics.errors.labels(row_of(exc).code).inc()
        if not settled:
            await served.keep_failure(exc)
        yield event(error_body(exc))


async def _chunks(first: Chunk | None, answer: AnswerStream, completion: Completion) -> AsyncGenerator[dict[str, Any], None]:
    """What there is to see, as it comes."""
    chunk, is_first = first, True
    while chunk is not None:
        visible = completion.chunk(chunk, first=is_first)
        if visible is not None:
            is_first = False
            yield visible
        chunk = await anext(answer, None)


def event(content: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n\n"


def _later(state: State, served: ServedRequest, error: BaseException) -> None:
    """Keeps the failure in a task of its own: the caller's is being cancelled."""
    task = asyncio.get_running_loop().create_task(served.keep_failure(error))
    state.background.add(task)
    task.add_done_callback(state.background.discard)
