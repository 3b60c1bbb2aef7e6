"""Money: a call's worst case is reserved before it is made, and settled by what it cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.client.protocol import Call
from mixture.client.request_size import worst_case_usd
from mixture.errors import LLMOverloaded, LLMUnreachable
from mixture.run.ledger import Ledger
from tests.mixture.makers import llm, user

CALL = Call(llm("a"), user())
MOST_USD = worst_case_usd(CALL)


def test_calls_at_once_share_one_budget() -> None:
    """Room for two and a half is room for two; a settled one makes room again."""
    ledger = Ledger(2.5 * MOST_USD)
    first, second = ledger.reserve(CALL), ledger.reserve(CALL)
    assert first is not None
    assert second is not None
    assert ledger.reserve(CALL) is None
    ledger.settle(first, 0.1 * MOST_USD)
    assert ledger.spent_usd == pytest.approx(0.1 * MOST_USD)
    assert ledger.unsettled_usd == pytest.approx(MOST_USD)
    assert ledger.reserve(CALL) is not None


def test_what_broke_may_still_be_charged_and_what_was_refused_not() -> None:
    """A connection that broke midway keeps its money reserved; a refusal gives it back."""
    ledger = Ledger(1.5 * MOST_USD)
    broke = ledger.reserve(CALL)
    assert broke is not None
    ledger.fail(broke, LLMUnreachable("a", "is gone."))
    assert (ledger.unsettled_usd, ledger.reserve(CALL)) == (MOST_USD, None)
    other = Ledger(1.5 * MOST_USD)
    refused = other.reserve(CALL)
    assert refused is not None
    other.fail(refused, LLMOverloaded("a", "HTTP 429"))
    assert other.unsettled_usd == 0
    assert other.reserve(CALL) is not None


def test_another_attempt_needs_money_where_the_failed_one_may_be_charged() -> None:
    """Free ones are tried again on what is reserved."""
    ledger = Ledger(1.5 * MOST_USD)
    assert ledger.reserve(CALL) is not None
    assert ledger.reserve_retry(CALL, LLMOverloaded("a", "HTTP 429"))
    assert not ledger.reserve_retry(CALL, LLMUnreachable("a", "is gone."))


def test_without_a_budget_everything_fits() -> None:
    """And is counted all the same."""
    ledger = Ledger()
    assert all(ledger.reserve(CALL) is not None for _ in range(5))
    assert ledger.unsettled_usd == pytest.approx(5 * MOST_USD)


@given(st.floats(0, 10), st.lists(st.sampled_from(["settle", "free", "broke"]), max_size=20))
def test_the_budget_is_never_passed(times: float, ends: list[str]) -> None:
    """Whatever becomes of the calls."""
    ledger = Ledger(times * MOST_USD)
    for end in ends:
        reserved = ledger.reserve(CALL)
        if reserved is None:
            continue
        if end == "settle":
            ledger.settle(reserved, MOST_USD)
        else:
            ledger.fail(reserved, LLMOverloaded("a", "429") if end == "free" else LLMUnreachable("a", "gone"))
        assert ledger.spent_usd + ledger.unsettled_usd <= times * MOST_USD + 1e-12


def test_a_call_that_has_ended_ends_no_second_time() -> None:
    """Its money would be given back twice."""
    ledger = Ledger(2 * MOST_USD)
    reserved = ledger.reserve(CALL)
    assert reserved is not None
    ledger.settle(reserved, MOST_USD)
    with pytest.raises(KeyError):
        ledger.settle(reserved, MOST_USD)
    assert (ledger.spent_usd, ledger.unsettled_usd) == (MOST_USD, 0)
