"""What fewer labels are said to cost, and what no number of labels could better."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import label_curve
from benchmarks.recorded import Outcomes
from pipelines.dataset import Dataset, RosterLLM
from scorer.calibration import Reliability
from scorer.training import Plan
from tests.scorer import world


def known(queries: int = 400) -> Outcomes:
    """Recorded outcomes of the tests' world, a fifth of them each to test, to calibrate and to choose by; prices of 1, 2, 3 ..."""
    made = world.world(queries, seed=1)
    roster = tuple(RosterLLM(name, name, "active", 1.0, float(at)) for at, name in enumerate(world.ROSTER, 1))
    texts = pd.DataFrame({"query_id": map(str, range(queries)), "text": [f"query {at}" for at in range(queries)], "dataset": "all"})
    unknown_QL = np.full(made.labels_QL.shape, np.nan)
    cost_QL = np.tile(np.arange(1.0, len(roster) + 1) / 1e6, (queries, 1))
    splits_Q = np.array(["train", "train", "test", "calibration", "validation"])[np.arange(queries) % 5]
    return Outcomes(Dataset(texts, roster, made.labels_QL, cost_QL, unknown_QL, unknown_QL, splits_Q), made.queries_QD)


def test_every_test_query_stays() -> None:
    whole = known()
    some = label_curve.thinned(whole, 0.25, 0)
    counts = pd.Series(some.data.splits_Q).value_counts()
    assert counts["test"] == 80
    assert counts.sum() - 80 == 80
    assert set(label_curve.thinned(whole, 0.25, 1).data.queries["text"]) != set(some.data.queries["text"])


def test_a_share_of_the_labels_has_a_row() -> None:
    """The oracle beats every share; who is told all labels pays least for the best single LLM's quality."""
    found = label_curve.curve(known(), Plan(epochs=1), draws=2)
    assert list(found) == ["40", "80", "160", "320", "oracle, told each label"]
    *shares, oracle = found.values()
    assert all(oracle["gain"].mean > row["gain"].mean for row in shares)
    assert all(0 < row["by chance"] < row["the worst by chance"] for row in shares)
    assert float(oracle["share of its cost"]) < 1


def test_the_worst_of_many_is_worse_by_chance() -> None:
    """One bin of 100 labels with a standard deviation of .5: |N(0, .05)|, whose mean is .040."""
    bins = (Reliability(score=0.5, label=0.5, count=100, spread=0.5),)
    one, many = label_curve.worst_by_chance([bins]), label_curve.worst_by_chance([bins] * 20)
    assert one == pytest.approx(0.04, abs=0.005)
    assert many > 2 * one


def test_a_cost_that_is_not_matched_is_told() -> None:
    told = label_curve.paid([(-0.01, 0.5), None, (-0.03, 0.7)])
    assert told == {"matched − best single": "-0.020", "share of its cost": "0.60 (0.50 to 0.70), 1 not"}
    assert label_curve.paid([None]) == {"matched − best single": "", "share of its cost": ""}
