"""What fewer labels are said to cost, and what no number of labels could better."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks import label_curve, unseen
from benchmarks.recorded import Outcomes
from pipelines import params, train
from pipelines.dataset import Dataset, RosterLLM
from pipelines.errors import TableRefused
from scorer.calibration import Reliability
from scorer.metrics import Interval
from tests.scorer import world

PLAN = replace(train.plan_of(params.load().train), epochs=1, far_share=unseen.SHARES[1])


def known(queries: int = 400) -> Outcomes:
    """Recorded outcomes of the tests' world: a fifth of them each to test, to calibrate and to choose by; prices of 1, 2, 3 ..."""
    made = world.world(queries, seed=1)
    roster = tuple(RosterLLM(name, name, "active", 1.0, float(at)) for at, name in enumerate(world.ROSTER, 1))
    datasets = made.kinds_Q.astype(str)
    texts = pd.DataFrame({"query_id": map(str, range(queries)), "text": [f"query {at}" for at in range(queries)], "dataset": datasets})
    unknown_QL = np.full(made.labels_QL.shape, np.nan)
    cost_QL = np.tile(np.arange(1.0, len(roster) + 1) / 1e6, (queries, 1))
    splits_Q = np.array(["train", "train", "test", "calibration", "validation"])[np.arange(queries) % 5]
    return Outcomes(Dataset(texts, roster, made.labels_QL.astype(float), cost_QL, unknown_QL, unknown_QL, splits_Q), made.queries_QD)


def test_every_test_query_stays() -> None:
    """A quarter of the others is kept, another one in another draw."""
    whole = known()
    some = label_curve.thinned(whole, 0.25, 0)
    counts = pd.Series(some.data.splits_Q).value_counts()
    assert counts["test"] == 80
    assert counts.sum() - 80 == 80
    assert set(label_curve.thinned(whole, 0.25, 1).data.queries["text"]) != set(some.data.queries["text"])


def test_an_llm_without_a_training_label_is_named() -> None:
    whole = known()
    whole.data.labels_QL[:, 1] = np.nan
    with pytest.raises(TableRefused, match=f"12% of the labels leave none of '{world.ROSTER[1]}'"):
        label_curve.thinned(whole, 1 / 8, 0)


def test_a_share_of_the_labels_has_a_row() -> None:
    """The last share is ours trained on everything, every share stands beside one best LLM, and nobody beats who is told each label."""
    whole = known()
    found = label_curve.curve(whole, PLAN, draws=2)
    assert list(found) == ["40", "80", "160", "320", "told each label"]
    all_labels, test_QL = label_curve.drawn(whole, whole, PLAN), whole.take("test").labels_QL
    best = int(np.nanmean(whole.take("train").labels_QL, axis=0).argmax())
    assert found["320"]["gain"].mean == pytest.approx((all_labels.quality_Q - test_QL[:, best]).mean())
    assert found["320"]["ECE"] == pytest.approx(all_labels.ece_L.mean())
    few = [label_curve.drawn(label_curve.thinned(whole, 1 / 8, seed), whole, PLAN) for seed in (0, 1)]
    assert found["40"]["gain"].mean == pytest.approx((np.mean([draw.quality_Q for draw in few], axis=0) - test_QL[:, best]).mean())
    *shares, told = found.values()
    assert all(told["gain"].mean > row["gain"].mean for row in shares)
    assert all(0 < row["by chance"] < row["the worst by chance"].mean for row in shares)


def test_what_is_left_out_is_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group is routed by a scorer that saw none of it, and in the last row by one that saw other queries of it."""
    seen: list[tuple[set[str], set[str], set[str]]] = []
    routed = unseen.routed

    def watched(some: Outcomes, asked: Outcomes, *rest: object) -> object:
        of_group = some.data.queries["dataset"].isin(set(asked.data.queries["dataset"]))
        seen.append((set(asked.data.queries["dataset"]), set(some.data.queries["dataset"]), set(some.data.queries["text"][of_group])))
        assert not set(asked.data.queries["text"]) & set(some.data.queries["text"])
        return routed(some, asked, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(unseen, "routed", watched)
    whole = known()
    groups = sorted(set(whole.data.queries["dataset"]))
    found = label_curve.left_out(whole, PLAN, draws=1)
    assert list(found) == ["40", "80", "160", "320", "all, others of the group seen"]
    apart, folds = seen[: 4 * len(groups)], seen[4 * len(groups) :]
    assert [asked for asked, _, _ in apart] == [{group} for group in groups] * 4
    assert not any(asked & there for asked, there, _ in apart)
    assert len(folds) == label_curve.FOLDS
    assert all(of_group for _, _, of_group in folds)


def test_the_worst_of_many_is_worse_by_chance() -> None:
    """One bin of 100 labels with a standard deviation of .5: |N(0, .05)|, whose mean is .040 and 97.5 % point .112."""
    bins = (Reliability(score=0.5, label=0.5, count=100, spread=0.5),)
    one, many = label_curve.worst_by_chance([bins]), label_curve.worst_by_chance([bins] * 20)
    assert (one.mean, one.high) == (pytest.approx(0.04, abs=0.002), pytest.approx(0.112, abs=0.008))
    assert many.mean > 2 * one.mean


def test_a_cost_that_is_not_matched_is_told() -> None:
    """Draws that match are averaged, and those that do not are counted."""

    def at(off: float, share: float) -> tuple[Interval, Interval]:
        return Interval(off, off - 0.1, off + 0.1), Interval(share, share - 0.1, share + 0.1)

    names = ("matched − best single", "share of its cost")
    several = label_curve.paid([at(-0.01, 0.5), None, at(-0.03, 0.7)])
    assert several == dict(zip(names, ("-0.020 (-0.030 to -0.010, 1 of 3 not)", "0.600 (0.500 to 0.700, 1 of 3 not)"), strict=True))
    assert label_curve.paid([at(0.0, 0.5)])["share of its cost"] == "0.500 [0.400, 0.600]"
    assert label_curve.paid([None, None]) == dict.fromkeys(names, "2 of 2 not")
