"""What energy an LLM's tokens take, and the arithmetic from a call's usage to its kilowatt-hours. Unknown energy is None, never 0."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from mixture.usage import Usage

JOULES_A_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules per token read and per token written, `request` joules per call; what a cache had is not read again.

    source, as_of: who measured, declared or estimated it.
    """

    input: float
    output: float
    request: float = 0.0
    source: str = field(default="", compare=False)
    as_of: date | None = field(default=None, compare=False)

    def kwh(self, usage: Usage) -> float:
        """Kilowatt-hours of calls that used so much."""
        read = max(0, usage.input_tokens - usage.cache_read)
        return (read * self.input + usage.output_tokens * self.output + usage.requests * self.request) / JOULES_A_KWH


def together(kwh: Iterable[float | None]) -> float | None:
    """Their sum; None where one of them is unknown."""
    total = 0.0
    for each in kwh:
        if each is None:
            return None
        total += each
    return total
