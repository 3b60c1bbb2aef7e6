"""An OpenAI-compatible endpoint that goes wrong on purpose, in the way that the served name asks for; real HTTP in a thread."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MOST_WORDS = 40
counts: Counter[str] = Counter()
traces: list[str] = []  # traceparent headers, as they came


async def complete(request: Request) -> Response:
    body = await request.json()
    how, prompt = body["model"].partition(".")[0], body["messages"][-1]["content"]
    counts[f"asked {how}"] += 1
    traces.extend(filter(None, [request.headers.get("traceparent")]))
    if how == "hang":
        await _hang(request)
    if how == "refuse":
        return JSONResponse({"error": {"message": "I do not take that.", "type": "invalid_request_error"}}, status_code=400)
    if how == "down":
        return JSONResponse({"error": {"message": "on fire"}}, status_code=500)
    if how == "garbled":
        return Response("<html>", media_type="text/html")
    if body.get("stream"):
        return StreamingResponse(_stream(request, how, prompt), media_type="text/event-stream")
    if how == "slow":
        await asyncio.sleep(0.4)
    if how == "cut":
        return Response(b'{"choices": [', headers={"content-length": "500"}, media_type="application/json")
    return JSONResponse({"id": "up-1", "model": how, "system_fingerprint": "fp", **_message(how, prompt, body), "usage": _usage(how)})


def _message(how: str, prompt: Any, body: dict[str, Any]) -> dict[str, Any]:
    if body.get("tools"):
        call = {"id": "call-1", "type": "function", "function": {"name": body["tools"][0]["function"]["name"], "arguments": "{}"}}
        return {
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
            ]
        }
    text = "" if how == "empty" else f"{how} says: {_words(prompt)}"
    choices = [
        {"index": place, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for place in range(body.get("n") or 1)
    ]
    return {"choices": choices}


async def _stream(request: Request, how: str, prompt: Any) -> AsyncIterator[bytes]:
    counts[f"streams {how}"] += 1
    try:
        for place, word in enumerate([how, " says:", *(f" {word}" for word in _words(prompt).split())]):
            if place == 2 and how == "cut":
                return
            if place == 2 and how == "error-inside":
                yield _event({"error": {"message": "lost my mind", "code": 500}})
                return
            if how == "slow":
                await asyncio.sleep(0.05)
            yield _event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}]})
        yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        yield _event({"choices": [], "usage": _usage(how)})
        yield b"data: [DONE]\n\n"
        counts[f"finished {how}"] += 1
    finally:
        counts[f"left {how}"] += 1


async def _hang(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    counts["left hang"] += 1


def _words(prompt: Any) -> str:
    text = prompt if isinstance(prompt, str) else json.dumps(prompt)
    return " ".join(text.split()[:MOST_WORDS])


def _usage(how: str) -> dict[str, Any]:
    thought = {"completion_tokens_details": {"reasoning_tokens": 3}} if how == "thinks" else {}
    return {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, **thought}


def _event(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps({'id': 'up-1', 'object': 'chat.completion.chunk', 'model': 'x', **content})}\n\n".encode()


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Its base_url, while it runs."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        app = Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        server.should_exit = True
        thread.join(5)
