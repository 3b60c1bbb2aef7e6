"""What endpoints say that their calls cost, beside what their pool entries' prices make of them: a wrong price shows here."""

import math
from dataclasses import dataclass, field

from mixture.client.protocol import Reply
from serving.events import CostDiffers, Events
from serving.worker.metrics import Metrics

TOLERANCE = 0.02  # of the larger of the two
LEAST_USD = 1e-9  # below, endpoints round
QUIET_S = 600.0  # between two events of one LLM; each difference is counted


@dataclass(slots=True)
class StatedCosts:
    """Compares each reply's two costs."""

    events: Events
    metrics: Metrics
    _told_at: dict[str, float] = field(default_factory=dict)

    def compare(self, reply: Reply, now_s: float) -> None:
        """Counts a difference above TOLERANCE, and emits an event for it unless one was emitted lately. now_s: monotonic seconds."""
        stated = reply.stated_usd
        if stated is None or math.isclose(reply.cost_usd, stated, rel_tol=TOLERANCE, abs_tol=LEAST_USD):
            return
        self.metrics.cost_differs.labels(reply.llm).inc()
        if now_s - self._told_at.get(reply.llm, -math.inf) >= QUIET_S:
            self._told_at[reply.llm] = now_s
            self.events.emit(CostDiffers(reply.llm, reply.cost_usd, stated))
