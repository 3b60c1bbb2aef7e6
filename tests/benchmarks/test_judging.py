"""What is measured on replayed decisions, on three queries whose right figures are known."""

import numpy as np
import pytest

from benchmarks.judging import SystemResult, aggregated, auroc_by_query, stopping
from benchmarks.replay import RecordedAnswer, RecordedQuery, calls, cost, latency, quality
from benchmarks.rivals.compositions import OURS, RUN_ON, System, systems
from mixture.choose.posterior import AgreementPosterior
from mixture.llm import LLM
from mixture.price import Price

LLMS = [LLM(name, name, Price(0.0, 5.0), context_window=10**6) for name in "abc"]


def query(*finals: str, seconds: float = 1.0) -> RecordedQuery:
    """Whoever says 1 is right; the first LLM takes `seconds`, each next one a second more."""
    answers = {
        llm: RecordedAnswer(f"Answer: {final}", 200, 0.001, seconds + at) for at, (llm, final) in enumerate(zip("abc", finals, strict=True))
    }
    return RecordedQuery("What is it?", answers, {llm: float(final == "1") for llm, final in zip("abc", finals, strict=True)})


QUERIES = [query("1", "1", "2"), query("1", "2", "2"), query("2", "2", "2")]  # a majority, a minority and nobody is right
PRIORS_QL = np.array([[0.5, 0.5, 0.5]] * 3)


def row(name: str) -> SystemResult:
    """One of the systems on the three queries."""
    compared: dict[str, System] = {each.name: each for each in systems(PRIORS_QL, PRIORS_QL[0], LLMS, AgreementPosterior(), 1.0)}
    made = compared[name].decisions(QUERIES, LLMS)
    return SystemResult(quality(QUERIES, made), calls(made), cost(made), made)


def test_auroc_resamples_queries_and_not_answers() -> None:
    """Perfect within each query and over all: no doubt. Compared with itself: nothing."""
    owner, right, scores = [0, 0, 1, 1, 2, 2], [True, False] * 3, [0.9, 0.1, 0.8, 0.2, 0.7, 0.3]
    perfect = auroc_by_query(owner, right, scores, resamples=50)
    assert (perfect.mean, perfect.low, perfect.high) == (1.0, 1.0, 1.0)
    nothing = auroc_by_query(owner, right, scores, scores, resamples=50)
    assert (nothing.mean, nothing.low, nothing.high) == (0.0, 0.0, 0.0)
    mixed = auroc_by_query(owner, right, [0.9, 0.1, 0.8, 0.2, 0.3, 0.7], resamples=50)
    assert mixed.mean == pytest.approx(8 / 9)  # of nine pairs one is out of order
    assert mixed.low < mixed.mean <= mixed.high


def test_a_decision_costs_what_its_calls_cost_and_lasts_as_its_slowest() -> None:
    """Everyone asked at once: three calls, three costs, the third LLM's seconds."""
    everyone = row(RUN_ON)
    assert everyone.calls_Q.tolist() == [3.0] * 3
    assert everyone.cost_Q == pytest.approx([0.003] * 3)
    assert latency(everyone.decisions).tolist() == [3.0] * 3
    assert everyone.quality_Q.tolist() == [1.0, 0.0, 0.0]


def test_stopping_is_measured_against_asking_everyone() -> None:
    """Shares of reasons and rounds add up to one; nothing is lost where both return answers of equal worth."""
    figures = stopping(row(OURS), row(RUN_ON))
    assert sum(figures["reasons"].values()) == pytest.approx(1.0)
    assert sum(figures["rounds"].values()) == pytest.approx(1.0)
    assert figures["stopped as not worth more"] == figures["reasons"].get("gain", 0.0)


def test_a_right_minority_is_counted_where_a_wrong_answer_has_more_voices() -> None:
    """Only the second query has one; a vote does not return it."""
    figures = aggregated(QUERIES, row(RUN_ON))
    assert figures["right minorities"] == 1
    assert figures["recovered by a plain vote"].mean == 0.0
    assert figures["of these returned wrong"].mean == 0.0
