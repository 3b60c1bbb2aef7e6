"""Which queries represent the others: greedy facility location (Nemhauser et al. 1978; for choosing training data Wei et al. 2015).

A query is represented by the nearest one that is asked. With d(q, s) the squared distance of two queries, asking the set S is worth

    f(S) = sum over q of  c - min(c, min over s in S of d(q, s)),

where c is the mean squared distance of all queries. What one more query adds to f only shrinks as S grows, so the greedy choice is near
the best one, and the first n are part of the first n + 1. Dense regions come first and outliers late, unlike in designs that look for the
greatest uncertainty.
"""

import heapq
from collections.abc import Collection, Iterable, Iterator
from itertools import islice, takewhile

import numpy as np

from scorer.types import Floats

ROUNDING = 1e-6  # of what a query adds: sums in another order are not a reason to ask


def cover(queries_QD: Floats, have: Collection[int], quota: int, beyond: Collection[int] = ()) -> list[int]:
    """Places of the queries to ask beside those at `have`, the one that adds most first.

    `have` and the result together are `quota`, fewer if there are no more. Then follow queries of `beyond`, as long as one adds more than
    the last of `quota` queries would that are chosen with nothing asked. O(Q^2) memory: a matrix of distances in float32.
    """
    apart_QQ = _apart(queries_QD)
    everyone = range(len(apart_QQ))
    if not have:
        return [place for place, _ in islice(_picks(apart_QQ, (), everyone), quota)]
    chosen = [place for place, _ in islice(_picks(apart_QQ, have, everyone), max(quota - len(have), 0))]
    if beyond:
        fresh = [worth for _, worth in islice(_picks(apart_QQ, (), everyone), quota)]
        least = fresh[-1] * (1 + ROUNDING) if fresh else 0.0
        chosen += [place for place, _ in takewhile(lambda pick: pick[1] > least, _picks(apart_QQ, [*have, *chosen], beyond))]
    return chosen


def _apart(queries_QD: Floats) -> Floats:
    """Squared distances between all queries, [Q, Q]."""
    queries_QD = queries_QD.astype(np.float32)
    length_Q = (queries_QD**2).sum(axis=1)
    apart_QQ = queries_QD @ queries_QD.T
    apart_QQ *= -2
    apart_QQ += length_Q
    apart_QQ += length_Q[:, None]
    np.maximum(apart_QQ, 0, out=apart_QQ)
    return apart_QQ


def _picks(apart_QQ: Floats, have: Collection[int], among: Iterable[int]) -> Iterator[tuple[int, float]]:
    """Places of `among` not in `have` and what each adds, greedily.

    Lazily (Minoux 1978): what a query adds only shrinks, so one that still leads when computed anew leads for good; equals in order of
    their places.
    """
    nearest_Q = np.full(len(apart_QQ), apart_QQ.mean(dtype=np.float64))
    for place in have:
        nearest_Q = np.minimum(nearest_Q, apart_QQ[place])

    def worth(place: int) -> float:
        return float(np.maximum(nearest_Q - apart_QQ[place], 0).sum())

    leading = [(-worth(place), place) for place in sorted(set(among) - set(have))]
    heapq.heapify(leading)
    while leading:
        _, place = heapq.heappop(leading)
        now = worth(place)
        if leading and (-now, place) > leading[0]:
            heapq.heappush(leading, (-now, place))
            continue
        yield place, now
        nearest_Q = np.minimum(nearest_Q, apart_QQ[place])
