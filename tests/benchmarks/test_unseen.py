"""What routing queries of a kind that training did not see is said to bring and to cost."""

import pytest

from benchmarks import unseen
from scorer.metrics import Interval
from scorer.training import Embedded, Plan, train
from scorer.weights import centred
from tests.scorer import world


def row(name: str, *gains: Interval) -> unseen.Row:
    """A group with these gains, the last of them at every wider edge too."""
    padded = gains + gains[-1:] * (len(unseen.SHARES) - len(gains))
    numbers = (0.5,) * len(unseen.SHARES)
    return unseen.Row(name, 100, 0.1, 0.6, padded, numbers, numbers, numbers)


def test_a_narrower_world_is_far_sooner() -> None:
    """At each share about so many held-out queries are beyond the edge; at none there is no fallback."""
    seen, held = world.world(400, seed=1), world.world(400, seed=2)
    plan = Plan(epochs=1)
    weights = train(world.ROSTER, Embedded(seen.queries_QD, seen.labels_QL), Embedded(held.queries_QD, held.labels_QL), plan).weights
    assert weights.fallback is not None
    edged = [unseen.edged(weights, weights.fallback.landmarks_MD, share, held.queries_QD).fallback for share in unseen.SHARES]
    assert edged[0] is None
    assert edged[1] is not None
    assert edged[1].edge == weights.fallback.edge
    for share, moved in zip(unseen.SHARES[1:], edged[1:], strict=True):
        assert moved is not None
        assert moved.far(centred(held.queries_QD, weights.centre_D)).mean() == pytest.approx(share, abs=0.01)


def test_what_an_edge_costs_is_told_by_the_worst_group() -> None:
    usual = row("test split", Interval(0.04, 0.02, 0.06), Interval(0.03, 0.01, 0.05))
    lost = row("law", Interval(-0.3, -0.36, -0.24), Interval(-0.02, -0.04, 0.01))
    won = row("math", Interval(0.2, 0.15, 0.25), Interval(0.1, 0.05, 0.15))
    lines = unseen.edges(usual, [lost, won]).splitlines()
    assert lines[2] == "| 0% | 0.040 [0.020, 0.060] | -0.050 | -0.300 (law) | 1 | 1 |"
    assert lines[3] == "| 1% | 0.030 [0.010, 0.050] | 0.040 | -0.020 (law) | 1 | 0 |"
    assert len(lines) == 2 + len(unseen.SHARES)
