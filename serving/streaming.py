"""An answer as server-sent events. It ends in `[DONE]` only when it is complete and its record is durable, else in an error event."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import StreamingResponse

from mixture.decision import Decision, Piece
from scorer.errors import RouteMoAError
from serving.body import unless_disconnected
from serving.completion import Completion
from serving.errors import body_of, row_of
from serving.recording import Served
from serving.state import State

DONE = b"data: [DONE]\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy that buffers would make a stream no stream
log = structlog.get_logger("serving")


async def streamed(request: Request, served: Served, completion: Completion) -> StreamingResponse:
    """The response once the first piece is there: up to then a failure still has its HTTP status."""
    pieces = served.course.stream()
    try:
        first = await unless_disconnected(request, anext(pieces))
    except BaseException:
        await pieces.aclose()
        raise
    headers = {**HEADERS, "x-routemoa-decision": served.decision_id}
    return StreamingResponse(_events(first, pieces, served, completion), media_type="text/event-stream", headers=headers)


async def _events(first: Piece, pieces: AsyncGenerator[Piece, None], served: Served, completion: Completion) -> AsyncGenerator[bytes, None]:
    state, settled = served.state, False
    try:
        async with aclosing(_chunks(first, pieces, completion)) as chunks:
            async for chunk in chunks:
                if not isinstance(chunk, Ended):
                    yield event(chunk)
                    continue
                await served.keep(chunk.decision)
                settled = True
                yield event(completion.last(chunk.decision, chunk.held))
                if served.chat.include_usage:
                    yield event(completion.usage_chunk(chunk.decision))
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
        yield event(body_of(exc))


class Ended:
    """What follows the last chunk: the decision, and the endpoint's chunk with the finish reason, held back until then."""

    def __init__(self, decision: Decision, held: Mapping[str, Any] | None) -> None:
        self.decision, self.held = decision, held


async def _chunks(
    first: Piece, pieces: AsyncGenerator[Piece, None], completion: Completion
) -> AsyncGenerator[Mapping[str, Any] | Ended, None]:
    """Chunks as they come; those that say an answer is finished wait for its decision."""
    held: list[dict[str, Any]] = []
    piece, is_first = first, True
    async with aclosing(pieces):
        while True:
            chunk = completion.piece(piece, first=is_first)
            if chunk is not None:
                is_first = False
                if any(choice.get("finish_reason") for choice in chunk["choices"]):
                    held.append(chunk)
                else:
                    yield chunk
            if piece.decision is not None:
                for each in held[:-1]:  # n > 1: each choice ends by itself
                    yield each
                yield Ended(piece.decision, held[-1] if held else None)
                return
            piece = await anext(pieces)


def event(content: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n\n"


def _later(state: State, served: Served, error: BaseException) -> None:
    """Keeps the failure in a task of its own: the caller's is being cancelled."""
    task = asyncio.get_running_loop().create_task(served.keep_failure(error))
    state.background.add(task)
    task.add_done_callback(state.background.discard)
