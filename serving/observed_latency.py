"""What calls to each LLM took lately, in this process: the latency and length that a ranking expects of the next one."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mixture.choose.ranking import Candidate
from mixture.decision import Run
from mixture.llm import LLM

WEIGHT = 0.1  # of the newest call: about the last twenty count


@dataclass(frozen=True, slots=True)
class Expected:
    """Exponentially weighted means."""

    latency_s: float
    output_tokens: float


@dataclass(slots=True)
class Experience:
    """Means per LLM id."""

    _expected: dict[str, Expected] = field(default_factory=dict)

    def note(self, runs: Iterable[Run]) -> None:
        """Takes in answered calls."""
        for run in runs:
            before = self._expected.get(run.llm, Expected(run.latency_s, run.output_tokens))
            self._expected[run.llm] = Expected(
                before.latency_s + WEIGHT * (run.latency_s - before.latency_s),
                before.output_tokens + WEIGHT * (run.output_tokens - before.output_tokens),
            )

    def candidate(self, llm: LLM, prior: float) -> Candidate:
        """`llm` as a candidate; what no call has shown yet stays unknown."""
        expected = self._expected.get(llm.id)
        if expected is None:
            return Candidate(llm, prior)
        return Candidate(llm, prior, output_tokens=round(expected.output_tokens), latency_s=expected.latency_s)
