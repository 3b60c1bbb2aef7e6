"""What served answers came to beside always asking one LLM, on queries whose outcome is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from local import beside, figures
from local.traffic import Served
from pipelines.dataset import Dataset, RosterLLM
from scorer.metrics import Interval

QUERIES = 12


def recorded(labels: list[list[float]], usd: tuple[float, float] = (1e-6, 10e-6)) -> Dataset:
    """Of two LLMs, `small` and `large`: a row a query."""
    labels_QL = np.array(labels)
    llms = tuple(RosterLLM(name, name, "active", 0.1, 0.1) for name in ("small", "large"))
    table = pd.DataFrame({"query_id": [f"q{n}" for n in range(len(labels))]})
    cost_QL = np.tile(usd, (len(labels), 1))
    return Dataset(table, llms, labels_QL, cost_QL, cost_QL, np.full(len(labels), "test"))


def served(scores: list[float | None], usd: float) -> list[Served]:
    """An answer of `small` to each query."""
    return [Served(f"q{n}", "d", "small", score, usd) for n, score in enumerate(scores)]


def test_as_good_for_a_tenth_of_the_money() -> None:
    """The same answers right: no difference, and still an interval; a tenth of the cost is nine tenths saved."""
    found = beside.compared(served([1.0] * QUERIES, 1e-6), recorded([[1, 1]] * QUERIES), "large")
    assert found is not None
    assert (found.queries, found.right) == (QUERIES, (1.0, 1.0))
    assert found.quality.mean == 0
    assert found.quality.low == pytest.approx(-0.14, abs=0.01)
    assert found.quality.high == -found.quality.low
    assert found.saved == Interval(pytest.approx(0.9), pytest.approx(0.9), pytest.approx(0.9))
    assert "100% right at 1.0 USD a million; always large: 100% right at 10.0" in str(found)
    assert "quality +0 [-14, +14] points, money saved 90 % [90, 90]" in str(found)


def test_only_what_both_have_a_grade_for_is_compared() -> None:
    """An answer that came too late and a query that the baseline was not asked are left out; with nothing left there is no comparison."""
    data = recorded([[1, 0], [1, np.nan], [0, 1]])
    answers = [
        *served([1.0, 1.0], 1e-6),
        replace(served([None], 0)[0], query_id="q2", late=True),
        replace(served([1.0], 0)[0], query_id="other"),
    ]
    found = beside.compared(answers, data, "large")
    assert found is not None
    assert (found.queries, found.right, found.quality.mean) == (1, (1.0, 0.0), 1.0)
    assert beside.compared(answers[1:], data, "large") is None


def test_the_interval_covers_a_known_difference() -> None:
    """Of 12 paired answers, drawn 2,000 times, one right 60 % and the other 70 % of the time: at least 93 % of the intervals hold -0.1."""
    dice = np.random.default_rng(0)
    draws = (dice.random((2_000, QUERIES)) < 0.6).astype(float) - (dice.random((2_000, QUERIES)) < 0.7)
    holds = [(found := beside.paired(each)).low <= -0.1 <= found.high for each in draws]
    assert np.mean(holds) >= 0.93


@pytest.mark.parametrize(
    ("quality", "saved", "said"),
    [
        ((-0.02, 0.1), (0.2, 0.5), "It pays here"),
        ((-0.3, 0.2), (0.2, 0.5), "It is cheaper beyond doubt"),
        ((-0.3, -0.05), (0.2, 0.5), "It does not pay here: quality is worse"),
        ((-0.3, 0.2), (-0.1, 0.5), "It does not pay here: of 12 queries neither"),
        ((0.01, 0.2), (-0.9, -0.2), "It answers better beyond doubt"),
    ],
)
def test_whether_it_pays_is_said(quality: tuple[float, float], saved: tuple[float, float], said: str) -> None:
    """With a floor of 3 points."""
    found = beside.Beside("large", 12, (1, 1), (1, 1), Interval(0, *quality), Interval(0, *saved))
    assert found.pays(0.03).startswith(said)


def test_each_llm_is_told_and_what_the_best_choice_would_come_to() -> None:
    """A line an LLM; last the cheapest right answer to each query, or the cheapest wrong one where nobody is right."""
    assert figures.each_llm(recorded([[1, 1], [0, 1], [0, 0], [np.nan, 1]])).splitlines() == [
        "small: 33% right of 3, 1.0 USD a million",
        "large: 75% right of 4, 10.0 USD a million",
        "whoever knew the cheapest right one: 75% right, 5.5 USD a million",
    ]


def test_who_answered_is_counted() -> None:
    """By LLM, and what came too late apart."""
    answers = [*served([1.0, 0.0], 1e-6), Served("q2", "", None, None, 0.0, late=True)]
    assert figures.who_answered(answers) == "3 queries answered by small 2, 1 too late"
    assert figures.who_answered([]) == "0 queries answered by nobody"
