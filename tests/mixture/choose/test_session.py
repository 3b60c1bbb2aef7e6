"""A session stays where leaving does not pay."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate, rank
from mixture.choose.session import Session, answered, could_gain, settled, worth
from mixture.choose.session_words import in_words
from mixture.llm import LLM
from mixture.price import Price

OPTIONS = Options(k=1, max_layers=1, weights=Weights(1.0, 10.0, 0.0))
PRICE = Price(3.0, 15.0, cache_read=0.3)


def candidate(name: str, prior: float, *, cached: int = 0, price: Price = PRICE, **more) -> Candidate:
    llm = LLM(name, name, price, context_window=10**7)
    return Candidate(llm, prior, input_tokens=20_000, output_tokens=200, cached_tokens=cached, **more)


def choice_of(candidates, session: Session):
    return settled(rank(candidates, OPTIONS), OPTIONS, session)


def test_a_cached_prompt_is_billed_as_such() -> None:
    """20,000 tokens of which 18,000 are cached, at 3 and .3 USD per million, and 200 at 15; a prompt that is cached costs to write."""
    assert candidate("a", 0.5, cached=18_000).cost_usd == pytest.approx((18_000 * 0.3 + 2_000 * 3 + 200 * 15) / 1e6)
    writing = candidate("a", 0.5, cached=18_000, price=replace(PRICE, cache_write=3.75), caches=True)
    assert writing.cost_usd == pytest.approx((18_000 * 0.3 + 2_000 * 3.75 + 200 * 15) / 1e6)


def test_a_switch_has_to_pay_for_the_prompt() -> None:
    """Reading 18,000 tokens anew costs .0486 USD more, which weighs .486: a better answer by .4 does not pay for it, one by .6 does."""
    own = candidate("own", 0.3, cached=18_000)
    stays, choice = choice_of([own, candidate("other", 0.7)], Session("s", "own"))
    assert (stays[0].id, stays[0].chosen, choice.why, choice.stayed) == ("own", True, "worth staying", True)
    assert choice.gain == pytest.approx(0.4 - 0.486)
    leaves, choice = choice_of([own, candidate("other", 0.9)], Session("s", "own"))
    assert (leaves[0].id, choice.why, choice.stayed) == ("other", "worth switching", False)
    held, choice = choice_of([own, candidate("other", 0.9)], Session("s", "own", margin=0.2))
    assert (held[0].id, choice.why) == ("own", "worth staying")


def test_a_loop_is_never_handed_over() -> None:
    """However much better another LLM is."""
    ranking, choice = choice_of([candidate("own", 0.0), candidate("other", 1.0)], Session("s", "own", held="tool loop"))
    assert [each.id for each in ranking] == ["own", "other"]
    assert [each.chosen for each in ranking] == [True, False]
    assert choice.why == "tool loop"


@pytest.mark.parametrize(("own", "why"), [(None, "cannot"), ("silent", "silent")])
def test_an_llm_that_cannot_answer_is_left(own, why) -> None:
    """Even inside a loop."""
    candidates = [candidate("other", 0.5)] + ([candidate("own", 0.9, silent=True)] if own else [])
    ranking, choice = choice_of(candidates, Session("s", "own", held="tool loop"))
    assert (ranking[0].id, choice.why, choice.stayed) == ("other", why, False)


def test_a_new_session_counts_the_requests_to_come() -> None:
    """The LLM that is dearer now, and cheaper over the whole loop of tools, begins."""
    again, now = candidate("a", 0.5, price=Price(3.0, 3.0, cache_read=0.1)), candidate("b", 0.5, price=Price(2.9, 3.0))
    assert choice_of([again, now], Session("s"))[0][0].id == "b"
    ranking, choice = choice_of([again, now], Session("s", further=3.0))
    assert (ranking[0].id, choice.why) == ("a", "new")


def test_requests_to_come_count_by_their_costs_alone() -> None:
    """What is dear to read but not to read again is worth more, the more requests follow."""
    cheap_again = candidate("a", 0.5, price=Price(3.0, 3.0, cache_read=0.1))
    dear_again = candidate("b", 0.5, price=Price(2.9, 3.0))
    assert worth(dear_again, OPTIONS, 0.0) > worth(cheap_again, OPTIONS, 0.0)
    assert worth(cheap_again, OPTIONS, 3.0) > worth(dear_again, OPTIONS, 3.0)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 20_000), st.floats(0.01, 30)), min_size=2, max_size=5),
    st.floats(0, 0.5),
    st.floats(0, 5),
)
def test_where_no_score_could_pay_none_does(drawn, margin, further) -> None:
    """`could_gain` never says no where some scores would have switched."""
    candidates = [
        candidate(f"l{at}", prior, cached=cached, price=Price(usd, usd, cache_read=usd / 10))
        for at, (prior, cached, usd) in enumerate(drawn)
    ]
    session = Session("s", "l0", further=further, margin=margin)
    if not could_gain(candidates, OPTIONS, session):
        assert choice_of(candidates, session)[0][0].id == "l0"


def test_a_move_says_what_it_cost() -> None:
    """What the session's LLM had cached and the other one read anew, at the other one's price."""
    own, other = candidate("own", 0.5, cached=18_000), candidate("other", 0.5, price=Price(1.0, 5.0))
    _, choice = choice_of([own, other], Session("s", "own", held="tool loop"))
    assert answered(choice, "own", ["own"], [own, other]) == choice
    moved = answered(choice, "other", ["other"], [own, other])
    assert (moved.stayed, moved.why, moved.rebilled_tokens) == (False, "failed", 18_000)
    assert moved.rebilled_usd == pytest.approx(0.018)
    assert answered(choice, "other", ["own", "other"], [own, other]).why == "another answer"
    assert answered(choice, None, ["own", "other"], [own, other]).rebilled_tokens == 0
    assert "own -> other: the LLM that was asked first brought no answer; about 18000 cached tokens were read anew" in in_words(
        moved, "other"
    )


def test_a_new_session_takes_the_ranking() -> None:
    """Nobody served it before."""
    ranking, choice = choice_of([candidate("a", 0.1), candidate("b", 0.9)], Session("s"))
    assert (ranking[0].id, choice.why, choice.before) == ("b", "new", None)
    assert in_words(choice, "b") == "begins: nobody served it before"
