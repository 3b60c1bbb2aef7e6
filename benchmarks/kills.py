"""`kill -9` under load: `python -m benchmarks.kills [--kills 200] [--workers 1]`.

Eight callers ask one request after the other, whole and streamed, each with a number of its own in `routemoa.domain`. With one worker
the server is killed and started again at once, as a service manager would; with several, one of its workers is killed, and the server has
to replace it. Counted: answers that reached their caller whole and are in no record (lost), numbers with two records (duplicated), and
seconds from the kill until a request that begins after it is answered. Exit code 1 where a record is lost or duplicated.
"""

import asyncio
import contextlib
import itertools
import random
import signal
import sqlite3
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psutil

from benchmarks.counts import body, conclude, parser
from benchmarks.raw_http import Connection, connected
from benchmarks.server_world import Server, served, until

CALLERS = 8
BETWEEN_S = 0.05  # a caller's requests: on a busy machine the start of a worker needs some time too
MODELS = ("one", "routemoa-single", "routemoa")
LOADED_S = (0.2, 0.8)  # between a recovery and the next kill


@dataclass
class Load:
    """What the callers saw. acknowledged: number -> decision id."""

    server: Server
    acknowledged: dict[str, str] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    answered_begun_at: float = 0.0  # the latest beginning of an answered request
    stopping: bool = False

    async def call(self, numbers: "itertools.count[int]") -> None:
        """One caller, on a connection as long as it lasts."""
        while not self.stopping:
            try:
                async with connected(self.server.port, self.server.key) as connection:
                    while not self.stopping:
                        await self._one(connection, f"n{next(numbers)}")
                        await asyncio.sleep(BETWEEN_S)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.ends["connection broken or refused"] += 1
                await asyncio.sleep(0.1)

    async def _one(self, connection: Connection, number: str) -> None:
        model, began = MODELS[len(self.acknowledged) % len(MODELS)], time.monotonic()
        answer = await connection.ask(body(model=model, stream=number[-1] in "13579", routemoa={"domain": number}))
        if answer.complete:
            self.acknowledged[number] = answer.headers["x-routemoa-decision"]
            self.answered_begun_at = max(self.answered_begun_at, began)
            self.ends["answered"] += 1
        elif answer.status == 200:
            raise ConnectionError
        else:
            self.ends[f"status {answer.status}"] += 1


async def run(kills: int, workers: int) -> dict[str, Any]:
    """All kills, one after the other."""
    recovered_s: list[float] = []
    cpu_s: list[float] = []  # of the new server, until then
    numbers, random_ = itertools.count(), random.Random(0)
    async with served(ROUTEMOA_WORKERS=str(workers)) as (server, _):
        load = Load(server)
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(load.call(numbers))
            for number in range(kills):
                await asyncio.sleep(random_.uniform(*LOADED_S))
                at = time.monotonic()
                await _kill(server, workers)
                await until(partial(_answered_since, load, at), 600)
                recovered_s.append(time.monotonic() - at)
                if workers == 1:
                    cpu_s.append(sum(psutil.Process(server.pid).cpu_times()[:2]))
                if workers > 1:
                    await until(partial(_all_work, server, workers), 600)
                if number % 5 == 4:
                    print(f"{number + 1} kills, {len(load.acknowledged)} acknowledged", file=sys.stderr, flush=True)
            load.stopping = True
        server.stop()
        return _counted(server, load, recovered_s, cpu_s, workers)


async def _kill(server: Server, workers: int) -> None:
    if workers == 1:
        server.stop(signal.SIGKILL)
        server.start()
    else:
        with contextlib.suppress(psutil.NoSuchProcess):
            server.workers()[0].kill()


async def _answered_since(load: Load, at: float) -> bool:
    return load.answered_begun_at > at


async def _all_work(server: Server, workers: int) -> bool:
    """Whether the replacement has its scorer; the oldest worker, which is killed next, is another one."""
    swapped = server.log.read_text().count('"ScorerSwapped"')
    return swapped >= workers + server.log.read_text().count('"WorkerDied"') and len(server.workers()) == workers


def _counted(server: Server, load: Load, recovered_s: list[float], cpu_s: list[float], workers: int) -> dict[str, Any]:
    records = server.records()
    kept, numbers = {record.id for record in records}, Counter(record.domain for record in records)
    with contextlib.closing(sqlite3.connect(server.home / "var" / "records.db")) as file:
        integrity = file.execute("PRAGMA integrity_check").fetchone()[0]
    ordered = sorted(recovered_s)
    return {
        "kills": len(recovered_s),
        "of": "the server" if workers == 1 else f"one of {workers} workers",
        "acknowledged": len(load.acknowledged),
        "lost": sum(decision not in kept for decision in load.acknowledged.values()),
        "duplicated": sum(count > 1 for count in numbers.values()),
        "integrity": integrity,
        "ends": dict(load.ends),
        "recovered_s": {"p50": round(ordered[len(ordered) // 2], 2), "max": round(ordered[-1], 2)},
        **({"CPU of the new server until then, s": round(statistics.median(cpu_s), 2)} if cpu_s else {}),
    }


def main() -> int:
    """The exit code."""
    command = parser(__doc__)
    command.add_argument("--kills", type=int, default=200)
    command.add_argument("--workers", type=int, default=1)
    arguments = command.parse_args()
    found = asyncio.run(run(arguments.kills, arguments.workers))
    return conclude(found, arguments.out, wrong=found["lost"] + found["duplicated"] + (found["integrity"] != "ok"))


if __name__ == "__main__":
    sys.exit(main())
