"""An OpenAI-compatible endpoint that caches prompts as vendors do, calls tools when asked to, and keeps what reached it; real HTTP.

The user's text says what happens: `tools: 3` calls a tool three times before it answers. A served name in `down` answers 500.
"""

import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

LEAST = 1024
KEPT_S = 300.0
_TOOLS = re.compile(r"tools: (\d+)")


def tokens_of(message: dict[str, Any]) -> int:
    """Of one message, by this endpoint's tokenizer."""
    return len(json.dumps(message)) // 4 + 1


@dataclass
class Upstream:
    """down: served names that fail. calls: (served name, seconds, messages, output tokens) of those that were answered."""

    base_url: str = ""
    down: set[str] = field(default_factory=set)
    calls: list[tuple[str, float, list[dict[str, Any]], int]] = field(default_factory=list)
    cached: dict[tuple[str, str], float] = field(default_factory=dict)

    async def complete(self, request: Request) -> Response:
        """One chat completion."""
        body = await request.json()
        name, messages = body["model"], body["messages"]
        if name in self.down:
            return JSONResponse({"error": {"message": "on fire"}}, status_code=500)
        message = self._message(body)
        usage = self._usage(name, messages, tokens_of(message))
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        if body.get("stream"):
            return StreamingResponse(_stream(message, finish, usage), media_type="text/event-stream")
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return JSONResponse({"id": "up", "object": "chat.completion", "model": name, "choices": [choice], "usage": usage})

    def _message(self, body: dict[str, Any]) -> dict[str, Any]:
        messages = body["messages"]
        last = max(at for at, each in enumerate(messages) if each["role"] == "user")
        wanted = _TOOLS.search(str(messages[last]["content"]))
        done = sum(each["role"] == "tool" for each in messages[last:])
        if body.get("tools") and wanted and done < int(wanted[1]):
            call = {"id": f"call-{len(messages)}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        return {"role": "assistant", "content": f"{body['model']} answers turn {len(messages)}"}

    def _usage(self, name: str, messages: list[dict[str, Any]], output: int) -> dict[str, Any]:
        now, sizes = time.time(), [tokens_of(each) for each in messages]
        warm = [at for at in range(1, len(messages) + 1) if self.cached.get((name, json.dumps(messages[:at])), 0.0) > now]
        read = sum(sizes[: max(warm, default=0)])
        read = read if read >= LEAST else 0
        self.cached[name, json.dumps(messages)] = now + KEPT_S
        self.calls.append((name, now, messages, output))
        details = {"cached_tokens": read, "cache_write_tokens": sum(sizes) - read if name.startswith("writes") else 0}
        return {
            "prompt_tokens": sum(sizes),
            "completion_tokens": output,
            "total_tokens": sum(sizes) + output,
            "prompt_tokens_details": details,
        }


async def _stream(message: dict[str, Any], finish: str, usage: dict[str, Any]) -> AsyncIterator[bytes]:
    calls = [{"index": at, **call} for at, call in enumerate(message.get("tool_calls") or ())]
    delta = {**message, **({"tool_calls": calls} if calls else {})}
    for choices, more in (
        ([{"index": 0, "delta": delta, "finish_reason": None}], {}),
        ([{"index": 0, "delta": {}, "finish_reason": finish}], {}),
        ([], {"usage": usage}),
    ):
        yield f"data: {json.dumps({'id': 'up', 'object': 'chat.completion.chunk', 'model': 'x', 'choices': choices, **more})}\n\n".encode()
        await asyncio.sleep(0)
    yield b"data: [DONE]\n\n"


@contextlib.contextmanager
def running() -> Iterator[Upstream]:
    """One, while it runs."""
    made = Upstream()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        app = Starlette(routes=[Route("/v1/chat/completions", made.complete, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        made.base_url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        yield made
        server.should_exit = True
        thread.join(5)
