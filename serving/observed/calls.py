"""Calls to one LLM as seen in this process, each counting less the older it is, before those that were recorded."""

from dataclasses import dataclass, field

from mixture.choose.work import work
from scorer.recorded_calls import RecordedCalls

FORGOTTEN = 0.01  # a weight of seen calls that says nothing where nothing else is known


@dataclass(frozen=True, slots=True)
class Means:
    """Of an LLM's calls: seconds (None where nobody measured them), `work`, and tokens of an answer."""

    latency_s: float | None
    work: float
    output_tokens: float

    @classmethod
    def of(cls, recorded: RecordedCalls | None) -> "Means | None":
        """Those of recorded calls."""
        if recorded is None:
            return None
        return cls(recorded.latency_s, work(recorded.input_tokens, recorded.output_tokens), recorded.output_tokens)


@dataclass(frozen=True, slots=True)
class Memory:
    """How calls are kept in mind. newest: the weight of the newest call. half_life_s: in which what was seen loses half its weight."""

    newest: float
    half_life_s: float


# About the last twenty calls. An endpoint's load changes within minutes, and an LLM that one slow call made look bad is not asked again
# to show otherwise.
LATELY = Memory(newest=0.1, half_life_s=600.0)
# About the last hundred: what this machine and this traffic are like, whatever was recorded elsewhere.
LONG_RUN = Memory(newest=0.02, half_life_s=86400.0)


@dataclass(frozen=True, slots=True)
class WeightedCalls:
    """Sums over calls, each at its weight. weight: of all together, below 1. at_s: when they weighed so."""

    memory: Memory
    weight: float = 0.0
    latency_s: float = 0.0
    work: float = 0.0
    output_tokens: float = 0.0
    at_s: float = 0.0

    def faded(self, now_s: float) -> "WeightedCalls":
        """The same, later."""
        return self._scaled(0.5 ** ((now_s - self.at_s) / self.memory.half_life_s), now_s)

    def after(self, call: Means, now_s: float) -> "WeightedCalls":
        """With a call that ended now."""
        newest = self.memory.newest
        before = self.faded(now_s)._scaled(1.0 - newest, now_s)
        return WeightedCalls(
            self.memory,
            before.weight + newest,
            before.latency_s + newest * (call.latency_s or 0.0),
            before.work + newest * call.work,
            before.output_tokens + newest * call.output_tokens,
            now_s,
        )

    def before(self, others: Means | None) -> Means | None:
        """Means of these calls and, at the weight that is left, of others; of these alone where there are none."""
        rest = 1.0 - self.weight
        if others is None:
            others, rest = Means(None, 0.0, 0.0), 0.0
        total = self.weight + rest
        if total < FORGOTTEN:
            return None
        done, output_tokens = (self.work + rest * others.work) / total, (self.output_tokens + rest * others.output_tokens) / total
        if others.latency_s is not None:
            return Means((self.latency_s + rest * others.latency_s) / total, done, output_tokens)
        return Means(None if self.weight < FORGOTTEN else self.latency_s / self.work * done, done, output_tokens)

    def _scaled(self, factor: float, now_s: float) -> "WeightedCalls":
        weight, latency_s, done, output_tokens = (factor * each for each in (self.weight, self.latency_s, self.work, self.output_tokens))
        return WeightedCalls(self.memory, weight, latency_s, done, output_tokens, now_s)


@dataclass(frozen=True, slots=True)
class SeenCalls:
    """What was seen of one LLM. It fades from the last minutes' calls to those of the last days, and from these to what was recorded."""

    lately: WeightedCalls = field(default=WeightedCalls(LATELY))
    long_run: WeightedCalls = field(default=WeightedCalls(LONG_RUN))

    def faded(self, now_s: float) -> "SeenCalls":
        """The same, later."""
        return SeenCalls(self.lately.faded(now_s), self.long_run.faded(now_s))

    def after(self, call: Means, now_s: float) -> "SeenCalls":
        """With a call that ended now."""
        return SeenCalls(self.lately.after(call, now_s), self.long_run.after(call, now_s))

    def before(self, recorded: RecordedCalls | None) -> Means | None:
        """What its calls usually take, None where nothing is known."""
        return self.lately.before(self.long_run.before(Means.of(recorded)))

    @property
    def weight(self) -> float:
        """How much was seen, from 0 to 1."""
        return max(self.lately.weight, self.long_run.weight)
