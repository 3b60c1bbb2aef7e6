"""An OpenAI-compatible endpoint that goes wrong on purpose, byte by byte: what it sends is named in the prompt, `fault: NAME bad: all`."""

import asyncio
import contextlib
import gzip
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

OK = "ok"
HANG = None
Steps = tuple[bytes | float | None, ...]  # bytes to send, seconds to wait, or HANG until the caller leaves; then the connection is closed
_ASKED = re.compile(r"fault: (\S+) bad: (\S+)")
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is sent for a whole answer and for a stream. fails: whether it is no answer at all, or not all of one.

    empty: whether it is one that says nothing, which whoever named the LLM gets as it is.
    unreachable: how its address fails before anything is sent, a key of `unreachable()`.
    """

    whole: Steps
    stream: Steps
    fails: bool = True
    empty: bool = False
    unreachable: str | None = None


def http(content: bytes = b"", status: str = "200 OK", kind: str = "application/json", **headers: str) -> bytes:
    """A response of known length."""
    further = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n{further}\r\n".encode() + content


def completion(message: Any = None, *, finish: Any = "stop", usage: Any = USAGE, **more: Any) -> bytes:
    """A chat completion's JSON; `more` replaces its fields."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "It is 3."} if message is None else message, "finish_reason": finish}
    return json.dumps({"id": "up-1", "object": "chat.completion", "model": "x", "choices": [choice], "usage": usage} | more).encode()


def event(content: Any) -> bytes:
    """One event of a stream."""
    return f"data: {content if isinstance(content, str) else json.dumps(content)}\n\n".encode()


def delta(content: Any = None, finish: Any = None, **more: Any) -> bytes:
    """One event that brings a piece of an answer."""
    piece = {"role": "assistant", "content": content} if content is not None else {}
    return event({"id": "up-1", "choices": [{"index": 0, "delta": piece | more, "finish_reason": finish}]})


SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
WORDS = delta("It ") + delta("is 3.")
ENDING = delta(finish="stop") + event({"choices": [], "usage": USAGE}) + event("[DONE]")
WHOLE = http(completion())
STREAM = SSE + WORDS + ENDING
ERROR = {"error": {"message": "lost my mind", "code": 500}}


def refusing(status: str, content: bytes = b'{"error": {"message": "no"}}', kind: str = "application/json", **headers: str) -> Fault:
    """The same HTTP error for both."""
    return Fault((http(content, status, kind, **headers),), (http(content, status, kind, **headers),))


def raw(*steps: bytes | float | None, fails: bool = True) -> Fault:
    """The same bytes for both."""
    return Fault(steps, steps, fails)


def said(message: Any, *, fails: bool, finish: Any = "stop", usage: Any = USAGE, **piece: Any) -> Fault:
    """A message for a whole answer, the pieces of it for a stream. fails: it says nothing."""
    ending = delta(finish=finish) + event({"choices": [], "usage": usage}) + event("[DONE]")
    return Fault((http(completion(message, finish=finish, usage=usage)),), (SSE + delta(**piece) + ending,), fails, empty=fails)


def body(content: bytes, *, fails: bool = True) -> Fault:
    """A body that is no completion, sent as one and as an event."""
    return Fault((http(content),), (SSE + event(content.decode(errors="replace")) + event("[DONE]"),), fails)


def streamed(*steps: bytes | float | None, fails: bool = True, whole: bytes = WHOLE) -> Fault:
    """A fault of streams; a whole answer is well unless it is given."""
    return Fault((whole,), (SSE, *steps), fails)


STATUSES = ("400 Bad", "401 No", "403 No", "404 No", "418 Tea", "500 E", "503 E", "529 E")
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FAULTS: dict[str, Fault] = {
    OK: Fault((WHOLE,), (STREAM,), fails=False),
    "slow-1s": Fault((1.0, WHOLE), (1.0, STREAM), fails=False),
    "finish-length": said(None, finish="length", content="It is", fails=False),
    "finish-content-filter": said(None, finish="content_filter", content="It is", fails=False),
    "usage-missing": Fault((http(completion(usage=None)),), (SSE + WORDS + delta(finish="stop") + event("[DONE]"),), fails=False),
    "usage-negative": said(None, usage=USAGE | {"prompt_tokens": -(10**6)}, content="3", fails=False),
    "usage-2e63": said(None, usage=USAGE | {"completion_tokens": 2**63}, content="3", fails=False),
    "usage-string": said(None, usage="many", content="3", fails=False),
    "usage-float": said(None, usage=USAGE | {"prompt_tokens": 10.5}, content="3", fails=False),
    "usage-total-only": said(None, usage={"total_tokens": 15}, content="3", fails=False),
    "connect-refused": Fault((), (), unreachable="refused"),
    "connect-hangs": Fault((), (), unreachable="hangs"),
    "hang-before-headers": raw(HANG),
    "hang-after-headers": Fault((b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n", HANG), (SSE, HANG)),
    "hang-mid-answer": Fault((b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{", HANG), (SSE + WORDS, HANG)),
    "comments-for-ever": Fault((HANG,), (SSE, *(b": still here\n\n", 0.3) * 100)),
    "drip-byte-by-byte": Fault(
        tuple(step for byte in WHOLE for step in (bytes([byte]), 0.1)), tuple(step for byte in STREAM for step in (bytes([byte]), 0.1))
    ),
    "endless-stream": Fault((HANG,), (SSE, *(delta("word "), 0.02) * 10_000)),
    "http-204": refusing("204 No Content", b""),
    "http-302": refusing("302 Found", b"", location="http://127.0.0.1:9/v1"),
    **{f"http-{status[:3]}": refusing(status) for status in STATUSES},
    "http-413": refusing("413 Too Large"),
    "http-429": refusing("429 Slow down"),
    "http-429-after-1": refusing("429 Slow down", retry_after="1"),
    "http-429-after-60": refusing("429 Slow down", retry_after="60"),
    "http-429-after-date": refusing("429 Slow down", retry_after="Wed, 21 Oct 2065 07:28:00 GMT"),
    "http-500-repeats-the-request": refusing("500 E", b'cannot parse: [{"role":"user","content":"secret"}]'),
    "http-502-html": refusing("502 Bad Gateway", b"<html>nginx</html>", "text/html"),
    "html-200": Fault((http(b"<html>hello</html>", kind="text/html"),), (http(b"<html>hello</html>", kind="text/html"),)),
    "empty-200": raw(http(b"")),
    "body-truncated": body(completion()[:60]),
    "body-not-json": body(b"It is 3."),
    "body-nan": body(b'{"choices": NaN}'),
    "body-list": body(b"[]"),
    "body-null": body(b"null"),
    "body-number": body(b"3"),
    "body-no-choices": body(b'{"id": "x"}'),
    "body-empty-choices": body(b'{"choices": []}'),
    "body-null-choice": body(b'{"choices": [null]}'),
    "body-choice-without-message": body(b'{"choices": [{"index": 0, "finish_reason": "stop"}]}'),
    "bad-gzip": raw(http(b"not gzip at all", content_encoding="gzip")),
    "good-gzip": raw(http(gzip.compress(completion()), content_encoding="gzip"), fails=False),
    "content-null": said({"role": "assistant", "content": None}, fails=True),
    "content-empty": said({"role": "assistant", "content": ""}, content="", fails=True),
    "content-whitespace": said({"role": "assistant", "content": " \n"}, content=" \n", fails=True),
    "length-and-empty": said({"role": "assistant", "content": ""}, finish="length", content="", fails=True),
    "content-number": said({"role": "assistant", "content": 3}, content=3, fails=False),
    "content-parts": said(
        {"role": "assistant", "content": [{"type": "text", "text": "3"}]}, content=[{"type": "text", "text": "3"}], fails=False
    ),
    "refusal": said({"role": "assistant", "content": None, "refusal": "No."}, refusal="No.", fails=False),
    "reasoning-only": said({"role": "assistant", "content": None, "reasoning_content": "Hm."}, reasoning_content="Hm.", fails=False),
    "tool-calls-unasked": said(
        {"role": "assistant", "content": None, "tool_calls": [CALL]}, finish="tool_calls", tool_calls=[{"index": 0, **CALL}], fails=False
    ),
    "tool-call-index-null": said(
        {"content": None, "tool_calls": [CALL]}, finish="tool_calls", tool_calls=[{"index": None, **CALL}], fails=False
    ),
    "tool-call-arguments-object": said(
        {"content": None, "tool_calls": [CALL]},
        finish="tool_calls",
        tool_calls=[{"index": 0, **CALL, "function": {"name": "f", "arguments": {"a": 1}}}],
        fails=False,
    ),
    "tool-calls-number": said({"content": None, "tool_calls": 3}, tool_calls=3, fails=False),
    "logprobs-odd": Fault(
        (http(completion(choices=[{"index": 0, "message": {"content": "3"}, "finish_reason": "stop", "logprobs": {"content": [None]}}])),),
        (SSE + event({"choices": [{"index": 0, "delta": {"content": "3"}, "logprobs": {"content": [None]}}]}) + ENDING,),
        fails=False,
    ),
    "invalid-utf8": Fault(
        (http(completion().replace(b"It is", b"\xff\xfe")),), (SSE + WORDS.replace(b"is", b"\xff\xfe") + ENDING,), fails=False
    ),
    "half-a-surrogate": Fault(
        (http(completion().replace(b"It is", b"\\ud83d")),), (SSE + WORDS.replace(b"is", b"\\ud83d") + ENDING,), fails=False
    ),
    "error-in-200": raw(http(json.dumps(ERROR).encode())),
    "error-event-first": streamed(event(ERROR), whole=http(json.dumps(ERROR).encode())),
    "error-event-midway": streamed(WORDS, event(ERROR), event("[DONE]"), whole=http(json.dumps(ERROR).encode())),
    "error-event-named": streamed(WORDS, b"event: error\n" + event(ERROR), whole=http(json.dumps(ERROR).encode())),
    "error-beside-choices": Fault(
        (http(completion(finish="error", **ERROR)),),
        (SSE + WORDS + event({"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}], **ERROR}) + event("[DONE]"),),
    ),
    "error-beside-empty-choices": Fault(
        (http(json.dumps({"choices": [], **ERROR}).encode()),), (SSE + WORDS + event({"choices": [], **ERROR}) + event("[DONE]"),)
    ),
    "finish-error": Fault((http(completion(finish="error")),), (SSE + WORDS + delta(finish="error") + event("[DONE]"),)),
    "finish-missing": Fault((http(completion(finish=None)),), (SSE + WORDS + event("[DONE]"),), fails=False),
    "finish-number": said(None, finish=3, content="3", fails=False),
    "done-missing": streamed(WORDS + delta(finish="stop") + event({"choices": [], "usage": USAGE}), fails=False),
    "stream-cut-midway": streamed(WORDS, whole=b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"),
    "stream-cut-before-words": streamed(delta(""), whole=b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"),
    "closed-at-once": raw(b""),
    "content-length-short": raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n" + completion()),
    "garbage": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "header-of-300-kb": raw(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 300_000 + b"\r\n\r\n" + completion()),
    "sse-crlf": streamed((WORDS + ENDING).replace(b"\n", b"\r\n"), fails=False),
    "sse-comments": streamed(b": hello\n\n" + WORDS + b": again\n\n" + ENDING, fails=False),
    "sse-id-without-data": streamed(b"id: 7\n\n" + WORDS + ENDING, fails=False),
    "sse-retry-without-data": streamed(b"retry: 3000\n\n" + WORDS + ENDING, fails=False),
    "sse-ping": streamed(b"event: ping\n\n" + WORDS + ENDING, fails=False),
    "sse-split-anywhere": streamed(*(STREAM.removeprefix(SSE)[at : at + 7] for at in range(0, 900, 7)), fails=False),
    "sse-usage-in-every-event": streamed(WORDS.replace(b'"id"', b'"usage": null, "id"') + ENDING, fails=False),
    "json-for-a-stream": raw(WHOLE, fails=False),
    "one-megabyte": said({"role": "assistant", "content": "x " * 500_000}, content="x " * 500_000, fails=False),
}


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Its address, while it runs in a thread; each LLM has a path of its own before `/v1`."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    address: list[str] = []

    async def serve() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", 0)
        address.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        ready.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(10)
    yield address[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


@contextlib.contextmanager
def unreachable() -> Iterator[dict[str, str]]:
    """Addresses that fail before anything is sent: nobody listens, or a connection is never taken."""
    with socket.socket() as closed, socket.socket() as full, contextlib.ExitStack() as waiting:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else gets the port
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # more than it keeps waiting: what comes after them gets no answer
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield {name: f"http://127.0.0.1:{each.getsockname()[1]}" for name, each in (("refused", closed), ("hangs", full))}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        request = await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
        asked = _ASKED.search(request.decode(errors="replace"))
        name, bad = asked.groups() if asked else (OK, "all")
        fault = FAULTS[name.rstrip('"}]')] if bad.startswith("all") or "/one/" in head else FAULTS[OK]
        for step in fault.stream if json.loads(request).get("stream") else fault.whole:
            if step is HANG:
                await reader.read()
            elif isinstance(step, float):
                await asyncio.sleep(step)
            else:
                writer.write(step)
                await writer.drain()
    writer.close()
