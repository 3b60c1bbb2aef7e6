"""Served requests that wait to be scored by other versions, once their answers have left: few, and none waits for them."""

import asyncio
from collections import deque

from serving.scorers.scored_request import ScoredRequest
from serving.worker.metrics import Metrics

MOST = 64  # waiting requests, each with its messages; more are not scored, and counted


class Shadowing:
    """dropped: since this worker started."""

    def __init__(self, metrics: Metrics) -> None:
        self.dropped = 0
        self._metrics = metrics
        self._arrived = asyncio.Event()
        self._waiting: deque[tuple[str, ScoredRequest]] = deque()

    def note(self, record_id: str, scored: ScoredRequest) -> None:
        """A request was served and recorded; where too many wait already it is left out."""
        if len(self._waiting) >= MOST:
            self.dropped += 1
            self._metrics.shadowed.labels("dropped").inc()
            return
        self._waiting.append((record_id, scored))
        self._arrived.set()

    async def some(self) -> None:
        """Returns where one waits."""
        await self._arrived.wait()
        self._arrived.clear()

    def take(self) -> tuple[str, ScoredRequest] | None:
        """The one that waits longest."""
        return self._waiting.popleft() if self._waiting else None
