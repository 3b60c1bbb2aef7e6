"""The bodies of endpoints' answers, read up to a bound: whole ones, and event streams."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx2

from mixture.client import failures, wire
from mixture.client.native import Event
from mixture.errors import LLMGarbled
from mixture.llm import LLM

MOST_BYTES = 16 * 2**20  # of a reply or an event: ten thousand tokens with twenty alternatives each
MOST_ERROR_BYTES = 2**16
DONE = "[done]"
KINDS = frozenset({"application/json", "text/event-stream", "text/html", "text/plain"})  # any other header may hold anything


async def whole(llm: LLM, response: httpx2.Response) -> Any:
    """The JSON of a complete reply. Raises LLMFailed where it is none, is too long, or the status is an error."""
    await raise_refusal(llm, response)
    content = await _read(response, MOST_BYTES)
    if len(content) > MOST_BYTES:
        raise failures.garbled(llm, f"the reply is longer than {MOST_BYTES:,} bytes.")
    return wire.tree(llm, content, _kind(response) if _kind(response) in KINDS else "")


async def events(llm: LLM, response: httpx2.Response) -> AsyncGenerator[Event | None]:
    """The events of a stream that hold something, None at the mark by which an endpoint says that it is complete.

    An endpoint that knows no streams sends one whole reply. Raises LLMFailed as `whole` does.
    """
    await raise_refusal(llm, response)
    if _kind(response) == "application/json":
        yield Event("", await whole(llm, response))
        yield None
        return
    response.headers["content-type"] = "text/event-stream"  # and so UTF-8, whatever the endpoint calls it
    async for event in httpx2.EventSource(response, max_event_size=MOST_BYTES):
        data = event.data.strip()
        if data.lower() == DONE:
            yield None
            return
        for tree in _trees(llm, data):
            yield Event(event.event, tree)


async def raise_refusal(llm: LLM, response: httpx2.Response) -> None:
    """Raises the error that a status other than 2xx is."""
    if not response.is_success:
        content = (await _read(response, MOST_ERROR_BYTES))[:MOST_ERROR_BYTES]
        raise failures.of_status(llm, response.status_code, content, response.headers.get("retry-after"))


def _trees(llm: LLM, data: str) -> list[Any]:
    """The JSON of an event, none where it has no data; some endpoints send several in one event, a line each."""
    if not data:
        return []
    try:
        return [wire.tree(llm, data.encode())]
    except LLMGarbled:
        lines = data.splitlines()
        if len(lines) < 2:
            raise
        return [wire.tree(llm, line.encode()) for line in lines if line.strip()]


async def _read(response: httpx2.Response, most: int) -> bytes:
    """The body, or somewhat more than its first `most` bytes."""
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > most:
            break
    return bytes(content)


def _kind(response: httpx2.Response) -> str:
    kind: str = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind
