"""What a log cost, added up in one pass: by LLM, by key and by day, and what one LLM alone would have cost on the same tokens."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from mixture.llm import LLM
from mixture.usage import Usage
from pipelines.what_if import history
from pipelines.what_if.history import Billed

MONTH_DAYS = 365.25 / 12
FEWEST_DAYS = 7  # from which on an amount a month is told: a week has its weekend
Sums = dict[str, tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Spent:
    """What the log cost: calls (requests), those priced, USD at our prices, and as stated there by the calls that state it (None: none).

    by_llm, by_key: calls and USD, the dearest first. first, last: the days (UTC) of its calls, "" where none says when; undated: priced
    calls that do not. cached_share: of the prompt tokens that are counted. overcached: calls with more cached than prompt tokens, and the
    USD that they would cost more if their prompts came on top. elsewhere: what the priced calls would have cost on the same tokens with
    one other LLM alone, the cheapest first; logged: those of them that the log used.
    """

    calls: int
    priced: int
    estimated: int
    usd: float
    stated_usd: float | None
    stated_as_priced_usd: float
    by_llm: Mapping[str, tuple[int, float]]
    not_priced: Mapping[str, int]
    by_key: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    undated: int = 0
    sessions: int = 0
    cached_share: float | None = None
    overcached: int = 0
    overcached_usd: float = 0.0
    elsewhere: Mapping[str, float] = field(default_factory=dict)
    logged: tuple[str, ...] = ()

    @classmethod
    def of(cls, billed: Iterable[Billed], others: Sequence[LLM] = (), logged: Sequence[LLM] = ()) -> "Spent":
        """Of all calls, gone through once. others: LLMs at whose prices the same tokens are told, too; logged: those the log used."""
        told = _Told({llm.id: llm for llm in (*others, *logged) if llm.price.known})
        for each in billed:
            told.take(each)
        return told.spent({llm.id for llm in logged})

    @property
    def days(self) -> int:
        """From the first day to the last, both counted; 0 where no call says when it was."""
        return (date.fromisoformat(self.last) - date.fromisoformat(self.first)).days + 1 if self.first else 0

    @property
    def usd_a_month(self) -> float | None:
        """By its days; None where these are few, or calls do not say when they were."""
        return self.usd / self.days * MONTH_DAYS if self.days >= FEWEST_DAYS and not self.undated else None


@dataclass(slots=True)
class _Told:
    """The sums, call by call. llms: at whose prices the tokens are told."""

    llms: Mapping[str, LLM]
    counts: Counter[str] = field(default_factory=Counter)
    not_priced: Counter[str] = field(default_factory=Counter)
    usd: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    by_llm: Sums = field(default_factory=dict)
    by_key: Sums = field(default_factory=dict)
    days: set[date] = field(default_factory=set)
    sessions: set[int] = field(default_factory=set)
    alone: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def take(self, each: Billed) -> None:
        """Adds a call."""
        self.counts["calls"] += each.requests
        if each.call.session is not None:
            self.sessions.add(hash(each.call.session))
        if each.call.at is not None:
            self.days.add(each.call.at.date())
        if each.why_not:
            self.not_priced[each.why_not] += 1
        if each.usd is not None and each.usage is not None:
            self._take_priced(each, each.usd, each.usage)

    def _take_priced(self, each: Billed, usd: float, usage: Usage) -> None:
        self.counts["priced"] += each.requests
        self.counts["estimated"] += each.requests * each.estimated
        self.counts["undated"] += each.requests * (each.call.at is None)
        _add(self.by_llm, str(each.call.llm), each.requests, usd)
        if each.call.key is not None:
            _add(self.by_key, each.call.key, each.requests, usd)
        if each.call.cost_usd is not None:
            self.counts["stated"] += 1
            self.usd["stated"] += each.call.cost_usd
            self.usd["as priced"] += usd
        cached = usage.cache_read + usage.cache_write
        if not each.estimated:
            self.counts["prompt tokens"] += max(usage.input_tokens, cached)
            self.counts["cached tokens"] += usage.cache_read
            self.counts["cached told"] += each.call.usage.cached_tokens is not None
        if cached > usage.input_tokens and each.llm is not None:
            self.counts["overcached"] += each.requests
            on_top = replace(usage, input_tokens=usage.input_tokens + cached)
            self.usd["on top"] += history.at(each.llm.price, each.call, on_top) - usd
        for llm_id, llm in self.llms.items():
            self.alone[llm_id] += history.at(llm.price, each.call, usage)

    def spent(self, logged: set[str]) -> Spent:
        """All of it."""
        counts, cheapest = self.counts, sorted(self.alone.items(), key=lambda pair: pair[1])
        return Spent(
            calls=counts["calls"],
            priced=counts["priced"],
            estimated=counts["estimated"],
            usd=sum(usd for _, usd in self.by_llm.values()),
            stated_usd=self.usd["stated"] if counts["stated"] else None,
            stated_as_priced_usd=self.usd["as priced"],
            by_llm=_dearest(self.by_llm),
            not_priced=dict(self.not_priced.most_common()),
            by_key=_dearest(self.by_key),
            first=min(self.days).isoformat() if self.days else "",
            last=max(self.days).isoformat() if self.days else "",
            undated=counts["undated"],
            sessions=len(self.sessions),
            cached_share=counts["cached tokens"] / counts["prompt tokens"] if counts["cached told"] and counts["prompt tokens"] else None,
            overcached=counts["overcached"],
            overcached_usd=self.usd["on top"],
            elsewhere=dict(cheapest),
            logged=tuple(llm_id for llm_id, _ in cheapest if llm_id in logged),
        )


def _add(sums: Sums, name: str, calls: int, usd: float) -> None:
    before, spent = sums.get(name, (0, 0.0))
    sums[name] = (before + calls, spent + usd)


def _dearest(sums: Sums) -> Sums:
    return dict(sorted(sums.items(), key=lambda pair: -pair[1][1]))
