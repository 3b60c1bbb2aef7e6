"""The bytes of a request, up to the operator's limit, and work that ends with its caller."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from serving.errors import RequestTooLarge

T = TypeVar("T")


async def read(request: Request, most_bytes: int) -> bytes:
    """The body. Raises RequestTooLarge before more than `most_bytes` are held."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise _too_large(most_bytes)
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > most_bytes:
            raise _too_large(most_bytes)
    return bytes(content)


async def unless_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the caller hangs up. Raises ClientDisconnect."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _too_large(most_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body has more than {most_bytes} bytes.", next_step="Send less, or raise ROUTEMOA_MAX_REQUEST_BYTES.")
