"""Choosing queries that speak for the others: greedy as defined, nested, nothing more where nothing is new."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.facility_location import cover

dice = np.random.default_rng(0)
BLOBS = np.concatenate([centre + 0.05 * dice.normal(size=(size, 2)) for centre, size in (((0, 0), 60), ((5, 0), 30), ((0, 5), 10))])
KINDS = np.repeat([0, 1, 2], [60, 30, 10])


def by_definition(queries_QD: np.ndarray, count: int) -> float:
    """What a greedy choice that computes everything anew reaches: the mean squared distance to the nearest chosen query."""
    apart_QQ = ((queries_QD[:, None] - queries_QD[None]) ** 2).sum(axis=2)
    nearest_Q = np.full(len(queries_QD), apart_QQ.mean())
    for _ in range(count):
        nearest_Q = min((np.minimum(nearest_Q, apart_Q) for apart_Q in apart_QQ), key=lambda reached_Q: reached_Q.sum())
    return float(nearest_Q.mean())


@given(st.integers(0, 1000), st.integers(1, 12))
def test_the_lazy_choice_is_the_greedy_one(seed: int, count: int) -> None:
    """As good as computing every worth anew, up to rounding; each query once."""
    queries_QD = np.random.default_rng(seed).normal(size=(30, 3)).astype(np.float32)
    places = cover(queries_QD, (), count)
    apart_QQ = ((queries_QD[:, None] - queries_QD[None]) ** 2).sum(axis=2)
    reached = np.minimum(apart_QQ[places].min(axis=0), apart_QQ.mean()).mean()
    assert len(set(places)) == count
    assert reached <= by_definition(queries_QD, count) * 1.0001


def test_every_kind_is_spoken_for_before_any_twice() -> None:
    """Three clouds of 60, 30 and 10: the first three are one of each; a smaller number is part of a larger one."""
    assert sorted(KINDS[cover(BLOBS, (), 3)]) == [0, 1, 2]
    assert cover(BLOBS, (), 20)[:7] == cover(BLOBS, (), 7)


def test_an_outlier_is_not_first() -> None:
    """A query that speaks for itself alone is worth less than a cloud's centre, however far away it lies (up to the mean distance)."""
    with_outlier = np.concatenate([[[9.0, 9.0]], BLOBS])
    assert 0 not in cover(with_outlier, (), 3)


def test_what_is_had_is_not_chosen_again() -> None:
    """Half-way, the rest up to the quota; after it nothing, in a pool that is as it was."""
    chosen = cover(BLOBS, (), 12)
    assert cover(BLOBS, chosen[:5], 12) == chosen[5:]
    assert cover(BLOBS, chosen, 12) == []
    assert cover(BLOBS, chosen, 15) == cover(BLOBS, (), 15)[12:]


def test_a_new_kind_is_asked_beyond_the_quota() -> None:
    """Of twenty queries far from the others the allowed ones are asked as far as needed, of the known kinds none."""
    chosen = cover(BLOBS, (), 12)
    new = np.array([5.0, 5.0]) + 0.05 * dice.normal(size=(20, 2))
    grown = np.concatenate([BLOBS, new])
    more = cover(grown, chosen, 12, [0, 1, 70, 95, 100, 101, 110])
    assert more
    assert set(more) <= {100, 101, 110}
    assert cover(grown, chosen, 12) == []
    assert cover(BLOBS, chosen, 12, range(len(BLOBS))) == []


def test_there_may_be_fewer_than_wanted() -> None:
    """All of them then; none of none."""
    assert sorted(cover(BLOBS[:4], (), 9)) == [0, 1, 2, 3]
    assert cover(BLOBS[:4], (), 0) == []
