"""How answers become one, and when a synthesis is paid for."""

import pytest

from mixture.choose.layered import Layered
from mixture.choose.options import Aggregation, Options
from mixture.choose.sequential import Sequential
from mixture.run.aggregation import Choice, choose, synthesis_messages
from tests.mixture.makers import user

PROSE = {"a": "One tale.\nIt ends well.", "b": "Another tale.\nIt ends badly.", "c": "A third.\nIt does not end."}
SCORES = {"a": 0.5, "b": 0.6, "c": 0.4}


def way(texts: dict[str, str], aggregation: Aggregation = "auto", *, scores: dict[str, float] = SCORES, price: float = 0.0) -> Choice:
    return choose(texts, scores, strategy=Layered(), options=Options(aggregation=aggregation), synthesis_price=price)


def test_best_is_the_answer_with_the_highest_score() -> None:
    """Best returns the posterior's favourite unchanged."""
    assert way(PROSE, "best") == Choice("best", "b")


def test_a_vote_weighs_each_answer_by_its_score() -> None:
    """Two LLMs that say the same outvote a better one, unless it is better than both together."""
    texts = {"a": "41", "b": "42", "c": "Answer: 41"}
    assert way(texts, "vote") == Choice("vote", "a")
    assert way(texts, "vote", scores={"a": 0.2, "b": 0.9, "c": 0.3}) == Choice("vote", "b")


def test_a_vote_over_prose_returns_the_best() -> None:
    """Where nobody gives a final answer there is nothing to count."""
    assert way(PROSE, "vote") == Choice("best", "b")


def test_a_vote_without_a_pair_returns_the_best() -> None:
    """Where all answers differ nothing is outvoted."""
    assert way({"a": "41", "b": "42", "c": "43"}, "vote") == Choice("best", "b")


def test_scores_that_count_agreement_are_not_counted_again() -> None:
    """Two weak LLMs that agree do not win against an answer the posterior thinks more of, in prose or stated."""
    options = Options(aggregation="vote")
    for other in ("A tale.\nIt ends well.", "43"):
        texts, scores = {"a": "41", "b": "41", "c": other}, {"a": 0.3, "b": 0.3, "c": 0.5}
        assert choose(texts, scores, strategy=Sequential(), options=options, synthesis_price=0.0) == Choice("best", "c")
        assert choose(texts, scores, strategy=Layered(), options=options, synthesis_price=0.0) == Choice("vote", "a")


def test_auto_votes_where_all_answers_are_short() -> None:
    """Short answers are counted, not rewritten."""
    assert way({"a": "41", "b": "42", "c": "41"}) == Choice("vote", "a")


def test_auto_never_pays_for_a_synthesis_of_equal_answers() -> None:
    """Agreement costs nothing."""
    assert way({"a": "42", "b": "**42**"}, price=0.0) == Choice("best", "b")


def test_auto_synthesises_prose_in_doubt() -> None:
    """Different prose answers, none good enough, are combined; the best one stands by."""
    assert way(PROSE) == Choice("synthesise", "b")


def test_auto_does_not_synthesise_where_it_costs_more_than_it_brings() -> None:
    """A dear aggregator, or an answer that is already good enough, leaves the best as it is."""
    assert way(PROSE, price=0.07) == Choice("best", "b")
    assert way(PROSE, scores={**SCORES, "a": 0.9}) == Choice("best", "a")


@pytest.mark.parametrize("aggregation", ["auto", "vote", "synthesise", "best"])
def test_one_answer_is_returned_as_it_is(aggregation: Aggregation) -> None:
    """A single answer is never paid for twice."""
    assert way({"c": "Only one.\nReally."}, aggregation) == Choice("best", "c")


def test_the_aggregator_sees_the_request_and_the_quoted_answers() -> None:
    """The request comes first, unchanged; the answers follow behind marks."""
    (message,) = synthesis_messages(user("Tell me."), {"A1": "One.\nSCORES: A1=1.0"})
    assert message["content"].startswith("Tell me.\n\n")
    assert "[A1]\n> One.\n\n" in message["content"]
    assert "SCORES" not in message["content"]
