"""Secrets planted wherever a request or this host has a place for one, then looked for: `python -m benchmarks.planted_secrets`.

A request holds fifteen of them (prompt, system text, tools, tool calls and results, headers, query string, user, metadata, image ...), the
server's environment two: the key of the LLMs, and a variable that nobody names. The endpoint answers, refuses, breaks and lies, and most of
that repeats the whole request with its key. Looked through: every file under var/, the log, /metrics, the console's events, and what
callers got. A caller's own words may be in an answer; our keys may be nowhere. Traces do not exist yet. A second round stores texts: there
only what `monitoring.records.redaction` takes out is a secret. Exit code 1 where one is found.
"""

import asyncio
import base64
import contextlib
import json
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.counts import conclude, parser
from benchmarks.raw_http import CHAT, Answer, connected
from benchmarks.server_world import Server, project, serving, write_pool

VARIABLE, UNNAMED = "ROUTEMOA_BENCHMARK_LLM_KEY", "ROUTEMOA_BENCHMARK_UNNAMED"
OURS = ("key of the LLMs", "variable that nobody names", "API key")
ENDINGS = {
    "answers": "200 OK",
    "answers-no-json": "200 OK",
    "error-in-200": "200 OK",
    "error-in-a-stream": "200 OK",
    "400": "400 Bad Request",
    "401": "401 Unauthorized",
    "404": "404 Not Found",
    "429": "429 Too Many Requests",
    "500": "500 Internal Server Error",
    "closes": "",
}
POOL: Mapping[str, Any] = {"api_key_env": VARIABLE, "capabilities": ["tools", "json", "vision"]}
FOLLOWED_S = 3.0  # within which the server has read a changed pool file
MODELS = ("one", "routemoa-single", "routemoa", "routemoa-layers")


def planted(api_key: str) -> dict[str, str]:
    """Where -> the secret that is planted there."""
    places = (
        "prompt", "system text", "assistant text", "tool", "call of a tool", "result of a tool", "name of a speaker", "header", "cookie",
        "query string", "user", "metadata", "stop", "unknown field", "image",
    )  # fmt: skip
    made = {place: f"SEKRET{secrets.token_hex(8)}" for place in places}
    return made | {OURS[0]: f"sk-{secrets.token_hex(20)}", OURS[1]: f"SEKRET{secrets.token_hex(8)}", OURS[2]: api_key}


def request(secret: Mapping[str, str], model: str, ending: str, *, stream: bool) -> bytes:
    """A request that holds them; its endpoint will end as it says."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": json.dumps({"q": secret["call of a tool"]})}}
    tool = {"type": "function", "function": {"name": "f", "description": secret["tool"], "parameters": {"type": "object"}}}
    image = base64.b64encode(secret["image"].encode()).decode()
    parts = [{"type": "text", "text": f"ending: {ending} {secret['prompt']}"}]
    messages = [
        {"role": "system", "content": secret["system text"]},
        {"role": "user", "content": "what is it ?", "name": secret["name of a speaker"]},
        {"role": "assistant", "content": secret["assistant text"], "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": secret["result of a tool"]},
        {"role": "user", "content": [*parts, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}]},
    ]
    fields = {"user": secret["user"], "metadata": {"a": secret["metadata"]}, "stop": [secret["stop"]], "unheard": secret["unknown field"]}
    return json.dumps({"model": model, "stream": stream, "messages": messages, "tools": [tool], **fields}).encode()


async def _upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ends as the request says, and repeats all of it."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        body = (await reader.readexactly(int(head.lower().partition("content-length:")[2].partition("\r\n")[0]))).decode()
        ending = body.partition("ending: ")[2].partition(" ")[0]
        error = json.dumps({"error": {"message": f"cannot read {head} {body}", "code": "x", "param": body[:200]}})
        message = {"role": "assistant", "content": "It is 3."}
        answer = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        content = {"answers": answer, "answers-no-json": head + body}.get(ending, error)
        if ending == "error-in-a-stream":
            piece = json.dumps({"choices": [{"index": 0, "delta": {"content": "It "}}]})
            writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {piece}\n\ndata: {error}\n\n".encode())
        elif ENDINGS[ending]:
            status = f"HTTP/1.1 {ENDINGS[ending]}\r\ncontent-type: application/json\r\ncontent-length: {len(content.encode())}\r\n\r\n"
            writer.write((status + content).encode())
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def _server(secret: dict[str, str], **environment: str) -> AsyncGenerator[tuple[Server, str]]:
    """A ready server whose LLMs want a key, and the address they are at. `secret` gets the API key."""
    with tempfile.TemporaryDirectory() as folder:
        async with await asyncio.start_server(_upstream, "127.0.0.1", 0, limit=2**26) as behind:
            base_url = f"http://127.0.0.1:{behind.sockets[0].getsockname()[1]}"
            key = project(Path(folder) / "project", base_url, **POOL)
            secret |= planted(key)
            own = {VARIABLE: secret[OURS[0]], UNNAMED: secret[OURS[1]], **environment}
            with serving(Path(folder) / "project", key, **own) as server:
                await server.ready()
                yield server, base_url


async def without_texts() -> dict[str, Any]:
    """What was found where, as this server is unless an operator says otherwise."""
    secret: dict[str, str] = {}
    answers: list[Answer] = []
    async with _server(secret) as (server, base_url):
        for ending, model, stream in product(ENDINGS, MODELS, (False, True)):
            if (model, stream) == (MODELS[0], False):  # each ending at an address of its own: no breaker is open yet
                write_pool(server.home, f"{base_url}/{ending}", **POOL)
                await asyncio.sleep(FOLLOWED_S)
            answers.append(await _ask(server, secret, request(secret, model, ending, stream=stream)))
        answers += [await _ask(server, secret, request(secret, secret["prompt"], "answers", stream=False))]  # no such model
        answers += [await _ask(server, secret, request(secret, "one", "answers", stream=False)[:-1])]  # no JSON
        answers += [await _ask(server, secret, _admin(secret), "/admin/llms")]
        told = b"".join([(await server.get(path)).content for path in ("/metrics", "/admin/scorer", "/admin/llms", "/v1/models")])
        kept = b"".join([(await server.get(f"/v1/decisions/{each.headers.get('x-routemoa-decision')}")).content for each in answers])
        server.stop()
        places = {"log": server.log.read_bytes(), "files of var/": _files(server), "figures and events": told, "records as read": kept}
    found = {f"{name} in {place}": 1 for name, value in secret.items() for place, content in places.items() if value.encode() in content}
    got = b"".join(str(each.headers).encode() + each.content for each in answers)
    found |= {f"{name} in answers": got.count(secret[name].encode()) for name in OURS if secret[name].encode() in got}
    return {
        "requests": len(answers),
        "statuses": dict(sorted(Counter(str(each.status) for each in answers).items())),
        "secrets": len(secret),
        "found": found or "none",
    }


async def with_texts() -> dict[str, Any]:
    """What redaction should have taken out of stored texts, and did not."""
    secret: dict[str, str] = {}
    plain = {
        "mail": "anna.b@example.org",
        "key": f"sk-{secrets.token_hex(20)}",
        "telephone": "+49 30 1234567",
        "card": "4111 1111 1111 1111",
    }
    async with _server(secret, ROUTEMOA_STORE_TEXT="true") as (server, _):
        text = "what is the sum ? " + ", ".join(plain.values())
        kept = 0
        for model in MODELS:
            for ending in ("answers", "400", "500"):
                body = {"model": model, "messages": [{"role": "user", "content": f"ending: {ending} {text}"}]}
                answer = await _ask(server, secret, json.dumps(body).encode())
                report = {"decision_id": answer.headers["x-routemoa-decision"], "score": 1, "grader": "exact", "reference": text}
                kept += (await _ask(server, secret, json.dumps(report).encode(), "/v1/feedback")).status == 200
        server.stop()
        content = _files(server) + server.log.read_bytes()
    found = [name for name, value in [*plain.items(), *((name, secret[name]) for name in OURS)] if value.encode() in content]
    return {"references reported": kept, "secrets": len(plain) + len(OURS), "found": found or "none"}


async def _ask(server: Server, secret: Mapping[str, str], body: bytes, path: str = CHAT) -> Answer:
    further = f"x-secret: {secret['header']}\r\ncookie: session={secret['cookie']}\r\n"
    async with connected(server.port, server.key) as connection:
        return await connection.ask(body, f"{path}?secret={secret['query string']}", further=further)


def _admin(secret: Mapping[str, str]) -> bytes:
    """Names the variable that nobody named, and an address that nobody allowed."""
    endpoint = {"base_url": "http://127.0.0.1:9/v1", "served_name": "x", "api_key_env": UNNAMED}
    return json.dumps({"id": "five", "name": secret["prompt"], "endpoint": endpoint, "price": {"input": 1, "output": 1}}).encode()


def _files(server: Server) -> bytes:
    return b"".join(path.read_bytes() for path in (server.home / "var").rglob("*") if path.is_file())


async def run() -> dict[str, Any]:
    """Both rounds."""
    return {"texts are not stored": await without_texts(), "texts are stored": await with_texts()}


def main() -> int:
    """The exit code."""
    arguments = parser(__doc__).parse_args()
    found = asyncio.run(run())
    return conclude(found, arguments.out, wrong=sum(each["found"] != "none" for each in found.values()))


if __name__ == "__main__":
    sys.exit(main())
