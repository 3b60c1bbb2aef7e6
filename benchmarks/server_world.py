"""What the benchmarks of the server share: a project of four LLMs, an upstream that answers for them, and `python -m serving` on it."""

import asyncio
import contextlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.raw_http import Answer, asked, connected, content_length, free_ports
from monitoring.records.store import Record, RecordStore
from serving.access import keys

ROOT = Path(__file__).parents[1]
LLMS = ("one", "two", "three", "four")  # "one" costs least, and ranks first
PATIENT = {"concurrency": 512, "connect_s": 10, "first_token_s": 60, "between_chunks_s": 60, "total_s": 120}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
_WAIT = re.compile(r"wait: (\d+(?:\.\d+)?)")
PIECES = 20  # of a streamed answer


@dataclass
class Upstream:
    """An endpoint that always answers, after the seconds that the prompt asks for (`wait: 0.5`); a stream takes as long in all."""

    base_url: str
    asked: Counter[str] = field(default_factory=Counter)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        ends = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)  # the last where the benchmark ends
        with contextlib.suppress(*ends):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                request = json.loads(await reader.readexactly(content_length(head)))
                self.asked[request["model"]] += 1
                waited = _WAIT.search(str(request["messages"][-1].get("content")))
                await (_stream if request.get("stream") else _whole)(writer, request, float(waited[1]) if waited else 0.0)
        writer.close()


@contextlib.asynccontextmanager
async def upstream(host: str = "127.0.0.1") -> AsyncGenerator[Upstream]:
    """One in this event loop, while it runs."""
    made = Upstream("")
    async with await asyncio.start_server(made.answer, host, 0, limit=2**26, backlog=1024) as server:
        made.base_url = f"http://{host}:{server.sockets[0].getsockname()[1]}"
        yield made


async def _whole(writer: asyncio.StreamWriter, request: Mapping[str, Any], seconds: float) -> None:
    await asyncio.sleep(seconds)
    message = {"role": "assistant", "content": f"{request['model']} says 3."}
    choices = [{"index": at, "message": message, "finish_reason": "stop"} for at in range(request.get("n") or 1)]
    content = json.dumps({"id": "up", "object": "chat.completion", "model": "x", "choices": choices, "usage": USAGE}).encode()
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content)
    await writer.drain()


async def _stream(writer: asyncio.StreamWriter, request: Mapping[str, Any], seconds: float) -> None:
    def chunk(choices: Sequence[Any], **more: Any) -> bytes:
        data = b"data: " + json.dumps({"id": "up", "object": "chat.completion.chunk", "choices": choices} | more).encode() + b"\n\n"
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"

    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for at in range(PIECES):
        await asyncio.sleep(seconds / PIECES)
        delta = {"role": "assistant", "content": f"{request['model']} " if at == 0 else "says "}
        writer.write(chunk([{"index": 0, "delta": delta, "finish_reason": None}]))
        await writer.drain()
    writer.write(chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]) + chunk([], usage=USAGE))
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    await writer.drain()


def project(home: Path, base_url: str, **pool: Any) -> str:
    """Four LLMs and a scorer that knows them; a key that opens everything. pool: of `write_pool`."""
    write_pool(home, base_url, **pool)
    publish(home, "1", LLMS)
    return keys.create(home / "var" / "keys.json", "benchmark", keys.SCOPES)


def write_pool(home: Path, base_url: str, *, limits: Mapping[str, float] = PATIENT, api_key_env: str | None = None, **fields: Any) -> None:
    """Four LLMs at `base_url`/NAME/v1. fields: further ones of every entry."""
    entries = {
        llm: {
            "name": llm,
            "endpoint": {"base_url": f"{base_url}/{llm}/v1", "served_name": llm, "api_key_env": api_key_env},
            "price": {"input": 1.0, "output": 1.0} if llm == LLMS[0] else {"input": 500.0, "output": 500.0},
            "limits": dict(limits),
            **fields,
        }
        for llm in LLMS
    }
    partial = home / "registry" / "pool.yaml.partial"
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(yaml.safe_dump({"llms": entries}), encoding="utf-8")
    partial.replace(home / "registry" / "pool.yaml")


def publish(home: Path, version: str, roster: Sequence[str], seed: int = 0) -> None:
    """Makes `version` current, as registry.sync does; its files are made where they are not there yet."""
    folder = home / "var" / "scorers" / version
    if not folder.exists():
        tiny_scorer(folder, roster, seed)
    current = home / "var" / "scorers" / "current.json"
    current.with_suffix(".partial").write_text(json.dumps({"version": version, "folder": version, "published_at": "2026-01-01T00:00:00Z"}))
    current.with_suffix(".partial").replace(current)


def tiny_scorer(folder: Path, roster: Sequence[str], seed: int = 0) -> None:
    """A real scorer of a random little encoder."""
    importlib.import_module("tests.scorer.tiny").tiny_artifact(folder, roster=tuple(roster), seed=seed)


@dataclass
class Server:
    """`python -m serving` on a project; can be started again on its port."""

    home: Path
    key: str
    environment: Mapping[str, str]
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it wrote, of all its starts."""
        return self.home / "server.log"

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Starts it and does not wait."""
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        own = {"PYTHONPATH": path, "ROUTEMOA_HOME": str(self.home), "ROUTEMOA_PORT": str(self.port), "OMP_NUM_THREADS": "1"}
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "serving"]
            self.process = subprocess.Popen(command, cwd=self.home, env={**os.environ, **own, **self.environment}, stdout=log, stderr=log)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 120) -> int:
        """Sends a signal and waits for the end; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def workers(self) -> list[psutil.Process]:
        """Its worker processes, where it has several."""
        return [each for each in psutil.Process(self.pid).children() if _works(each)]

    async def get(self, path: str) -> Answer:
        """The answer to one GET on a connection of its own."""
        async with connected(self.port, self.key) as connection:
            return await connection.ask(b"", path, "GET")

    async def ask(self, **body: Any) -> Answer:
        """The answer to one chat request on a connection of its own."""
        return await asked(self.port, self.key, body)

    async def ready(self, seconds: float = 180) -> float:
        """Seconds until `/readyz` answers 200."""
        began = time.monotonic()

        async def is_ready() -> bool:
            if self.process is None or self.process.poll() is not None:
                raise SystemExit(f"The server ended: {self.log.read_text()[-2000:]}")
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                return (await self.get("/readyz")).status == 200
            return False

        await until(is_ready, seconds)
        return time.monotonic() - began

    def records(self) -> list[Record]:
        """All that it kept."""
        return RecordStore(self.home / "var" / "records.db").scan(0, time.time() + 60)


@contextlib.contextmanager
def serving(home: Path, key: str, **environment: str) -> Generator[Server]:
    """A server on the project in `home`, just started; killed at the end."""
    server = Server(home, key, environment, free_ports(1)[0])
    server.start()
    try:
        yield server
    finally:
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children()] if psutil.pid_exists(server.pid) else []
        for each in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        if server.process is not None:
            server.process.wait()


@contextlib.asynccontextmanager
async def served(**environment: str) -> AsyncGenerator[tuple[Server, Upstream]]:
    """A ready server on a project of its own, and the upstream behind it."""
    with tempfile.TemporaryDirectory() as folder:
        async with upstream() as behind:
            key = project(Path(folder) / "project", behind.base_url)
            with serving(Path(folder) / "project", key, **environment) as server:
                await server.ready()
                yield server, behind


async def until(true: Callable[[], Awaitable[bool]], seconds: float, every_s: float = 0.02) -> None:
    """Returns once it is true; ends the benchmark where it does not become so."""
    give_up = time.monotonic() + seconds
    while not await true():
        if time.monotonic() > give_up:
            raise SystemExit(f"Not so within {seconds:g} s: {true}")
        await asyncio.sleep(every_s)


def _works(child: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(child.cmdline())
    except psutil.Error:  # it ended meanwhile
        return False
