"""A vendor that bills: real HTTP in a thread, chat completions and responses, tools, thinking, a cache; it writes down what it counted.

A word of the prompt is a token. What it read before, word for word from the beginning, it reads from its cache.
"""

import asyncio
import contextlib
import itertools
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

THOUGHT = "let me see"


@dataclass
class Vendor:
    """What it was sent, by dialect, and what it counted of each call: tokens read, of them cached, written, of them thought."""

    base_url: str = ""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    counted: list[tuple[str, int, int, int, int]] = field(default_factory=list)
    _read: dict[str, list[list[str]]] = field(default_factory=dict)
    _kept: dict[str, list[Any]] = field(default_factory=dict)

    def last(self, dialect: str) -> dict[str, Any]:
        """The last body in a dialect."""
        return next(body for spoken, body in reversed(self.asked) if spoken == dialect)

    def count(self, model: str, prompt: str, written: str, thought: str) -> tuple[int, int, int, int]:
        """The usage of one call, written down."""
        words = prompt.split()
        cached = max((_shared(words, before) for before in self._read.get(model, ())), default=0)
        self._read.setdefault(model, []).append(words)
        usage = (len(words), cached, len(written.split()) + len(thought.split()), len(thought.split()))
        self.counted.append((model, *usage))
        return usage

    async def chat(self, request: Request) -> Response:
        """A chat completion."""
        body = await request.json()
        self.asked.append(("chat", body))
        call, said, thought = _answer(body["messages"], body.get("tools"), body["model"])
        read, cached, written, thinking = self.count(
            body["model"], json.dumps(body["messages"]), json.dumps(call) if call else said, thought
        )
        usage = {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": thinking},
        }
        calls = [{"id": call["call_id"], "type": "function", "function": {k: call[k] for k in ("name", "arguments")}}] if call else []
        message = {"role": "assistant", "content": said or None, **({"tool_calls": calls} if calls else {})}
        message |= {"reasoning_content": thought} if thought else {}
        finish = "tool_calls" if calls else "stop"
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": finish}
            return JSONResponse({"id": "c-1", "object": "chat.completion", "model": "v", "choices": [choice], "usage": usage})
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"reasoning_content": each} for each in _pieces(thought)] + [{"content": each} for each in _pieces(said)]
        if call:
            head = {"index": 0, "id": call["call_id"], "type": "function", "function": {"name": call["name"], "arguments": ""}}
            pieces = [{"index": 0, "function": {"arguments": each}} for each in _pieces(call["arguments"])]
            deltas += [{"tool_calls": [each]} for each in (head, *pieces)]
        steps = [({"index": 0, "delta": each, "finish_reason": None},) for each in deltas]
        ends = [({"index": 0, "delta": {}, "finish_reason": finish},), ()]
        return _stream(
            [
                ("", {"id": "c-1", "object": "chat.completion.chunk", "choices": list(each), **({} if each else {"usage": usage})})
                for each in (*steps, *ends)
            ],
            done=True,
        )

    async def responses(self, request: Request) -> Response:
        """A response."""
        body = await request.json()
        self.asked.append(("responses", body))
        if body["model"] == "refusing":
            return JSONResponse({"error": {"message": "no", "type": "invalid_request_error", "param": "input", "code": "odd"}}, 400)
        new = [{"role": "user", "content": body["input"]}] if isinstance(body["input"], str) else body["input"]
        items = [*self._kept.get(body.get("previous_response_id"), []), *new]
        call, said, thought = _answer(_as_messages(items), body.get("tools"), body["model"])
        read, cached, written, thinking = self.count(
            body["model"], f"{body.get('instructions')} {json.dumps(items)}", json.dumps(call) if call else said, thought
        )
        output: list[dict[str, Any]] = []
        if thought:
            output.append({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "only-mine"})
        if call:
            output.append({"id": "fc_1", "type": "function_call", "status": "completed", **call})
        if said:
            part = {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
            output.append({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]})
        response = {
            "id": f"resp_vendor_{len(self.asked)}",
            "object": "response",
            "created_at": 1,
            "model": "v-2026",
            "status": "completed",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": body.get("tools") or [],
            "vendors_own": {"kept": True},
            "usage": {
                "input_tokens": read,
                "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
                "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": thinking},
                "total_tokens": read + written,
            },
        }
        if body.get("store") is not False:
            self._kept[response["id"]] = [*items, *output]
        if not body.get("stream"):
            return JSONResponse(response)
        events = _response_events(response, broken=body["model"] == "breaking")
        if body["model"] == "cutting":
            return _stream(events[:-1])
        if body["model"] == "stalling":
            return _stream(events[:-2], then=asyncio.sleep(30))
        return _stream(events)

    async def embeddings(self, request: Request) -> Response:
        """As many vectors as there are texts."""
        body = await request.json()
        self.asked.append(("embeddings", body))
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        read, *_ = self.count(body["model"], " ".join(map(str, texts)), "", "")
        data = [{"object": "embedding", "index": place, "embedding": [0.5, place]} for place in range(len(texts))]
        return JSONResponse({"object": "list", "model": "v", "data": data, "usage": {"prompt_tokens": read, "total_tokens": read}})

    async def completions(self, request: Request) -> Response:
        """The older protocol."""
        body = await request.json()
        self.asked.append(("completions", body))
        said = f"and {body['prompt']}"
        read, _, written, _ = self.count(body["model"], str(body["prompt"]), said, "")
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        head = {"id": "t-1", "object": "text_completion", "created": 1, "model": "v"}
        if not body.get("stream"):
            choices = [{"index": 0, "text": said, "finish_reason": "stop", "logprobs": None}]
            return JSONResponse({**head, "choices": choices, "usage": usage})
        steps = [{"index": 0, "text": piece, "finish_reason": None, "logprobs": None} for piece in _pieces(said)]
        ends = [{"index": 0, "text": "", "finish_reason": "stop", "logprobs": None}]
        told = [("", {**head, "choices": [each]}) for each in (*steps, *ends)]
        return _stream([*told, ("", {**head, "choices": [], "usage": usage})], done=True)


def _answer(messages: list[dict[str, Any]], tools: Any, model: str) -> tuple[dict[str, str] | None, str, str]:
    """A call of the first tool, once a turn of the user's; else words that repeat the last thing said, or shown by a tool."""
    last = messages[-1]
    thought = THOUGHT if model.startswith("thinker") else ""
    if tools and last["role"] == "user":
        turn = sum(message["role"] == "user" for message in messages)
        name = tools[0].get("name") or tools[0].get("function", {}).get("name") or "unnamed"
        return {"call_id": f"call_{turn}", "name": name, "arguments": json.dumps({"turn": turn})}, "", thought
    return None, f"seen: {str(last['content'])[-60:]}", thought


def _as_messages(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = [item for item in items if item.get("type") != "reasoning"]
    return [
        {
            "role": item.get("role") or ("tool" if item["type"].endswith("output") else "assistant"),
            "content": item.get("content") or item.get("output"),
        }
        for item in known
    ]


def _response_events(response: dict[str, Any], *, broken: bool) -> list[tuple[str, dict[str, Any]]]:
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    told: list[dict[str, Any]] = [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]
    for place, item in enumerate(response["output"]):
        where = {"output_index": place, "item_id": item["id"]}
        empty = {**item, **({"content": []} if "content" in item else {}), **({"arguments": ""} if "arguments" in item else {})}
        told.append({"type": "response.output_item.added", "output_index": place, "item": empty})
        for part in item.get("content", ()):
            told.append({"type": "response.content_part.added", **where, "content_index": 0, "part": {**part, "text": ""}})
            told += [
                {"type": "response.output_text.delta", **where, "content_index": 0, "delta": piece, "logprobs": []}
                for piece in _pieces(part["text"])
            ]
            told.append({"type": "response.output_text.done", **where, "content_index": 0, "text": part["text"], "logprobs": []})
            told.append({"type": "response.content_part.done", **where, "content_index": 0, "part": part})
        for piece in _pieces(item.get("arguments", "")):
            told.append({"type": "response.function_call_arguments.delta", **where, "delta": piece})
        if "arguments" in item:
            told.append({"type": "response.function_call_arguments.done", **where, "arguments": item["arguments"], "name": item["name"]})
        told.append({"type": "response.output_item.done", "output_index": place, "item": item})
    told.append({"type": "response.vendors_own", "what": "an event that nobody else knows"})
    if broken:
        error = {"code": "server_error", "message": "the vendor's fault"}
        told.append({"type": "response.failed", "response": {**response, "status": "failed", "error": error}})
    else:
        told.append({"type": "response.completed", "response": response})
    return [(str(each["type"]), {**each, "sequence_number": number}) for number, each in enumerate(told)]


def _pieces(text: str) -> list[str]:
    return [text[at : at + 5] for at in range(0, len(text), 5)]


def _stream(events: list[tuple[str, dict[str, Any]]], *, done: bool = False, then: Awaitable[None] | None = None) -> Response:
    async def sent() -> AsyncIterator[str]:
        for name, tree in events:
            yield (f"event: {name}\n" if name else "") + f"data: {json.dumps(tree)}\n\n"
        if then is not None:
            await then
        if done:
            yield "data: [DONE]\n\n"

    return StreamingResponse(sent(), media_type="text/event-stream")


def _shared(one: list[str], other: list[str]) -> int:
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


@contextlib.contextmanager
def running() -> Iterator[Vendor]:
    """The vendor, while it runs."""
    vendor = Vendor()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        routes = [
            Route("/v1/chat/completions", vendor.chat, methods=["POST"]),
            Route("/v1/responses", vendor.responses, methods=["POST"]),
            Route("/v1/embeddings", vendor.embeddings, methods=["POST"]),
            Route("/v1/completions", vendor.completions, methods=["POST"]),
        ]
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        vendor.base_url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        yield vendor
        server.should_exit = True
        thread.join(5)
