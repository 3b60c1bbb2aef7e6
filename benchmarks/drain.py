"""SIGTERM under load: `python -m benchmarks.drain [--streams 100]`.

So many streams of four seconds are under way when the server, of one worker and of two, is told to stop: all should end well, and new
connections should be refused. A third server has one second to drain: its streams should end in an error event, be recorded as failed,
and leave no traceback. Exit code 1 where one ends in another way.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.counts import conclude, parser
from benchmarks.raw_http import Answer
from benchmarks.server_world import Server, served, until

SECONDS = 4.0
CASES = (("1 worker", "1", "60"), ("2 workers", "2", "60"), ("1 worker, 1 s to drain", "1", "1"))


async def drained(streams: int, workers: str, drain_s: str) -> dict[str, Any]:
    """One server, stopped while it streams."""
    async with served(ROUTEMOA_WORKERS=workers, ROUTEMOA_DRAIN_S=drain_s) as (server, behind):
        seconds = SECONDS + 0.1 * streams  # that all of them are under way when the first would end
        ask = [{"role": "user", "content": f"wait: {seconds} what is the sum ?"}]
        calls = [asyncio.create_task(_stream(server, ask)) for _ in range(streams)]

        async def all_began() -> bool:
            return behind.asked["one"] >= streams  # more where a busy machine let a call be tried again

        await until(all_began, 120)
        began = time.monotonic()
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        refused_after_s = await _refused(server, began)
        ends = Counter([_end(await call) for call in calls])
        code = await asyncio.to_thread(server.process.wait, 120)
        statuses = Counter(record.status for record in server.records())
        return {
            **dict(ends),
            "new connections refused after, s": refused_after_s,
            "ended after, s": round(time.monotonic() - began, 2),
            "exit code": code,
            "recorded": dict(statuses),
            "tracebacks in the log": server.log.read_text().count("Traceback"),
        }


async def _stream(server: Server, ask: list[dict[str, str]]) -> Answer | None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        return await server.ask(model="one", stream=True, messages=ask)
    return None


async def _refused(server: Server, began: float) -> float:
    async def is_refused() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    await until(is_refused, 60)
    return round(time.monotonic() - began, 2)


def _end(answer: Answer | None) -> str:
    if answer is None:
        return "connection broken"
    if answer.complete:
        return "complete"
    error = answer.error if answer.whole else None
    return f"told {error['code']}" if error else "cut without a word"


def main() -> int:
    """The exit code."""
    command = parser(__doc__)
    command.add_argument("--streams", type=int, default=100)
    arguments = command.parse_args()
    found = {name: asyncio.run(drained(arguments.streams, workers, drain_s)) for name, workers, drain_s in CASES}
    good = ("complete", "complete", "told server_stopping")
    wrong = sum(
        arguments.streams - each.get(end, 0) + each["tracebacks in the log"] for each, end in zip(found.values(), good, strict=True)
    )
    return conclude({"streams": arguments.streams, **found}, arguments.out, wrong=wrong)


if __name__ == "__main__":
    sys.exit(main())
