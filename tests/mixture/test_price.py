"""What calls cost, against a biller that was written apart from ours."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.price import UNKNOWN, Override, Price, changes
from mixture.usage import Usage

NIGHT = datetime(2026, 11, 30, 2, 30, tzinfo=UTC)  # a Monday
NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
SONNET = Price(3, 15, cache_read=0.3, cache_write=3.75, cache_write_1h=6, overrides=(Override(6, 22.5, 0.6, 7.5, 12, longer_than=200_000),))
NIGHTLY = Price(0.27, 1.1, cache_read=0.07, overrides=(Override(0.135, 0.55, start=16 * 60 + 30, end=30),))
EVERYTHING = Price(
    2,
    8,
    cache_read=0.5,
    reasoning=12,
    request=0.005,
    discount=0.25,
    overrides=(
        Override(input=4, longer_than=1_000),
        Override(output=6, start=22 * 60, end=6 * 60),
        Override(output=5, start=22 * 60, end=6 * 60, days=frozenset({5, 6})),
        Override(input=5, longer_than=1_000, since=date(2026, 12, 1)),
    ),
)


def bill_by_line(price: Price, usage: Usage, when: datetime) -> Decimal:
    """The independent biller: a line a kind of token, in Decimal, conditions read anew for each rate."""
    per_million, prompt = Decimal(1_000_000), usage.input_tokens / usage.requests

    def rate(kind: str) -> Decimal | None:
        chosen = getattr(price, kind)
        for each in price.overrides:
            now, start, end = when.strftime("%H%M"), _clock(each.start), _clock(each.end)
            if each.longer_than is not None and not prompt > each.longer_than:
                continue
            if start is not None and not (start <= now < end if start <= end else now >= start or now < end):
                continue
            if each.days and when.isoweekday() - 1 not in each.days:
                continue
            if each.since is not None and when.date() < each.since:
                continue
            if getattr(each, kind) is not None:
                chosen = getattr(each, kind)
        return None if chosen is None else Decimal(str(chosen))

    fresh, written = rate("input"), rate("output")
    read = fresh if rate("cache_read") is None else rate("cache_read")
    write = fresh if rate("cache_write") is None else rate("cache_write")
    hour = write if rate("cache_write_1h") is None else rate("cache_write_1h")
    thought = written if rate("reasoning") is None else rate("reasoning")
    lines = [
        (usage.input_tokens - usage.cache_read - usage.cache_write - usage.cache_write_1h, fresh),
        (usage.cache_read, read),
        (usage.cache_write, write),
        (usage.cache_write_1h, hour),
        (usage.output_tokens - usage.reasoning, written),
        (usage.reasoning, thought),
    ]
    tokens = sum((Decimal(count) * each for count, each in lines), Decimal(0)) / per_million
    return (tokens + usage.requests * rate("request")) * (1 - Decimal(str(price.discount)))


def _clock(minute: int | None) -> str | None:
    return None if minute is None else f"{minute // 60:02}{minute % 60:02}"


PLANTED = [
    (SONNET, Usage(50_000, 1_000, cache_read=45_000, cache_write=4_000), NOON, "0.0465"),
    (SONNET, Usage(250_000, 1_000, cache_read=200_000, cache_write_1h=10_000), NOON, "0.5025"),
    (SONNET, Usage(200_000, 0), NOON, "0.6"),
    (SONNET, Usage(200_001, 0), NOON, "1.200006"),
    (NIGHTLY, Usage(1_000_000, 1_000_000), NOON, "1.37"),
    (NIGHTLY, Usage(1_000_000, 1_000_000), NIGHT.replace(hour=0, minute=29), "0.685"),
    (NIGHTLY, Usage(1_000_000, 1_000_000), NIGHT.replace(hour=0, minute=30), "1.37"),
    (EVERYTHING, Usage(1_000, 500, cache_read=400, reasoning=300), NOON, "0.0087"),
    (EVERYTHING, Usage(2_000, 500, reasoning=300), NIGHT, "0.01335"),
    (EVERYTHING, Usage(2_000, 500), NIGHT.replace(month=12, day=5), "0.013125"),
]


@pytest.mark.parametrize(("price", "usage", "when", "usd"), PLANTED)
def test_a_bill_is_what_a_biller_written_apart_makes_of_it(price: Price, usage: Usage, when: datetime, usd: str) -> None:
    """Planted cached and thought tokens, tiers at their edge, night tariffs across midnight, weekends, discounts, fees."""
    ours = price.at(when).bill(usage)
    assert ours == pytest.approx(float(bill_by_line(price, usage, when)), abs=1e-12)
    assert ours == pytest.approx(float(usd), abs=1e-9)


rates = st.floats(0, 100, allow_nan=False).map(lambda rate: round(rate, 3))
maybe = st.none() | rates
conditions = st.fixed_dictionaries(
    {},
    optional={
        "longer_than": st.integers(0, 5_000),
        "start": st.integers(0, 1439),
        "days": st.frozensets(st.integers(0, 6), min_size=1),
        "since": st.dates(date(2026, 1, 1), date(2027, 1, 1)),
    },
)


@st.composite
def prices(draw: st.DrawFn, *, overridden: bool = True) -> Price:
    names = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "request")
    overrides = []
    for _ in range(draw(st.integers(0, 3)) if overridden else 0):
        when = draw(conditions)
        end = {"end": draw(st.integers(0, 1439))} if "start" in when else {}
        overrides.append(Override(**{name: draw(maybe) for name in names}, **when, **end))
    more = {name: draw(maybe) for name in names[2:-1]}
    return Price(
        draw(rates),
        draw(rates),
        **more,
        request=draw(rates) / 1e3,
        discount=draw(st.sampled_from([0, 0.1, 0.5])),
        overrides=tuple(overrides),
    )


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    parts = [draw(st.integers(0, 3_000)) for _ in range(4)]
    written, thought = draw(st.integers(0, 3_000)), draw(st.integers(0, 3_000))
    return Usage(sum(parts), written + thought, *parts[:3], thought)


times = st.integers(0, 366 * 1440).map(lambda minute: NOON.replace(month=1, day=1) + timedelta(minutes=minute))


@given(prices(), usages(), times)
def test_any_schedule_is_billed_as_the_biller_bills_it(price: Price, usage: Usage, when: datetime) -> None:
    """To far below a cent, whatever the conditions."""
    assert price.at(when).bill(usage) == pytest.approx(float(bill_by_line(price, usage, when)), abs=1e-9)


@given(prices(), usages(), times, st.integers(0, 500), st.integers(0, 500))
def test_no_call_costs_more_than_its_worst_case_or_less_than_nothing(
    price: Price, usage: Usage, when: datetime, longer: int, more: int
) -> None:
    """What is reserved holds for every usage of at most so many tokens, cached and thought as may be."""
    in_force = price.at(when)
    assert 0 <= in_force.bill(usage) <= in_force.most(usage.input_tokens + longer, usage.output_tokens + more) + 1e-12


@given(prices(overridden=False), usages(), st.sampled_from(["input_tokens", "output_tokens"]), st.integers(1, 1_000))
def test_more_tokens_never_cost_less(price: Price, usage: Usage, kind: str, more: int) -> None:
    """Of one set of rates; a longer prompt may reach a cheaper tier, if a vendor has one."""
    assert price.bill(replace(usage, **{kind: getattr(usage, kind) + more})) >= price.bill(usage) - 1e-12


@given(prices(overridden=False), usages(), st.integers(0, 3_000))
def test_cached_tokens_are_never_dearer_where_their_rate_is_not(price: Price, usage: Usage, hit: int) -> None:
    """The same prompt with more of it read from the cache."""
    cached = replace(usage, cache_read=usage.cache_read + min(hit, usage.uncached))
    if price.cache_read is None or price.cache_read <= price.input:
        assert price.bill(cached) <= price.bill(usage) + 1e-12


def test_two_numbers_mean_what_they_always_meant() -> None:
    """A price that says nothing of caches or thinking bills every token at the two rates, alone or together."""
    assert Price(1, 2).cost(3_000_000, 1_000_000) == Price(1, 2).bill(Usage(3_000_000, 1_000_000, 10, 20, 30, 40)) == 5.0
    assert replace(SONNET, request=0.01).cost(1_000_000, 0, requests=10) == pytest.approx(3.1)
    assert Price(1, 2).flat
    assert not SONNET.flat


def test_an_unknown_price_is_infinite_never_nothing() -> None:
    """It fits no budget, and has no difference from itself."""
    assert UNKNOWN.bill(Usage(0, 0)) == UNKNOWN.most(1, 1) == float("inf")
    assert not UNKNOWN.known
    assert changes(UNKNOWN, UNKNOWN) == []
    assert changes(UNKNOWN, Price(1, 2)) == ["unknown -> 1 / 2"]


def test_what_changed_is_said_by_rate() -> None:
    """Source and date are no change."""
    assert changes(Price(1, 2), Price(1, 2.5, cache_read=0.1, source="x")) == ["output 2 -> 2.5", "cache read none -> 0.1"]
    assert changes(SONNET, replace(SONNET, overrides=())) == ["overrides 1 -> 0"]
    assert {each.name for each in fields(Usage)} >= {"cache_read", "cache_write", "cache_write_1h", "reasoning", "requests"}


def test_the_most_is_never_below_the_cost_of_an_empty_prompt() -> None:
    """An override without a length holds for every prompt, an empty one too."""
    price = Price(1, 2, overrides=(Override(request=0.5, input=3),))
    assert price.most(0, 0) == price.cost(0, 0) == 0.5
