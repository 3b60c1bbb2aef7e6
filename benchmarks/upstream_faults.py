"""An endpoint that goes wrong in every way we know, behind a real server: `python -m benchmarks.upstream_faults [FAULT ...]`.

Each fault of `benchmarks.upstream_world` is met by a request passed through, by `routemoa-single` and by `routemoa`, whole and streamed:
once where all four LLMs have it, and once (for the two that route) where only the first in the ranking has it. Every request has three
seconds. Counted, and every one a reason to exit 1: requests that end more than half a second late, answers that look complete though the
LLM failed, requests that end as our own fault (500), requests without a record, records that cost less than nothing. Beside them: routed
requests that found no answer though three LLMs stood by. Beside each request a control asks the same server a question that is answered
well, at the deadline: how long it waits is the machine's doing, and is taken off. `--out FOLDER` gets table.md and results.json.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from benchmarks.raw_http import Answer, asked, connected
from benchmarks.report import print_json
from benchmarks.server_world import LLMS, project
from benchmarks.upstream_world import FAULTS, OK, Fault, running, unreachable
from mixture.llm import LLM
from monitoring.records.store import RecordStore
from registry.pool import Pool
from serving.app import create_app
from serving.observed.latency import Experience
from serving.observed.silence import Silences
from serving.settings import ServingSettings
from serving.state import State

DEADLINE_S, LATE_S = 3.0, 0.5
LIMITS = {"concurrency": 64, "connect_s": 1, "first_token_s": 2, "between_chunks_s": 1.5, "total_s": 4}
ROUTED = product(("routemoa-single", "routemoa"), ("all", "first"), (False, True))
LANES = [(LLMS[0], "all", False), (LLMS[0], "all", True), *ROUTED]


@dataclass(frozen=True, slots=True)
class Cell:
    """One request. ended: `complete`, `error` (an HTTP error or an error event) or `broken`. llm: whose answer it was, if it says."""

    fault: str
    model: str
    bad: str
    stream: bool
    status: int
    ended: str
    code: str | None
    llm: str | None
    took_s: float
    recorded: bool
    cost_usd: float | None
    control_s: float = 0.0  # that a good answer of the same server took, asked for at the deadline

    def wrongs(self, fault: Fault) -> Iterator[str]:
        """What is wrong with it."""
        if self.took_s - self.control_s > DEADLINE_S + LATE_S:
            yield "late"
        by_bad = self.bad == "all" or self.llm == LLMS[0]
        named = self.model == LLMS[0]
        if fault.fails and by_bad and self.ended == "complete" and not (named and fault.empty):
            yield "looks complete though the LLM failed"
        if self.code == "internal_error":
            yield "our own fault"
        if not self.recorded:
            yield "without a record"
        if self.cost_usd is not None and self.cost_usd < 0:
            yield "costs less than nothing"

    @property
    def unanswered(self) -> bool:
        """Whether three LLMs stood by and nobody answered."""
        return self.bad == "first" and self.ended != "complete"


@dataclass
class Lane:
    """A server of its own, whose memory of LLMs is emptied before each request."""

    model: str
    bad: str
    stream: bool
    port: int
    state: State
    key: str
    addresses: Mapping[str, str]  # that cannot be reached

    async def meet(self, fault: str) -> Cell:
        """Sends one request at this fault."""
        self.state.client._breakers.clear()
        self.state.silences, self.state.experience = Silences(), Experience()
        before = self.state.pool.value
        self.state.pool.value = self._moved(self.state.llms, FAULTS[fault].unreachable)
        prompt = f"fault: {fault} bad: {self.bad}" if FAULTS[fault].unreachable is None else "what is the sum ?"
        body = {"model": self.model, "stream": self.stream, "messages": [{"role": "user", "content": prompt}]}
        control = asyncio.create_task(self._control(reachable=FAULTS[fault].unreachable is None))
        answer = await asked(self.port, self.key, {**body, "routemoa": {"deadline_s": DEADLINE_S}})
        control_s = await control if answer.took_s > DEADLINE_S else 0.0
        control.cancel()
        self.state.pool.value = before
        ended, code, llm = _read(answer)
        record = await self.state.records.get(answer.headers.get("x-routemoa-decision", ""))
        cost, took_s = None if record is None else record["cost_usd"], round(answer.took_s, 2)
        told = (answer.status, ended, code, llm, took_s, record is not None, cost, round(control_s, 2))
        return Cell(fault, self.model, self.bad, self.stream, *told)

    def _moved(self, pool: Pool, how: str | None) -> Pool:
        """The pool with the endpoints at fault where nobody can be reached."""
        if how is None:
            return pool
        return replace(pool, llms=tuple(self._away(llm, self.addresses[how]) for llm in pool.llms))

    def _away(self, llm: LLM, address: str) -> LLM:
        if llm.endpoint is None or (self.bad == "first" and llm.id != LLMS[0]):
            return llm
        return replace(llm, endpoint=replace(llm.endpoint, base_url=f"{address}/{llm.id}/v1"))

    async def _control(self, *, reachable: bool) -> float:
        """Seconds that a good answer takes at the deadline, through the same server, LLMs and record file; `/livez` where there is none."""
        await asyncio.sleep(DEADLINE_S)
        if reachable:
            ask = {"model": LLMS[-1], "messages": [{"role": "user", "content": f"fault: {OK} bad: all"}]}
            return (await asked(self.port, self.key, ask)).took_s
        async with connected(self.port, self.key) as connection:
            return (await connection.ask(b"", "/livez", "GET")).took_s


def _read(answer: Answer) -> tuple[str, str | None, str | None]:
    """How an answer ended, with which error code, and whose it is."""
    if not answer.whole:
        return "broken", None, None
    error = answer.error
    if answer.status != 200 or error is not None:
        return "error", error["code"], None
    trees = [json.loads(each) for each in answer.events if each != "[DONE]"] if answer.is_stream else [json.loads(answer.content)]
    llm = next((tree["routemoa"]["llm"] for tree in trees if "routemoa" in tree), None)
    return ("complete" if answer.complete and any("choices" in tree for tree in trees) else "broken"), None, llm


@contextlib.contextmanager
def lane(home: Path, key: str, addresses: Mapping[str, str], model: str, bad: str, *, stream: bool) -> Iterator[Lane]:
    """A server on the project in `home`, once it routes."""
    app = create_app(ServingSettings(_env_file=None, home=home))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        state: State = app.state.serving
        while not (server.started and state.scorer.value):
            time.sleep(0.05)
        yield Lane(model, bad, stream, listening.getsockname()[1], state, key, addresses)
        server.should_exit = True
        thread.join(10)


async def _all(lanes: Sequence[Lane], names: Sequence[str], at_once: int) -> list[Cell]:
    """Every lane meets the faults one after the other, so many lanes beside each other."""
    places = asyncio.Semaphore(at_once)

    async def cells(each: Lane) -> list[Cell]:
        async with places:
            return [await each.meet(name) for name in names]

    return [cell for lane_cells in await asyncio.gather(*map(cells, lanes)) for cell in lane_cells]


def measure(names: Sequence[str], at_once: int = len(LANES)) -> list[Cell]:
    """All cells of these faults. at_once: lanes beside each other; they share this process, which many make late."""
    with tempfile.TemporaryDirectory() as folder, running() as base_url, unreachable() as addresses, contextlib.ExitStack() as servers:
        home = Path(folder)
        key = project(home, base_url, limits=LIMITS)
        RecordStore(home / "var" / "records.db")
        lanes = [servers.enter_context(lane(home, key, addresses, model, bad, stream=stream)) for model, bad, stream in LANES]
        return asyncio.run(_all(lanes, names, at_once))


def counts(cells: Sequence[Cell]) -> dict[str, Any]:
    """How often what is wrong, and where."""
    wrong = [(wrong, cell) for cell in cells for wrong in cell.wrongs(FAULTS[cell.fault])]
    unanswered = [cell for cell in cells if cell.unanswered and FAULTS[cell.fault].fails]
    starved = [cell for cell in cells if cell.control_s > LATE_S]
    return {
        "faults": len({cell.fault for cell in cells}),
        "requests": len(cells),
        "wrong": dict(Counter(each for each, _ in wrong)),
        "where": [f"{each}: {_named(cell)}" for each, cell in wrong],
        "unanswered though others stood by": [_named(cell) for cell in unanswered],
        "slowest_s": max(cell.took_s for cell in cells),
        "requests whose control took more than half a second": len(starved),
        "latest beyond deadline and control, s": round(max(cell.took_s - DEADLINE_S - cell.control_s for cell in cells), 2),
    }


def table(cells: Sequence[Cell]) -> str:
    """A row for each fault, a column for each lane."""
    by_place = {(cell.fault, cell.model, cell.bad, cell.stream): cell for cell in cells}
    names = {LLMS[0]: "pass", "routemoa-single": "single", "routemoa": "mixture"}
    heads = [f"{names[model]}, {bad}{', stream' * stream}" for model, bad, stream in LANES]
    lines = ["| fault | " + " | ".join(heads) + " |", "|" + "---|" * (len(LANES) + 1)]
    faults = dict.fromkeys(cell.fault for cell in cells)
    lines += [f"| {name} | " + " | ".join(_short(by_place[name, *place]) for place in LANES) + " |" for name in faults]
    return "\n".join(lines) + "\n"


def _short(cell: Cell) -> str:
    what = "ok" if cell.ended == "complete" else f"{cell.status} {cell.code or cell.ended}"
    took = f" {cell.took_s:.1f} s" if cell.took_s > 0.9 else ""
    return f"**{what}**{took}" if any(cell.wrongs(FAULTS[cell.fault])) else what + took


def _named(cell: Cell) -> str:
    return f"{cell.fault}, {cell.model}, {cell.bad}{', stream' * cell.stream}: {_short(cell)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 where anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.upstream_faults", description=__doc__)
    parser.add_argument("faults", nargs="*", choices=[[], *FAULTS], help="all where none is named")
    parser.add_argument("--at-once", type=int, default=len(LANES), help="requests at once: fewer where the machine is busy")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    cells = measure(given.faults or list(FAULTS), given.at_once)
    found = counts(cells)
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "table.md").write_text(table(cells), encoding="utf-8")
        (given.out / "results.json").write_text(json.dumps([asdict(cell) for cell in cells], indent=1) + "\n", encoding="utf-8")
    print_json(found)
    return int(bool(found["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
