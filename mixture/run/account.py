"""What one request has spent so far: kept outside of the work on it, so it is known however the request ends."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from mixture.choose.options import Options
from mixture.client.protocol import Reply
from mixture.decision import Failure
from mixture.energy import Energy
from mixture.errors import LLMFailed
from mixture.run.ledger import Ledger
from mixture.usage import Usage


@dataclass(frozen=True, slots=True)
class FailedCall:
    """A call that brought no answer. layer: from 1, 0 for the aggregator. at_s: seconds from the request's start."""

    layer: int
    error: LLMFailed
    at_s: float

    def as_failure(self) -> Failure:
        """For the decision."""
        return Failure.of(self.layer, self.error, self.at_s)


@dataclass(slots=True)
class Account:
    """The calls of one request. retried: attempts that failed and were followed by another.

    started_at: when its calls could begin (the engine's clock), None before. replied_at_s: of each reply, seconds from then.
    kwh: its energy, None where nobody knows it.
    """

    ledger: Ledger = field(default_factory=Ledger)
    started_at: float | None = None
    replies: list[Reply] = field(default_factory=list)
    replied_at_s: list[float] = field(default_factory=list)
    kwh: list[float | None] = field(default_factory=list)
    failed: list[FailedCall] = field(default_factory=list)
    retried: list[FailedCall] = field(default_factory=list)

    @classmethod
    def of(cls, options: Options) -> "Account":
        """For a request under these options."""
        return cls(Ledger(options.budget_usd))

    def note(self, reply: Reply, at_s: float, energy: Energy | None) -> None:
        """Writes down a reply that is there at `at_s`, of an LLM whose tokens take so much energy."""
        self.replies.append(reply)
        self.replied_at_s.append(at_s)
        self.kwh.append(None if energy is None else energy.kwh(reply.usage or Usage(reply.input_tokens, reply.output_tokens)))

    @property
    def input_tokens(self) -> int:
        """Of every call that was answered."""
        return sum(each.input_tokens for each in self.replies)

    @property
    def output_tokens(self) -> int:
        """Of every call that was answered."""
        return sum(each.output_tokens for each in self.replies)

    @property
    def reasoning_tokens(self) -> int:
        """Thought, of the tokens written."""
        return sum(each.usage.reasoning for each in self.replies if each.usage is not None)

    @property
    def cached_tokens(self) -> int:
        """Read from a cache, of the tokens read."""
        return sum(each.usage.cache_read for each in self.replies if each.usage is not None)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The LLMs that answered and whose cost nobody knows."""
        return tuple(dict.fromkeys(each.llm for each in self.replies if not each.cost_known))

    @property
    def energy_kwh(self) -> float | None:
        """Of the calls whose energy is known, None where it is of none."""
        known = [each for each in self.kwh if each is not None]
        return math.fsum(known) if known else None

    @property
    def unmetered(self) -> tuple[str, ...]:
        """The LLMs that answered and whose energy nobody knows."""
        return tuple(dict.fromkeys(each.llm for each, kwh in zip(self.replies, self.kwh, strict=True) if kwh is None))

    def failures(self) -> Iterable[Failure]:
        """The calls that brought no answer."""
        return (each.as_failure() for each in self.failed)
