"""A plain HTTP/1.1 caller that knows whether an answer was complete: whole by its length, a stream by its last chunk and `[DONE]`."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. whole: whether all of it came. took_s: until its last byte."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    whole: bool
    took_s: float

    @property
    def events(self) -> list[str]:
        """The data of a stream's events."""
        return [line.removeprefix("data: ") for line in self.content.decode(errors="replace").split("\n\n") if line]

    @property
    def complete(self) -> bool:
        """Whether it is all of a good answer: for a caller, the acknowledgement that it was kept."""
        if self.status != 200 or not self.whole:
            return False
        return self.events[-1:] == ["[DONE]"] if self.is_stream else True

    @property
    def is_stream(self) -> bool:
        """Whether it came as server-sent events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def error(self) -> Any:
        """The error in it, also in a stream's event; None where there is none."""
        trees = [json.loads(each) for each in self.events if each != "[DONE]"] if self.is_stream else [json.loads(self.content)]
        return next((tree["error"] for tree in trees if isinstance(tree, dict) and "error" in tree), None)


@dataclass
class Connection:
    """Kept open from one request to the next. Raises ConnectionError or IncompleteReadError where it breaks before an answer's head."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    key: str

    async def ask(self, body: bytes, path: str = CHAT, method: str = "POST", further: str = "") -> Answer:
        """Sends one request and reads its answer. further: header lines, each with its end."""
        started = time.monotonic()
        key = f"authorization: Bearer {self.key}\r\n" if self.key else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\n{key}{further}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        content, whole = bytearray(), method == "HEAD"
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            if "content-length" in headers and not whole:
                content += await self.reader.readexactly(int(headers["content-length"]))
                whole = True
            while not whole:
                size = int(await self.reader.readline() or b"-1", 16)
                content += (await self.reader.readexactly(size + 2))[:-2]
                whole = size == 0
        return Answer(int(lines[0].split()[1]), headers, bytes(content), whole, time.monotonic() - started)


def content_length(head: bytes) -> int:
    """What a request's or an answer's head says of its body."""
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


def free_ports(count: int) -> list[int]:
    """So many ports of this host that nothing listens on."""
    with contextlib.ExitStack() as opened_until_all_are_known:
        probes = [opened_until_all_are_known.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


async def opened(port: int, key: str) -> Connection:
    """A connection to this host's `port`; whoever opens it closes its writer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    return Connection(reader, writer, key)


@contextlib.asynccontextmanager
async def connected(port: int, key: str) -> AsyncGenerator[Connection]:
    """A connection to this host's `port`."""
    connection = await opened(port, key)
    try:
        yield connection
    finally:
        connection.writer.close()


async def asked(port: int, key: str, body: Mapping[str, Any]) -> Answer:
    """One chat request on a connection of its own."""
    async with connected(port, key) as connection:
        return await connection.ask(json.dumps(body).encode())
