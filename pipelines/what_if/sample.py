"""Which sessions of a large log are judged, and what the draw may have missed: scoring every text of a month takes hours and says no more.

Each session is drawn by itself, by a hash of its name, so a log gives the same sample again. A share of the log is then a ratio of two sums
over drawn sessions, with the variance of a linearised ratio under Poisson sampling (Särndal, Swensson and Wretman 1992, 5.5 and 3.5):

    (1 - share) * sum((value - ratio * weight) ** 2 over drawn sessions) / sum(weight) ** 2
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from pipelines.logs.call import LoggedCall
from pipelines.logs.private import Redacting
from pipelines.what_if.history import Billed
from pipelines.what_if.judgeable import Judgeable
from scorer.metrics import Interval

MOST_JUDGED = 20_000  # calls, about: points of quality to half a point, in minutes
SURE = 1.96  # standard deviations of a 95 % interval


def slim(call: LoggedCall) -> LoggedCall:
    """What a what-if needs of a call: messages only where tokens have to be estimated by them."""
    counted = call.usage.input_tokens is not None and call.usage.output_tokens is not None and call.usage.input_tokens > 0
    return replace(call, messages=None if counted else call.messages, rest={})


@dataclass(slots=True)
class Sample:
    """About MOST_JUDGED of `calls` calls, by whole sessions; all of fewer."""

    calls: int
    drawn: list[Billed] = field(default_factory=list)
    redacting: Redacting = field(default_factory=Redacting)

    @property
    def share(self) -> float:
        """The chance of each session."""
        return min(1.0, MOST_JUDGED / max(self.calls, 1))

    def watch(self, billed: Iterable[Billed]) -> Iterator[Billed]:
        """All calls as they pass; those of drawn sessions are kept, their texts redacted."""
        for place, each in enumerate(billed):
            if self.share >= 1 or _at(each.call.session or f"call {place}") < self.share:
                self.drawn.append(replace(each, call=self.redacting(replace(each.call, messages=None, rest={}))))
            yield each


def margin(values_N: NDArray[np.float64], weights_N: NDArray[np.float64], judged: Judgeable) -> float:
    """Half the width of a 95 % interval of sum(values * inside) / sum(weights), as far as it comes of the draw of sessions.

    A weight of 0 leaves a call out.
    """
    total = float(weights_N.sum())
    if judged.share >= 1 or not total:
        return 0.0
    inside_N = np.where(weights_N > 0, values_N, 0.0)
    residuals_N = inside_N - inside_N.sum() / total * weights_N
    by_session = np.bincount(judged.first_N, weights=residuals_N)
    return SURE * float(np.sqrt((1 - judged.share) * (by_session**2).sum())) / total


def widened(interval: Interval, half: float) -> Interval:
    """With an error of its own beside that of the interval."""
    mean, low, high = interval.mean, interval.low, interval.high
    return Interval(mean, mean - float(np.hypot(mean - low, half)), mean + float(np.hypot(high - mean, half))) if half else interval


def _at(name: str) -> float:
    """Where in [0, 1) a session lies."""
    return int.from_bytes(blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()) / 2**64
