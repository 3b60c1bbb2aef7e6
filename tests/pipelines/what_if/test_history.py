"""Logged calls at our prices: as an independent biller has them, and what cannot be priced is named and not free."""

from datetime import UTC, date, datetime, time

import pytest

from mixture.llm import LLM
from mixture.price import UNKNOWN, Override, Price
from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.what_if import history
from registry.named_prices import NamedPrice
from registry.pool import Pool

PLAIN = Price(1.0, 4.0)
CACHED = Price(2.0, 8.0, cache_read=0.2, cache_write=2.5, reasoning=10.0, request=0.001, discount=0.1)
TIERED = Price(1.0, 2.0, overrides=(Override(input=2.0, output=3.0, longer_than=1_000), Override(input=0.5, start=0, end=360)))
POOL = Pool(
    (LLM("plain", "plain", PLAIN), LLM("cached", "Cached 1", CACHED), LLM("tiered", "tiered", TIERED), LLM("secret", "secret", UNKNOWN))
)


def call(llm: str | None, hour: int = 12, **more: object) -> LoggedCall:
    """A call of a thousand tokens in and a hundred out."""
    usage = LoggedUsage(1_000, None, None, 100, None)
    given = {"usage": usage, "at": datetime.combine(date(2026, 10, 1), time(hour), UTC), "text": "what?", "llm": llm} | more
    return LoggedCall("log.jsonl", 1, **given)  # type: ignore[arg-type]


def nobody(_name: str, _provider: str | None) -> None:
    """Nobody publishes a price."""


def independent(kind: str, read: int, cached: int, written: int, spoken: int, thought: int) -> float:
    """What the bill must be, worked out by hand for each of the pool's prices; nothing of ours is used."""
    if kind == "plain":
        return (read * 1 + (spoken + thought) * 4) / 1_000_000
    if kind == "cached":
        return 0.9 * (((read - cached - written) * 2 + cached * 0.2 + written * 2.5 + spoken * 8 + thought * 10) / 1_000_000 + 0.001)
    dear = read > 1_000
    return (read * (2 if dear else 1) + (spoken + thought) * (3 if dear else 2)) / 1_000_000


@pytest.mark.parametrize("kind", ["plain", "cached", "tiered"])
@pytest.mark.parametrize("numbers", [(1_000, 0, 0, 100, 0), (1_500, 900, 200, 50, 250), (10, 0, 10, 1, 0), (1_001, 1_001, 0, 0, 9)])
def test_a_bill_is_what_an_independent_biller_has(kind: str, numbers: tuple[int, int, int, int, int]) -> None:
    """Cached, written and thought tokens, tiers by length, fees and discounts, to the last digit."""
    read, cached, written, spoken, thought = numbers
    usage = LoggedUsage(read, cached, written, spoken + thought, thought)
    (billed,) = history.bill([call(kind, usage=usage)], POOL, nobody)
    assert billed.usd == pytest.approx(independent(kind, *numbers), rel=1e-12)


def test_the_price_is_that_of_the_hour_of_the_call() -> None:
    """A rate that holds at night is not taken at noon."""
    night, noon = history.bill([call("tiered", hour=3), call("tiered", hour=12)], POOL, nobody)
    assert night.usd == pytest.approx((1_000 * 0.5 + 100 * 2) / 1e6)
    assert noon.usd == pytest.approx((1_000 * 1 + 100 * 2) / 1e6)


def test_what_cannot_be_priced_is_counted_by_its_reason() -> None:
    """Unknown names and prices, service tiers, calls without tokens or names: none is free, none is guessed."""
    calls = [
        call(None),
        call("never-heard-of"),
        call("secret"),
        call("plain", tier="batch"),
        call("plain", usage=LoggedUsage(), text=None),
        call("plain", tier="default"),
        call("Cached 1"),
    ]
    billed = history.bill(calls, POOL, nobody)
    assert [each.usd is None for each in billed] == [True] * 5 + [False] * 2
    assert {each.why_not for each in billed if each.why_not} == {
        "the log names no LLM",
        "the price of never-heard-of is unknown",
        "the price of secret is unknown",
        "service tier 'batch', whose price no list has",
        "the log has neither tokens nor texts",
    }


def test_an_llm_outside_the_pool_has_its_published_price() -> None:
    """It is looked up once for each name and provider, and is no LLM of the pool."""
    asked = []

    def published(name: str, provider: str | None) -> NamedPrice:
        asked.append((name, provider))
        return NamedPrice(Price(3.0, 5.0), "vendor/x")

    billed = history.bill([call("x", provider="vendor"), call("x", provider="vendor")], POOL, published)
    assert asked == [("x", "vendor")]
    assert [each.usd for each in billed] == [pytest.approx((1_000 * 3 + 100 * 5) / 1e6)] * 2
    assert not any(each.known for each in billed)


def test_tokens_that_nobody_counted_are_estimated_and_said_to_be() -> None:
    """From the characters of question and answer."""
    (billed,) = history.bill([call("plain", usage=LoggedUsage(), text="x" * 400, answer="y" * 80)], POOL, nobody)
    assert billed.estimated
    assert billed.usd == pytest.approx(((100 + 4) * 1 + 20 * 4) / 1e6)


def test_a_sum_of_calls_is_tiered_by_one_prompt() -> None:
    """Ten calls of 900 tokens are not one of 9,000; they count as ten."""
    (billed,) = history.bill([call("tiered", usage=LoggedUsage(9_000, None, None, 100, None), requests=10)], POOL, nobody)
    assert billed.usd == pytest.approx((9_000 * 1 + 100 * 2) / 1e6)
    assert billed.requests == 10


def test_sessions_are_in_the_order_of_their_calls() -> None:
    """By time, whatever the order in the file; a call without a session is one by itself."""
    calls = [call("plain", hour=5, session="a"), call("plain"), call("plain", hour=2, session="a"), call("plain")]
    assert history.by_session(history.bill(calls, POOL, nobody)) == [[2, 0], [1], [3]]


def test_a_prompt_of_no_token_was_not_counted() -> None:
    """A stream without usage is logged with zeros: its texts tell the tokens, and without an answer nobody knows what it cost."""
    nothing = LoggedUsage(0, None, None, 0)
    calls = [call("plain", text="x" * 400, answer="y" * 80, usage=nothing), call("plain", text="x", usage=nothing)]
    told, unknown = history.bill(calls, POOL, nobody)
    assert told.usage is not None
    assert (told.usage.output_tokens, told.estimated) == (20, True)
    assert (unknown.usd, unknown.why_not) == (None, "the log has neither tokens nor texts")
