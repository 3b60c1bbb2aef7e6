"""The harness of joining: what it asks first, what it counts as gain, what it leaves of the known LLMs."""

import numpy as np
import pytest

from benchmarks import joining, query_rules
from benchmarks.joining_set import JoiningSet, Joins, gain, scores
from scorer import training
from scorer.initialisation import Shrinkage
from tests.scorer import world

PLAN = training.Plan(epochs=1, shrinkage=Shrinkage(groups=4, dims=16))


@pytest.fixture(scope="module")
def recorded() -> JoiningSet:
    """The world of the scorer's tests, by split."""
    sizes = {"train": 400, "calibration": 100, "validation": 100, "test": 300}
    made = {name: world.world(size, seed=seed) for seed, (name, size) in enumerate(sizes.items())}
    queries, labels = ({name: getattr(each, axis) for name, each in made.items()} for axis in ("queries_QD", "labels_QL"))
    return JoiningSet(world.ROSTER, queries, labels, PLAN)


def test_rules_name_as_many_different_queries_as_are_wanted(recorded: JoiningSet) -> None:
    """Each rule covers what it says: medoids all kinds of queries, disagreement the queries LLMs disagree on."""
    queries_QD, labels_QL = recorded.queries["train"], recorded.labels["train"]
    for places in (
        query_rules.at_random(400, 20, 0),
        query_rules.covering(queries_QD, 20, 0),
        query_rules.medoids(queries_QD, 20, 0),
        query_rules.d_optimal(queries_QD, 20),
        query_rules.disagreement(labels_QL, 20, 0),
    ):
        assert len(set(places.tolist())) == 20
        assert places.max() < 400
    kinds_Q = world.world(400, seed=0).kinds_Q
    assert set(kinds_Q[query_rules.medoids(queries_QD, 20, 0)]) == set(kinds_Q[query_rules.covering(queries_QD, 20, 0)]) == {0, 1, 2, 3}
    assert labels_QL[query_rules.disagreement(labels_QL, 20, 0)].var(axis=1).min() > 0


def test_a_gain_is_what_the_new_llm_adds(recorded: JoiningSet) -> None:
    """Left out and joined again by its row: the one that is best at two kinds adds about what whole training gives it."""
    reader = 2
    base, _ = recorded.whole([0, 1])
    known = recorded.known(base, [0, 1])
    places = recorded.labelled(reader)
    joins = recorded.joins(reader, known, [places, places[:100]])
    full, _ = recorded.whole([0, 1, reader])
    test_QD = recorded.queries["test"]
    gained_Q = gain(scores(full, test_QD), scores(base, test_QD), recorded.labels["test"], [0, 1, 2])
    assert gained_Q.mean() > 0.15
    assert joins.total_Q().mean() > 0.8 * gained_Q.mean()


def test_joins_in_a_row_leave_the_known_scores_alone(recorded: JoiningSet) -> None:
    """The count of changed scores, which the table shows, is zero at every size; quality follows whole training."""
    rows = joining.series(recorded, 0)
    assert [row["LLMs"] for row in rows] == [2, 3]
    assert [row["known scores that changed"] for row in rows] == [0, 0]
    assert rows[1]["rows"].mean > rows[1]["whole, all labels"].mean - 0.1


def test_a_share_is_of_sums_over_llms() -> None:
    """Harm counts: a join that loses half of what another gains leaves half of it."""
    every = Joins([np.full(50, 0.2), np.full(50, 0.2)], [], [])
    some = Joins([np.full(50, 0.2), np.full(50, -0.1)], [], [])
    assert joining.share(some, every)[0] == pytest.approx(0.25)
    assert joining.share(some, every)[1] == pytest.approx((0.25, 0.25))
