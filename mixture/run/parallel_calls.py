"""Asks several LLMs at once: others stand in for those that fail or are late, it goes on once enough answered, and cuts off stragglers."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from mixture.choose.ranking import PATIENCE, Ranked
from mixture.client.protocol import Reply
from mixture.decision import Run, empty
from mixture.errors import LLMCutOff, LLMFailed, LLMTimedOut
from mixture.llm import LLM
from mixture.run.account import FailedCall
from mixture.run.calls import Calls
from mixture.run.ledger import Reservation

MOST_LATE = 1  # late calls of a layer that others stand in for: where every LLM is late, asking more of them would make it worse
STRAGGLER_GRACE_S = 5.0  # that a straggler of unknown latency gets after the quorum at least


@dataclass(frozen=True, slots=True)
class _Running:
    """A call. late_at: when it has taken so long that another LLM is asked too, should it be needed for the quorum."""

    ranked: Ranked
    since: float
    late_at: float


@dataclass(slots=True)
class ParallelCalls:
    """One layer while it runs. `ask()` ends with `runs` filled; it leaves no call behind.

    number: of the layer, from 1. reserve: an LLM's call, None where the budget has no room for it. read: makes an LLM's reply a run.
    """

    calls: Calls
    number: int
    reserve: Callable[[LLM], Reservation | None]
    read: Callable[[LLM, Reply], Run]
    ranking: Sequence[Ranked]
    runs: dict[str, Run] = field(default_factory=dict)
    _quorum_at: float | None = None

    @property
    def failed(self) -> list[FailedCall]:
        """The calls of the layer that brought no answer."""
        return [each for each in self.calls.failed if each.layer == self.number]

    async def ask(self) -> None:
        """Asks the chosen LLMs, and those standing by while fewer than the quorum have answered or still may.

        A late call is not given up: another LLM is asked beside it, and whichever answers first counts.
        """
        options = self.calls.options
        places = sum(each.chosen for each in self.ranking)
        quorum = min(options.quorum, places)
        waiting = deque(self.ranking[: places + options.spares])
        running: dict[asyncio.Task[Run | LLMFailed], _Running] = {}
        async with asyncio.TaskGroup() as group:

            def start_next() -> bool:
                upcoming = self._next(waiting)
                if upcoming is None:
                    return False
                ranked, reserved, wait_s = upcoming
                late_s, begins_at = self.calls.late_after_s(ranked.candidate), self.calls.clock() + wait_s
                running[group.create_task(self._attempt(reserved, late_s, wait_s))] = _Running(ranked, begins_at, begins_at + late_s)
                return True

            while len(running) < places and start_next():
                pass
            while running:
                wait_s = self._wait_s(running.values())
                done, _ = await asyncio.wait(running, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in running if task in done]:  # a set's own order is nobody's
                    self._take(running.pop(task).ranked.id, task.result())
                if self._quorum_at is None and len(self.runs) >= quorum:
                    self._quorum_at = self.calls.clock()
                if not done:
                    self._cut_off(running)
                while len(self.runs) + self._expected(running.values()) < quorum and start_next():
                    pass

    def _next(self, waiting: deque[Ranked]) -> tuple[Ranked, Reservation, float] | None:
        """Who is asked next, and in how many seconds: somebody new; once nobody is left, one whose failure may pass. None for nobody."""
        while waiting and self.calls.remaining_s > 0:
            ranked = waiting.popleft()
            if (reserved := self.reserve(ranked.candidate.llm)) is not None:
                return ranked, reserved, 0.0
        if (failed := self.calls.next_retry(self.number)) is None:
            return None
        ranked = next(each for each in self.ranking if each.id == failed.error.llm)
        if (reserved := self.reserve(ranked.candidate.llm)) is None:
            return None
        return ranked, reserved, self.calls.retry(failed)

    async def _attempt(self, reserved: Reservation, late_s: float, wait_s: float) -> Run | LLMFailed:
        await asyncio.sleep(wait_s)
        try:
            reply = await self.calls.ask(reserved, late_s)
        except LLMFailed as failed:
            return failed
        run = self.read(reserved.call.llm, reply)
        return run if run.text.strip() else empty(reply)

    def _take(self, llm: str, outcome: Run | LLMFailed) -> None:
        if isinstance(outcome, LLMFailed):
            self.calls.fail(self.number, outcome)
        else:
            self.runs[llm] = outcome

    def _wait_s(self, running: Iterable[_Running]) -> float | None:
        """Seconds until the first of the running calls is late or cut off, None where none can be."""
        until = min(self._cut_off_at(each) for each in running)
        if self._quorum_at is None:
            until = min(until, *(each.late_at for each in running if each.late_at > self.calls.clock()), math.inf)
        return None if math.isinf(until) else max(0.0, until - self.calls.clock())

    def _expected(self, running: Collection[_Running]) -> int:
        """How many of the running calls are counted on."""
        late = sum(each.late_at <= self.calls.clock() for each in running)
        return len(running) - min(late, MOST_LATE)

    def _cut_off_at(self, running: _Running) -> float:
        """When a call that has not ended by then is cut off; its deadline ends it by itself.

        A call of an LLM that nobody has seen answer gets PATIENCE times what the quorum took, unless it is late before that.
        """
        if self._quorum_at is None:
            return math.inf
        late_at = max(running.late_at, self._quorum_at)
        if not running.ranked.candidate.unproven:
            return late_at
        grace = max(running.since + PATIENCE * (self._quorum_at - running.since), self._quorum_at + STRAGGLER_GRACE_S)
        return min(late_at, grace)

    def _cut_off(self, running: dict[asyncio.Task[Run | LLMFailed], _Running]) -> None:
        now = self.calls.clock()
        for task, each in list(running.items()):
            if self._cut_off_at(each) <= now:
                task.cancel()
                del running[task]
                kind = LLMTimedOut if each.late_at <= now else LLMCutOff
                error = kind(each.ranked.id, f"cut off after {now - each.since:.2f} s, the others having answered.")
                error.waited_s = error.took_s = now - each.since
                self.calls.fail(self.number, error)
