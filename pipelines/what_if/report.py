"""The what-if as one object, and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pipelines.what_if.compare import Compared
from pipelines.what_if.next_steps import NextSteps
from pipelines.what_if.spent import Spent
from scorer.metrics import Interval

ASSUMED = (
    "Another LLM would have read the same tokens, with the same parts of them cached, for a session stays with the LLM of its first text.",
    "Its answer would have been longer or shorter than the logged one as its recorded answers are than those of the LLM that was asked.",
    "Intervals are of 95 %, each by itself: from how scores and costs came out on labelled queries of the same kinds, nothing else.",
    "Where no labelled query is like a call, it is taken that the quality of another LLM's answer may have been anything.",
)
ASSUMED_ALONE = "One LLM alone would have read, cached and written as many tokens as the log counts, and been paid its price of then."


@dataclass(frozen=True, slots=True)
class Report:
    """log: what it is of. lines: those read, as far as that is known. left_out: those that are no calls, by reason.

    scorer: which version, None where there is none; next_steps: what to do about that. settings: from the one that spends most on. best:
    by the floor. graded: the quality by graded requests, at which value of a dollar. notes: what a reader must know. share: of the
    sessions, drawn to be judged.
    """

    log: str
    spent: Spent
    lines: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    scorer: str | None = None
    next_steps: NextSteps | None = None
    baseline: str = ""
    judged: int = 0
    sessions: int = 0
    share: float = 1.0
    not_judged: Mapping[str, int] = field(default_factory=dict)
    settings: tuple[Compared, ...] = ()
    floor: float | None = None
    best: Compared | None = None
    graded: tuple[float, Interval] | None = None
    notes: tuple[str, ...] = ()

    @property
    def assumed(self) -> tuple[str, ...]:
        """What its figures rest on."""
        return (*(ASSUMED if self.settings else ()), *((ASSUMED_ALONE,) if self.spent.elsewhere else ()))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "assumed": list(self.assumed)}
