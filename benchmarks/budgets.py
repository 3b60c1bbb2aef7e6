"""How many of many requests at once a budget admits: `python -m benchmarks.budgets [--requests 500] [--calls 100]` prints JSON.

Every request costs just its worst case, so the budget pays for exactly `calls` of them. Half of them are streamed. The first server is
killed (SIGKILL, all its workers) with half of the requests sent and a part of the budget held, and started again for the other half.

ROUTEMOA_DATABASE_URL=postgresql://... and --hosts 2: the requests go by turns to servers of several hosts that share an empty database and
no file. Servers that share neither are a budget each.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.raw_http import content_length, free_ports
from benchmarks.report import print_json
from mixture.choose.ranking import Candidate
from mixture.client.protocol import Call
from mixture.client.request_size import worst_case_usd
from mixture.llm import LLM, Endpoint
from mixture.price import Price
from mixture.run.account import Account
from mixture.run.request import Request
from registry import pool
from serving.access import budgets, keys, shared_keys
from serving.access.gate import Gate
from serving.settings import ServingSettings

ROOT = Path(__file__).parents[1]
MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
MAX_TOKENS = 16
TAKES_S = 1.0  # an answer: all requests are there before the first is settled
POOL = """llms:
  upstream:
    name: answers after a while
    endpoint: {{base_url: "http://127.0.0.1:{port}/v1", served_name: upstream, api_key_env: null}}
    price: {{input: 10, output: 1000}}
    context_window: 64
    limits: {{concurrency: 1000, connect_s: 20, first_token_s: 60, between_chunks_s: 60, total_s: 120}}
"""


def answer_always(port: int, counted: Any) -> None:
    """An endpoint whose every answer uses as many tokens as it may."""
    asyncio.run(_upstream(port, counted))


async def _upstream(port: int, counted: Any) -> None:
    usage = {"prompt_tokens": 64, "completion_tokens": MAX_TOKENS, "total_tokens": 64 + MAX_TOKENS}
    whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "upstream", "usage": usage}
    message = {"role": "assistant", "content": "Paris"}
    chunk = {**whole, "choices": [{"index": 0, "delta": message, "finish_reason": "stop"}]}
    whole["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                asked = json.loads(await reader.readexactly(content_length(head)))
                with counted.get_lock():
                    counted.value += 1
                await asyncio.sleep(TAKES_S)
                kind, body = "application/json", json.dumps(whole)
                if asked.get("stream"):
                    kind, body = "text/event-stream", f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
                writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port, backlog=1024) as server:
        await server.serve_forever()


async def ask(ports: Sequence[int], key: str, requests: int) -> Counter[str]:
    """The statuses of so many requests at once, to servers by turns; "none" where the connection broke."""

    async def one(number: int) -> str:
        body = json.dumps({"model": "upstream", "messages": MESSAGES, "max_tokens": MAX_TOKENS, "stream": number % 2 == 0})
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", ports[number // 2 % len(ports)])
            writer.write(f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
            answer = await reader.read()
            writer.close()
        except OSError:
            return "none"
        return answer[9:12].decode() or "none"

    return Counter(await asyncio.gather(*(one(number) for number in range(requests))))


async def ask_until_killed(
    ports: Sequence[int], key: str, requests: int, *, server: subprocess.Popen[bytes], counted: Any, enough: int
) -> Counter[str]:
    """The same, while the server's whole process group is killed once `enough` calls have reached the endpoint."""
    asking = asyncio.create_task(ask(ports, key, requests))
    while counted.value < enough and not asking.done():  # noqa: ASYNC110  another process counts
        await asyncio.sleep(0.002)
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    return await asking


def measure(requests: int, calls: int, workers: int, hosts: int, database_url: str) -> dict[str, Any]:
    """Starts the endpoint and the servers, sends half, kills one, starts it again, sends the rest."""
    with tempfile.TemporaryDirectory() as folder:
        up, *ports = free_ports(1 + hosts)
        homes = [Path(folder) / str(port) for port in ports]
        for home in homes:
            (home / "registry").mkdir(parents=True)
            (home / "registry" / "pool.yaml").write_text(POOL.format(port=up))
        settings = ServingSettings(_env_file=None, home=homes[0], database_url=database_url)
        llm = pool.load(settings.pool_file).by_id("upstream")
        each = worst_case_usd(Call(llm, MESSAGES, {"max_tokens": MAX_TOKENS}))
        key = keys.create(shared_keys.store(settings), "benchmark", ("chat",), usd_per_day=calls * each)
        counted = multiprocessing.get_context("spawn").Value("i", 0)
        answering = multiprocessing.get_context("spawn").Process(target=answer_always, args=(up, counted), daemon=True)
        answering.start()
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "ROUTEMOA_DATABASE_URL": database_url,
            "ROUTEMOA_WORKERS": str(workers),
            "ROUTEMOA_MAX_IN_FLIGHT": str(2 * requests),
        }
        try:
            servers = [_started(home, port, environment) for home, port in zip(homes, ports, strict=True)]
            before = asyncio.run(ask_until_killed(ports, key, requests // 2, server=servers[0], counted=counted, enough=calls // 3))
            admitted_before = counted.value
            servers[0] = _started(homes[0], ports[0], environment)
            after = asyncio.run(ask(ports, key, requests - requests // 2))
            for server in servers:
                os.killpg(server.pid, signal.SIGTERM)
                server.wait()
        finally:
            answering.terminate()
            answering.join()
        entry = keys.read(settings.keys_file).entries[0]
        now = time.gmtime()
        (spend,) = budgets.read(settings, [(entry.id, time.strftime("%Y-%m-%d", now))])
        return {
            "requests": requests,
            "budget_is_for": calls,
            "workers": workers,
            "hosts": hosts,
            "admitted": counted.value,
            "admitted_before_kill": admitted_before,
            "statuses_before_kill": dict(before),
            "statuses_after_restart": dict(after),
            "spent_of_budget": round(spend.spent_usd / (calls * each), 4),
            "held_of_budget": round(spend.held_usd / (calls * each), 4),
            "gate_cpu_ms_per_request": gate_cpu_ms(database_url),
            "bars": {"admitted": calls},
        }


def gate_cpu_ms(database_url: str = "", rounds: int = 2000) -> dict[str, float]:
    """CPU that keys cost a request: one without limits, and one with budgets of a day and a month, and both rates."""
    limits = {"usd_per_day": 1e9, "usd_per_month": 1e9, "requests_per_minute": 10**9, "tokens_per_minute": 10**12}
    llm = LLM("upstream", "upstream", Price(10, 1000), Endpoint("http://127.0.0.1:9/v1", "upstream"), context_window=64)
    request = Request(MESSAGES, (Candidate(llm, 0.0),), fields={"max_tokens": MAX_TOKENS})
    with tempfile.TemporaryDirectory() as folder:
        settings = ServingSettings(_env_file=None, home=Path(folder), database_url=database_url)
        file = settings.home / "these.json"
        for name, more in (("plain", {}), ("limited", limits)):
            keys.create(file, name, ("chat",), **more)

        async def one(gate: Gate, holder: keys.KeyEntry) -> None:
            await gate.admit(holder, {})
            tab = await gate.open(holder, request, {}, named=True)
            await tab.close(Account())

        async def all_of(holder: keys.KeyEntry) -> float:
            gate = Gate(settings, budgets.make(settings))
            await one(gate, holder)
            before = time.process_time()
            for _ in range(rounds):
                await one(gate, holder)
            used = time.process_time() - before
            await gate.close()
            return round(1000 * used / rounds, 4)

        return {entry.name: asyncio.run(all_of(entry)) for entry in keys.read(file).entries}


def _started(home: Path, port: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    own = {**environment, "ROUTEMOA_HOME": str(home), "ROUTEMOA_PORT": str(port)}
    with (home / "server.log").open("ab") as log:
        server = subprocess.Popen([sys.executable, "-m", "serving"], env=own, cwd=home, stdout=log, stderr=log, start_new_session=True)
    give_up = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=5):
                return server
        except (urllib.error.URLError, OSError):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--hosts", type=int, default=1, help="servers that share no file")
    arguments = parser.parse_args()
    database_url = os.environ.get("ROUTEMOA_DATABASE_URL", "")
    print_json(measure(arguments.requests, arguments.calls, arguments.workers, arguments.hosts, database_url))


if __name__ == "__main__":
    main()
