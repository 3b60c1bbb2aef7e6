"""A real HTTP server, a few lines long, that answers exactly what a test tells it to, byte by byte."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mixture.llm import LLM, Decoding, Endpoint, Limits, Prompt
from mixture.price import Price


@dataclass
class Asked:
    """What the server was sent: in `bodies` and `headers`, one per request; `hung_up` counts connections the client closed early."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hung_up: int = 0
    running: int = 0
    most_at_once: int = 0
    url: str = ""


Handler = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Asked]:
    """A server whose `handler` is called with the connection and the request's number, from 0."""
    asked = Asked()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
                headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
                asked.headers.append(dict(line.split(": ", 1) for line in head[1:] if line))
                asked.bodies.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
                asked.running += 1
                asked.most_at_once = max(asked.most_at_once, asked.running)
                try:
                    await handler(writer, len(asked.bodies) - 1)
                    await writer.drain()
                finally:
                    asked.running -= 1
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client is done, or the test is
        except (ConnectionError, BrokenPipeError):
            asked.hung_up += 1
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    asked.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield asked
    finally:
        server.close()


def response(content: bytes | dict[str, Any], status: int = 200, kind: str = "application/json", **more: str) -> bytes:
    """One complete HTTP response."""
    body = json.dumps(content).encode() if isinstance(content, dict) else content
    lines = [f"HTTP/1.1 {status} Status", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def completion(text: str = "Paris", usage: dict[str, int] | None = None, **choice: Any) -> dict[str, Any]:
    """A chat completion as the protocol wants it."""
    return {
        "id": "c-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **choice}],
        "usage": usage or {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def event(content: dict[str, Any] | str) -> bytes:
    """One event of a stream."""
    return f"data: {content if isinstance(content, str) else json.dumps(content)}\n\n".encode()


def delta(text: str | None = None, finish_reason: str | None = None, index: int = 0, **more: Any) -> bytes:
    """One chunk of a streamed completion."""
    choice = {"index": index, "delta": {"content": text} if text is not None else {}, "finish_reason": finish_reason} | more
    return event({"id": "c-1", "object": "chat.completion.chunk", "choices": [choice]})


def usage(input_tokens: int, output_tokens: int) -> bytes:
    """The chunk that `include_usage` asks for: no choices, only counts."""
    return event({"id": "c-1", "choices": [], "usage": {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}})


def llm(url: str, *, api_key_env: str | None = None, llm_id: str = "tested", **limits: float) -> LLM:
    """An LLM of the pool behind `url`."""
    return LLM(
        llm_id,
        "Tested",
        Price(input=1.0, output=10.0),
        Endpoint(url, "served", api_key_env),
        Prompt("Be brief.", ""),
        Decoding(temperature=0.5, max_tokens=7, seed=3),
        Limits(**{"concurrency": 2, "total_s": 5.0, **limits}),  # type: ignore[arg-type]
    )
