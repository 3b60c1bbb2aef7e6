"""What the server adds to a pass-through request: `python -m benchmarks.pass_through [--requests 4000] [--limited]` prints JSON.

CPU is what the server process used per request (its threads too: the record's fsync is in it) while four connections were kept busy;
beside it, what the HTTP client alone uses per call. Latency is at a fixed rate, whatever the answers take, beside that of the same load
on the upstream itself. The upstream answers from memory, so that nothing but us is measured. --limited: the key has budgets and rates.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.raw_http import content_length, free_ports
from benchmarks.report import print_json
from mixture.client.openai import OpenAIClient
from mixture.client.protocol import Call
from mixture.llm import LLM, Endpoint
from mixture.price import Price
from serving.access import keys

ROOT = Path(__file__).parents[1]
LIMITS = {"usd_per_day": 1e6, "usd_per_month": 1e7, "requests_per_minute": 10**7, "tokens_per_minute": 10**9}
BODY = json.dumps({"model": "upstream", "messages": [{"role": "user", "content": "What is the capital of France? " * 8}], "max_tokens": 64})
ANSWER = json.dumps(
    {
        "id": "up-1",
        "object": "chat.completion",
        "created": 0,
        "model": "upstream",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris. " * 20}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100},
    }
).encode()
POOL = """llms:
  upstream:
    name: answers from memory
    endpoint: {{base_url: "http://127.0.0.1:{port}/v1", served_name: upstream, api_key_env: null}}
    price: {{input: 1, output: 2}}
    limits: {{concurrency: 256, connect_s: 5, first_token_s: 5, between_chunks_s: 5, total_s: 5}}
"""


async def upstream(port: int) -> None:
    """Answers every request on `port` with the same chat completion."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(ANSWER)}\r\n\r\n".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request_head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(content_length(request_head))
                writer.write(head + ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        await server.serve_forever()


def answer_always(port: int) -> None:
    """`upstream`, as a process of its own."""
    asyncio.run(upstream(port))


def _request(key: str) -> bytes:
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n{BODY}"
    ).encode()


async def busy(port: int, key: str, requests: int, connections: int = 4) -> None:
    """Sends `requests`, each connection its next as soon as the last is answered."""
    request = _request(key)

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(requests // connections):
            await _exchange(reader, writer, request)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))


async def calls(port: int, requests: int) -> float:
    """CPU seconds that our HTTP client uses for one call, in this process and one after the other."""
    llm = LLM("upstream", "upstream", Price(1, 2), Endpoint(f"http://127.0.0.1:{port}/v1", "upstream"))
    messages = json.loads(BODY)["messages"]
    async with OpenAIClient() as client:
        await client.ask(Call(llm, messages))
        before = time.process_time()
        for _ in range(requests):
            await client.ask(Call(llm, messages))
        return (time.process_time() - before) / requests


async def load(port: int, key: str, requests: int, rate: float) -> list[float]:
    """Seconds each of `requests` took, sent at `rate` a second whatever the answers take (as many connections as that needs)."""
    request = _request(key)
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    took: list[float] = []

    async def one(due: float) -> None:
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        await _exchange(reader, writer, request)
        took.append(time.perf_counter() - due)
        idle.append((reader, writer))

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(requests):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due))
    return took


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    content = await reader.readexactly(content_length(head))
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise SystemExit(f"the server answered {head.decode()}{content.decode()}")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that passes requests through to an upstream. up, down: ports of the two."""

    server: psutil.Process
    up: int
    down: int
    key: str

    def cpu_s(self, requests: int) -> float:
        """CPU seconds that the server uses for so many requests, kept busy."""
        before = _cpu_s(self.server)
        asyncio.run(busy(self.down, self.key, requests))
        return _cpu_s(self.server) - before


@contextmanager
def running(limits: Mapping[str, float] | None = None, variables: Mapping[str, str] | None = None) -> Generator[Running]:
    """Upstream and server, warmed up. limits: of the key. variables: of the server's environment."""
    with tempfile.TemporaryDirectory() as folder:
        home, (up, down) = Path(folder), free_ports(2)
        (home / "registry").mkdir()
        (home / "registry" / "pool.yaml").write_text(POOL.format(port=up))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "ROUTEMOA_HOME": folder, "ROUTEMOA_PORT": str(down), **(variables or {})}
        key = keys.create(home / "var" / "keys.json", "benchmark", ("chat", "metrics"), **(limits or {}))
        answering = multiprocessing.get_context("spawn").Process(target=answer_always, args=(up,), daemon=True)
        answering.start()
        with (home / "server.log").open("wb") as log:
            serving = subprocess.Popen([sys.executable, "-m", "serving"], env=environment, cwd=home, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{down}/livez")
            asyncio.run(busy(down, key, 400))
            yield Running(psutil.Process(serving.pid), up, down, key)
        finally:
            serving.terminate()
            answering.terminate()
            serving.wait()
            answering.join()


def measure(requests: int, rate: float, *, limited: bool = False) -> dict[str, Any]:
    """Loads server and upstream in turn."""
    with running(LIMITS if limited else None) as made:
        used = made.cpu_s(requests)
        client_s = asyncio.run(calls(made.up, requests // 4))
        direct = asyncio.run(load(made.up, made.key, requests, rate))
        through = asyncio.run(load(made.down, made.key, requests, rate))
        resident = made.server.memory_info().rss
    return {
        "requests": requests,
        "rate_per_s": rate,
        "limited": limited,
        "cpu_ms_per_request": round(1000 * used / requests, 3),
        "cpu_ms_of_the_http_client_alone": round(1000 * client_s, 3),
        "direct_ms": _quantiles(direct),
        "through_ms": _quantiles(through),
        "added_p50_ms": round(1000 * (statistics.median(through) - statistics.median(direct)), 3),
        "worker_memory_mb": round(resident / 1e6, 1),
        "bars": {"cpu_ms_per_request": 0.7, "p50_ms": 1.0, "p99_ms": 5.0},
    }


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(1000 * each for each in seconds)
    return {"p50": round(statistics.median(ordered), 3), "p99": round(ordered[int(0.99 * (len(ordered) - 1))], 3)}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _wait(url: str) -> None:
    give_up = time.monotonic() + 240
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310  an address of our own making
                return
        except urllib.error.URLError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--limited", action="store_true")
    arguments = parser.parse_args()
    print_json(measure(arguments.requests, arguments.rate, limited=arguments.limited))


if __name__ == "__main__":
    main()
