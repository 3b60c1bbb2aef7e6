"""Traffic that can be decided again: which records, and what is known of all. None is held; each is read anew when it is looked at."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from monitoring.policies.logged_actions import CHANGED, SINGLE, STRATEGY, Served
from monitoring.records.record import Record


@dataclass(slots=True)
class Summary:
    """What is known of the records that one strategy answered.

    ids: of those that are decided alike now. delta: the largest within which chance drew. versions: that scored them. usd: how many were
    decided with which value of a dollar. prices: per million tokens in and out, of each LLM that was a candidate. costs: of each that might
    have answered, the sum of what a call was expected to cost, and of how many.
    """

    ids: set[str] = field(default_factory=set)
    changed: int = 0
    left_out: int = 0
    explored: int = 0
    extra_usd: "array[float]" = field(default_factory=lambda: array("d"))
    delta: float = 0.0
    versions: set[str] = field(default_factory=set)
    usd: Counter[float] = field(default_factory=Counter)
    prices: dict[str, set[tuple[float, float]]] = field(default_factory=dict)
    costs: dict[str, tuple[float, int]] = field(default_factory=dict)

    def add(self, served: Served) -> None:
        """One more of them."""
        if not served.decided_alike:
            self.changed += 1
            return
        action = served.action
        self.ids.add(served.record.id)
        self.explored += action.explored
        self.extra_usd.append(action.extra_usd)
        self.delta = max(self.delta, action.delta)
        self.versions.add(served.record.scorer_version)
        self.usd[served.request.options.weights.usd] += 1
        for llm in (candidate.llm for candidate in served.request.candidates):
            self.prices.setdefault(llm.id, set()).add((llm.price.input, llm.price.output))
        for each in action.candidates:
            total, count = self.costs.get(each.llm, (0.0, 0))
            self.costs[each.llm] = (total + each.cost_usd, count + 1)

    @property
    def total(self) -> int:
        """All that it answered."""
        return len(self.ids) + self.changed + self.left_out

    @property
    def usual_usd(self) -> float:
        """The value of a dollar that most requests were decided with: the operator's."""
        return self.usd.most_common(1)[0][0] if self.usd else 0.0

    def mean_cost_usd(self) -> dict[str, float]:
        """Expected of one call of each LLM that might have answered, in the order of their ids."""
        return {llm: self.costs[llm][0] / self.costs[llm][1] for llm in sorted(self.costs)}


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of `records`, those that can be decided again and that `strategy` answered. not_judged: how many others there are, by reason.

    records: can be gone through several times.
    """

    records: Iterable[Record]
    strategy: str
    summary: Summary
    not_judged: Mapping[str, int]

    @classmethod
    def of(cls, records: Iterable[Record], strategy: str | None) -> "Traffic":
        """Goes through all of them once. strategy: None takes the one that answered most."""
        why: Counter[str] = Counter()
        found: dict[str, Summary] = {}
        for record in records:
            one = Served.of(record)
            if isinstance(one, str):
                why[one] += 1
                continue
            summary = found.setdefault(one.strategy, Summary())
            if strategy in (None, one.strategy):
                summary.add(one)
            else:
                summary.left_out += 1
        wanted = strategy or max(found, key=lambda name: found[name].total, default=SINGLE)
        why.update({STRATEGY.format(name): summary.total for name, summary in found.items() if name != wanted})
        kept = found.get(wanted, Summary())
        why[CHANGED] += kept.changed
        return cls(records, wanted, kept, +why)

    def __len__(self) -> int:
        return len(self.summary.ids)

    def __iter__(self) -> Iterator[Served]:
        for record in self.recorded():
            if isinstance(one := Served.of(record), Served):
                yield one

    def recorded(self) -> Iterator[Record]:
        """The same, not decided again."""
        return (record for record in self.records if record.id in self.summary.ids)
