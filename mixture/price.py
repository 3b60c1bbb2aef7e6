"""What an LLM costs: a schedule of rates by prompt length and time, and the arithmetic from a call's usage to its dollars."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from typing import Any

from mixture.usage import Usage

MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Override:
    """Rates that replace the usual ones while all its conditions hold; None leaves a rate, and a condition out.

    longer_than: tokens of the prompt. start, end: minutes of the UTC day, half open, across midnight where end < start.
    days: 0 for Monday, of the UTC day. since: the first UTC day.
    """

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    reasoning: float | None = None
    request: float | None = None
    longer_than: int | None = None
    start: int | None = None
    end: int | None = None
    days: frozenset[int] = frozenset()
    since: date | None = None

    @property
    def timed(self) -> bool:
        """Whether it depends on the time of a call."""
        return self.since is not None or self.start is not None or bool(self.days)

    def holds_at(self, when: datetime) -> bool:
        """Whether its conditions on the time hold at `when` (UTC)."""
        minute, start, end = when.hour * 60 + when.minute, self.start or 0, MINUTES if self.end is None else self.end
        in_hours = start <= minute < end if start <= end else minute >= start or minute < end
        return in_hours and (not self.days or when.weekday() in self.days) and (self.since is None or when.date() >= self.since)

    def reached(self, tokens: int) -> bool:
        """Whether its condition on the prompt's length holds for so many tokens."""
        return self.longer_than is None or tokens > self.longer_than

    def always(self) -> "Override":
        """The same without its conditions on the time."""
        return replace(self, start=None, end=None, days=frozenset(), since=None)


RATES = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "request")


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens, `request` USD per call.

    cache_read, cache_write: `input` where None. cache_write_1h: `cache_write`. reasoning: `output`.
    overrides: those that hold apply in order, each over the ones before. discount: share off everything. source, as_of: where it stands.
    cache_s: seconds that a cache keeps what it was last asked for, None where nobody says.
    """

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    reasoning: float | None = None
    request: float = 0.0
    overrides: tuple[Override, ...] = ()
    discount: float = 0.0
    cache_s: float | None = field(default=None, compare=False)
    source: str = field(default="", compare=False)
    as_of: date | None = field(default=None, compare=False)

    @property
    def known(self) -> bool:
        """Whether anybody said what it is."""
        return math.isfinite(self.input)

    @property
    def flat(self) -> bool:
        """Whether it is two numbers."""
        return self == Price(self.input, self.output)

    def at(self, when: datetime) -> "Price":
        """The price in force at `when` (UTC): of its overrides only those by prompt length are left."""
        if not any(each.timed for each in self.overrides):
            return self
        return replace(self, overrides=tuple(each.always() for each in self.overrides if not each.timed or each.holds_at(when)))

    def bill(self, usage: Usage) -> float:
        """USD for calls that used so much; infinite where the price is unknown. Overrides by time have no part in it: see `at`."""
        rates = self._for_prompt(usage.prompt_length)
        read, write = _or(rates.cache_read, rates.input), _or(rates.cache_write, rates.input)
        tokens = (
            usage.uncached * rates.input
            + usage.cache_read * read
            + usage.cache_write * write
            + usage.cache_write_1h * _or(rates.cache_write_1h, write)
            + usage.spoken * rates.output
            + usage.reasoning * _or(rates.reasoning, rates.output)
        )
        return (1.0 - self.discount) * (tokens / 1e6 + usage.requests * rates.request) if self.known else math.inf

    def cost(self, input_tokens: int, output_tokens: int, requests: int = 1) -> float:
        """USD for calls of which nobody knows more than their tokens: nothing cached, nothing thought."""
        return self.bill(Usage(input_tokens, output_tokens, requests=requests))

    def most(self, input_tokens: int, output_tokens: int) -> float:
        """USD that a call of at most so many tokens cannot exceed, whatever is cached, thought, or less than expected."""
        if not self.overrides and self.flat:
            return self.cost(input_tokens, output_tokens)
        reached: list[Price | Override] = [self, *(each for each in self.overrides if each.reached(input_tokens))]
        dearest_in = _highest(reached, "input", "cache_read", "cache_write", "cache_write_1h")
        dearest_out = _highest(reached, "output", "reasoning")
        usd = (input_tokens * dearest_in + output_tokens * dearest_out) / 1e6 + _highest(reached, "request")
        return (1.0 - self.discount) * usd if self.known else math.inf

    def _for_prompt(self, tokens: int) -> "Price":
        """The usual rates and, over them, those of the overrides for a prompt of so many tokens."""
        if not self.overrides:
            return self
        changed: dict[str, Any] = {}
        for each in self.overrides:
            if not each.timed and each.reached(tokens):
                changed |= {name: rate for name in RATES if (rate := getattr(each, name)) is not None}
        return replace(self, **changed, overrides=()) if changed else self


UNKNOWN = Price(math.inf, math.inf)


def changes(before: Price, after: Price) -> list[str]:
    """What differs between two prices, in words: `input 3 -> 2.5`."""
    if not before.known or not after.known:
        return [] if before.known == after.known else [f"{_said(before)} -> {_said(after)}"]
    names = [each.name for each in fields(Price) if each.compare and each.name != "overrides"]
    told = [
        f"{name.replace('_', ' ')} {_number(getattr(before, name))} -> {_number(getattr(after, name))}"
        for name in names
        if getattr(before, name) != getattr(after, name)
    ]
    return told + ([f"overrides {len(before.overrides)} -> {len(after.overrides)}"] if before.overrides != after.overrides else [])


def _said(price: Price) -> str:
    return f"{price.input:g} / {price.output:g}" if price.known else "unknown"


def _number(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:g}"


def _or(rate: float | None, otherwise: float) -> float:
    return otherwise if rate is None else rate


def _highest(rates: Iterable[Price | Override], *names: str) -> float:
    highest: float = max(rate for each in rates for name in names if (rate := getattr(each, name)) is not None)
    return highest
