"""An endpoint that thinks, calls tools and bills caches, in the chat dialect and in Anthropic's; it writes down what it was sent and used.

On a user's words it thinks and calls the first tool; on a tool's result, or without tools, it answers. Thoughts are signed, and it refuses
signatures that are not its own.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

THOUGHT, CACHED, WRITTEN = "let me see", 0.6, 0.1  # shares of a prompt that a cache had, and took


@dataclass
class Upstream:
    """bodies, headers, used: of every request, in order. used: input, cache_read, cache_write, output tokens, by model."""

    base_url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    used: list[tuple[str, dict[str, int]]] = field(default_factory=list)

    def take(self, request: Request, body: dict[str, Any], said: str) -> dict[str, int]:
        """Notes a request; what it uses."""
        total = len(json.dumps(body["messages"])) // 3 + 7
        used = {"input": total, "cache_read": int(total * CACHED), "cache_write": int(total * WRITTEN), "output": len(said) // 2 + 11}
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.used.append((body["model"], used))
        return used

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        last = body["messages"][-1]
        for message in body["messages"]:
            for block in message.get("thinking_blocks") or ():
                if block["signature"] != f"signed by {body['model']}":
                    return JSONResponse({"error": {"message": "not my signature", "type": "invalid_request_error"}}, status_code=400)
        message: dict[str, Any] = {"role": "assistant", "content": f"{body['model']}: {json.dumps(last['content'])[:200]}"}
        if body.get("tools") and last["role"] == "user":
            function = {"name": body["tools"][0]["function"]["name"], "arguments": json.dumps({"turn": len(body["messages"])})}
            call = {"id": f"call_{len(body['messages'])}", "type": "function", "function": function}
            message |= {"content": "I look.", "tool_calls": [call]}
        signed = [{"type": "thinking", "thinking": THOUGHT, "signature": f"signed by {body['model']}"}]
        message |= {"reasoning_content": THOUGHT, "thinking_blocks": signed}
        used = self.take(request, body, json.dumps(message))
        usage = {
            "prompt_tokens": used["input"],
            "completion_tokens": used["output"],
            "total_tokens": used["input"] + used["output"],
            "prompt_tokens_details": {"cached_tokens": used["cache_read"], "cache_write_tokens": used["cache_write"]},
            "completion_tokens_details": {"reasoning_tokens": 4},
        }
        finish = "tool_calls" if "tool_calls" in message else "stop"
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": finish}
            return JSONResponse({"id": "up", "object": "chat.completion", "choices": [choice], "usage": usage})
        deltas = [{"reasoning_content": THOUGHT[:4]}, {"reasoning_content": THOUGHT[4:], "thinking_blocks": signed}]
        deltas += [{"content": word} for word in message["content"].split("\n")]
        for call in message.get("tool_calls", ()):
            deltas.append({"tool_calls": [{"index": 0, **call, "function": {**call["function"], "arguments": ""}}]})
            deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in call["function"]["arguments"]]
        events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        events += [{"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, {"choices": [], "usage": usage}]
        lines = [f"data: {json.dumps({'id': 'up', 'object': 'chat.completion.chunk', **each})}\n\n" for each in events]
        return StreamingResponse(iter([*lines, "data: [DONE]\n\n"]), media_type="text/event-stream")

    async def messages(self, request: Request) -> Response:
        body = await request.json()
        if request.headers.get("anthropic-version") is None:
            return JSONResponse({"type": "error", "error": {"type": "invalid_request_error", "message": "version"}}, status_code=400)
        content = [block for each in body["messages"] if isinstance(each["content"], list) for block in each["content"]]
        if any(block.get("signature", "signed natively") != "signed natively" for block in content):
            return JSONResponse({"type": "error", "error": {"type": "invalid_request_error", "message": "not mine"}}, status_code=400)
        last = body["messages"][-1]["content"]
        is_result = isinstance(last, list) and any(block["type"] == "tool_result" for block in last)
        blocks: list[dict[str, Any]] = [{"type": "thinking", "thinking": THOUGHT, "signature": "signed natively"}]
        blocks.append({"type": "text", "text": f"native {body['model']}: {json.dumps(last)[:200]}"})
        if body.get("tools") and not is_result:
            blocks.append({"type": "tool_use", "id": f"toolu_{len(body['messages'])}", "name": body["tools"][0]["name"], "input": {"a": 1}})
        used = self.take(request, body, json.dumps(blocks))
        usage = {
            "input_tokens": used["input"] - used["cache_read"] - used["cache_write"],
            "cache_read_input_tokens": used["cache_read"],
            "cache_creation_input_tokens": used["cache_write"],
            "output_tokens": used["output"],
        }
        head = {"id": "msg_native", "type": "message", "role": "assistant", "model": body["model"], "stop_sequence": None}
        reason = "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"
        if not body.get("stream"):
            return JSONResponse({**head, "content": blocks, "stop_reason": reason, "usage": usage})
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": {**head, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}},
            {"type": "ping"},
        ]
        for at, block in enumerate(blocks):
            begun = {name: "" if name in {"text", "thinking", "signature"} else value for name, value in block.items()}
            events.append(
                {"type": "content_block_start", "index": at, "content_block": begun | ({"input": {}} if "input" in begun else {})}
            )
            deltas = {
                "text": [{"type": "text_delta", "text": block.get("text")}],
                "tool_use": [{"type": "input_json_delta", "partial_json": piece} for piece in json.dumps(block.get("input"))],
                "thinking": [
                    {"type": "thinking_delta", "thinking": THOUGHT},
                    {"type": "signature_delta", "signature": block.get("signature")},
                ],
            }[block["type"]]
            events += [{"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": at})
        events.append(
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": used["output"]}}
        )
        events.append({"type": "message_stop"})
        lines = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events]
        return StreamingResponse(iter(lines), media_type="text/event-stream")

    async def count(self, request: Request) -> Response:
        body = await request.json()
        if "broken" in str(body["messages"]):
            return JSONResponse({"type": "error", "error": {"type": "api_error", "message": "no"}}, status_code=500)
        self.bodies.append(body)
        return JSONResponse({"input_tokens": 4321})


@contextlib.contextmanager
def running() -> Iterator[Upstream]:
    """The endpoint, while it runs."""
    upstream = Upstream()
    routes = [
        Route("/v1/chat/completions", upstream.chat, methods=["POST"]),
        Route("/v1/messages", upstream.messages, methods=["POST"]),
        Route("/v1/messages/count_tokens", upstream.count, methods=["POST"]),
    ]
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        upstream.base_url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        yield upstream
        server.should_exit = True
        thread.join(5)
