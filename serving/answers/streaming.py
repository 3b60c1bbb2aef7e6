"""An answer as server-sent events. It ends as a complete one only when it is complete and its record is durable, else in an error event."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping

import structlog
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from mixture.client.protocol import Chunk
from scorer.errors import RouteMoAError
from serving.answers import answer_headers
from serving.answers.answer_stream import AnswerStream
from serving.answers.recording import ServedRequest
from serving.dialects.dialect import Answer
from serving.errors import row_of
from serving.request.body import unless_disconnected
from serving.state import State

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy that buffers would make a stream no stream
log = structlog.get_logger("serving")


async def streamed(request: Request, served: ServedRequest, written: Answer) -> StreamingResponse:
    """The response once the first chunk is there: up to then a failure still has its HTTP status."""
    answer = AnswerStream(served.answer)
    try:
        first = await unless_disconnected(request, anext(answer, None))
    except BaseException:
        answer.cancel()
        raise
    named = served.chat.model if served.scored is None else None
    headers = {**HEADERS, **written.headers, **answer_headers.at_the_start(served.decision_id, served.scored, named)}
    return AnswerResponse(_events(first, answer, served, written), answer, headers, lambda: served.tab.close_later(served.account))


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


async def _events(first: Chunk | None, answer: AnswerStream, served: ServedRequest, written: Answer) -> AsyncGenerator[bytes, None]:
    state, settled, events = served.state, False, written.stream()
    chunk = first
    try:
        while chunk is not None:
            for each in events.chunk(chunk):
                yield each
            chunk = await anext(answer, None)
        decision = await answer.decision()
        settled = True  # a record that cannot be kept is told by itself
        await served.keep(decision)
        await written.keep(decision)
        for each in events.end(decision):
            yield each
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
        for each in events.failed(exc):
            yield each


def _later(state: State, served: ServedRequest, error: BaseException) -> None:
    """Keeps the failure in a task of its own: the caller's is being cancelled."""
    task = asyncio.get_running_loop().create_task(served.keep_failure(error))
    state.background.add(task)
    task.add_done_callback(state.background.discard)
