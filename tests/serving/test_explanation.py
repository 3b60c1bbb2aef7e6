"""The sentences that explain a decision."""

from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate, rank
from mixture.llm import LLM, Endpoint
from mixture.price import Price
from serving.choice.explanation import explanation

CHEAP = LLM("cheap", "cheap", Price(0, 0), Endpoint("http://x/v1", "cheap"))
DEAR = LLM("dear", "dear", Price(0, 1000), Endpoint("http://x/v1", "dear"))


def explained(usd: float, *, excluded: tuple[str, ...] = (), silent: bool = False) -> str:
    options = Options(weights=Weights(usd=usd)).as_single()
    candidates = [Candidate(CHEAP, 0.6, 100, 400, 1.0), Candidate(DEAR, 0.9, 100, 400, 1.0, silent=silent)]
    return explanation(options, rank(candidates, options), excluded=excluded, of=2 + len(excluded))


def test_a_price_that_hides_the_better_llm_is_named() -> None:
    """0.4 USD at 10 a dollar weigh 4: the better LLM would have to be better by that, or a dollar to weigh less than 0.3 / 0.4."""
    told = explained(10)
    assert told.startswith("cheap (expected quality 0.60")
    assert "a dollar weighing 10" in told
    assert "dear is expected to be better by 0.30, but costs 0.400000 USD" in told
    assert "it would have to be better by 4.00. It would be chosen were a dollar to weigh less than 0.75." in told


def test_nothing_is_hidden_where_the_better_one_is_chosen() -> None:
    """Below that weight it is, and there is nothing to say."""
    told = explained(0.7)
    assert told.startswith("dear")
    assert "would have to" not in told


def test_who_could_not_answer_and_who_is_stepped_over() -> None:
    """How many could is said in plain words; a silent LLM is named."""
    assert explained(0.7).endswith("All 2 LLMs could answer this request.")
    assert explained(0.7, excluded=("gone",)).endswith("2 of 3 LLMs could answer this request; not gone.")
    assert "Stepped over, having given no answer lately: dear." in explained(0.7, silent=True)
