"""Quality against cost in a world where the cheap LLM is right on half of the queries and a scorer knows which."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import costs, report, scorer_tables
from benchmarks.rivals.routers import CHEAPEST, SINGLE, Router
from pipelines.comparison import OURS
from pipelines.dataset import Dataset, RosterLLM

QUERIES = 400
CHEAP, DEAR = 1e-4, 1e-2


def part(seed: int) -> Dataset:
    """The dear LLM is always right, the cheap one on every other query."""
    labels_QL = np.column_stack([np.arange(QUERIES) % 2 == seed % 2, np.ones(QUERIES)]).astype(np.float64)
    unknown_QL = np.full(labels_QL.shape, np.nan)
    roster = (RosterLLM("cheap", "cheap", "active", 0.0, 0.0), RosterLLM("dear", "dear", "active", 0.0, 0.0))
    cost_QL = np.tile([CHEAP, DEAR], (QUERIES, 1))
    queries = pd.DataFrame({"text": ["word"] * QUERIES})
    return Dataset(queries, roster, labels_QL, cost_QL, unknown_QL, np.full(QUERIES, "x"))


@pytest.fixture
def parts() -> dict[str, Dataset]:
    """Held-out and test queries of the same world."""
    return {"train": part(0), "heldout": part(1), "test": part(2)}


def row(name: str, parts: dict[str, Dataset], score) -> Router:
    """A router that scores by `score` of a part."""
    test, heldout = (np.asarray(score(parts[which]), dtype=np.float64)[None] for which in ("test", "heldout"))
    return Router(name, "", (lambda texts, _: np.zeros((len(texts), 2)),), test, heldout)


def compared(parts: dict[str, Dataset]) -> dict[str, costs.Cost]:
    """A scorer that knows, best single, cheapest and one that knows nothing but likes the cheap LLM."""
    constant = {SINGLE: [0.5, 1.0], CHEAPEST: [1.0, 0.0], "stubborn": [0.9, 0.1]}
    rows = {OURS: row(OURS, parts, lambda one: one.labels_QL * 0.9)}
    rows |= {name: row(name, parts, lambda one, of=of: np.tile(of, (len(one.queries), 1))) for name, of in constant.items()}
    money = costs.priced(parts)
    assert money is not None
    return costs.compare(rows, parts, money)


def test_who_knows_keeps_the_quality_at_half_the_cost(parts: dict[str, Dataset]) -> None:
    """Right as often as always asking the dear LLM, which it asks for every other query only."""
    found = compared(parts)
    ours = found[OURS]
    assert ours.matched_difference is not None
    assert ours.matched_share is not None
    assert ours.matched_difference.mean == 0
    assert ours.matched_share.mean == pytest.approx((CHEAP + DEAR) / 2 / DEAR)
    assert ours.bar == "missed"  # half and a hundredth
    assert found[SINGLE].matched_share is not None
    assert found[SINGLE].matched_share.mean == 1
    assert found[CHEAPEST].usd.mean == pytest.approx(CHEAP)
    assert found["stubborn"].matched_share is None  # at no weight is it good enough


def test_the_bar_is_met_where_the_cost_is_below_half(parts: dict[str, Dataset]) -> None:
    """Three in four right by the cheap LLM: a quarter of the cost."""
    for one in parts.values():
        one.labels_QL[:, 0] = np.arange(QUERIES) % 4 > 0
    assert compared(parts)[OURS].bar == "met beyond doubt"


def test_area_is_quality_averaged_over_budgets(parts: dict[str, Dataset]) -> None:
    """The cheapest alone is right on half whatever may be spent; who knows gains from the first budget that suffices for half."""
    found = compared(parts)
    assert found[CHEAPEST].area.mean == pytest.approx(0.5)
    budgets = np.geomspace(CHEAP, DEAR, costs.BUDGETS)
    enough = np.mean(budgets >= (CHEAP + DEAR) / 2)
    assert 0.5 + 0.5 * enough <= found[OURS].area.mean < 1
    assert found[SINGLE].area.mean == pytest.approx(0.5 + 0.5 * np.mean(budgets >= DEAR * (1 - 1e-9)), abs=0.021)
    assert found[OURS].ours_area.mean == 0


def test_what_nobody_recorded_is_taken_at_what_is_expected(parts: dict[str, Dataset]) -> None:
    """A missing cost is the LLM's mean in training, and its share is told; with no cost at all there is no row."""
    parts["test"].cost_QL[:100, 1] = np.nan
    money = costs.priced(parts)
    assert money is not None
    assert money.assumed == pytest.approx(100 / (2 * QUERIES))
    np.testing.assert_allclose(money.test_QL, np.tile([CHEAP, DEAR], (QUERIES, 1)))
    parts["train"].cost_QL[:] = np.nan
    assert costs.priced(parts) is None


def test_a_ratio_has_the_interval_of_its_queries() -> None:
    """Proportional costs leave no doubt; unrelated ones do."""
    dice = np.random.default_rng(0)
    under_Q = dice.exponential(size=300)
    sure, unsure = report.ratio(under_Q / 4, under_Q), report.ratio(dice.exponential(size=300) / 4, under_Q)
    assert sure.low == pytest.approx(sure.high)
    assert sure.mean == pytest.approx(0.25)
    assert unsure.high - unsure.low == pytest.approx(2 * 1.96 * 0.25 * np.sqrt(2 / 300), rel=0.4)  # exponential: its spread is its mean


def test_a_curve_goes_by_what_held_out_queries_cost(parts: dict[str, Dataset]) -> None:
    """The cheapest is one point; a scorer that knows starts there and ends where half of the queries ask the dear LLM."""
    curves = {name: row.curve for name, row in compared(parts).items()}
    assert [point.quality for point in curves[CHEAPEST]] == [0.5] * costs.BUDGETS
    assert [point.cost for point in curves[CHEAPEST]] == pytest.approx([CHEAP] * costs.BUDGETS)
    first, *_, last = curves[OURS]
    assert (first.cost, first.quality) == (pytest.approx(CHEAP), 0.5)
    assert (last.cost, last.quality) == (pytest.approx((CHEAP + DEAR) / 2), 1.0)
    assert [point.cost for point in curves[OURS]] == sorted(point.cost for point in curves[OURS])


def test_an_llm_alone_costs_what_its_labelled_answers_cost(parts: dict[str, Dataset]) -> None:
    """A query that nobody labelled counts neither for quality nor for cost; an LLM without a label is no point."""
    test = parts["test"]
    test.labels_QL[0] = np.nan
    test.cost_QL[0] = 99.0
    points = scorer_tables.alone(test, test.cost_QL)
    assert points["dear"].quality == 1.0
    assert (points["cheap"].cost, points["dear"].cost) == (pytest.approx(CHEAP), pytest.approx(DEAR))
    test.labels_QL[:, 0] = np.nan
    assert list(scorer_tables.alone(test, test.cost_QL)) == ["dear"]
