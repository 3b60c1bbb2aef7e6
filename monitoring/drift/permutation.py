"""Permutation tests of recent against held-out queries within strata: what a change of the strata's mix cannot alarm.

Recent and held-out queries change places within their stratum only, so under the hypothesis that each stratum is distributed as before,
whatever its share of traffic is now, every split is as likely as the true one. Held-out queries count as the recent mix has them:

    weight(recent query)               =  1 / N
    weight(held-out query, stratum s)  = -N_s / (N H_s)

A p-value is sequential (Besag & Clifford 1991): it ends at the `ENOUGH`-th split that is as extreme as the true one, so a look without
shift costs a few hundred splits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Statistic = Callable[[Floats], Doubles]
CHUNK = 256  # splits at a time: bounds memory to CHUNK x queries floats
ENOUGH = 20  # splits as extreme as the true one, after which a p-value is good enough


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """N recent and H held-out queries, in this order (T = N + H), and the stratum of each; every stratum has a held-out query."""

    recent: int
    strata_T: NDArray[np.intp]

    @staticmethod
    def by_name(recent_N: NDArray[np.str_], held_out_H: NDArray[np.str_]) -> "Strata":
        """One stratum a name; recent queries whose name no held-out query has join the largest stratum."""
        names, held_H, counts = np.unique(held_out_H, return_inverse=True, return_counts=True)
        place = {str(name): index for index, name in enumerate(names)}
        largest = int(counts.argmax())
        recent = np.array([place.get(str(name), largest) for name in recent_N], dtype=np.intp)
        return Strata(len(recent_N), np.concatenate([recent, held_H.astype(np.intp)]))

    def splits(self, count: int, seed: int) -> Iterator[Floats]:
        """Signed weights (P x T) of the true split alone, and then of `count` random ones, `CHUNK` at a time."""
        yield self._weights(np.arange(len(self.strata_T))[None, :] < self.recent)
        rng = np.random.default_rng(seed)
        members = [np.flatnonzero(self.strata_T == stratum) for stratum in np.unique(self.strata_T)]
        for start in range(0, count, CHUNK):
            recent_PT = np.zeros((min(CHUNK, count - start), len(self.strata_T)), dtype=bool)
            for rows in members:
                recent_PT[:, rows] = rng.random((len(recent_PT), len(rows)), dtype=np.float32).argsort(axis=1) < (rows < self.recent).sum()
            yield self._weights(recent_PT)

    def _weights(self, recent_PT: NDArray[np.bool_]) -> Floats:
        recent_S = np.bincount(self.strata_T[: self.recent], minlength=int(self.strata_T.max()) + 1)
        held_S = np.bincount(self.strata_T[self.recent :], minlength=len(recent_S))
        held_T = (recent_S / np.maximum(held_S, 1))[self.strata_T] / self.recent
        return np.where(recent_PT, 1 / self.recent, -held_T).astype(np.float32)


def p_values(statistics: dict[str, Statistic], strata: Strata, *, count: int, seed: int) -> dict[str, float]:
    """The p-value of each statistic's true split among at most `count` random ones; large means shifted. Never 0 (Phipson & Smyth 2010)."""
    splits = strata.splits(count, seed)
    first = next(splits)
    true = {name: float(statistic(first)[0]) for name, statistic in statistics.items()}
    extreme = dict.fromkeys(statistics, 0)
    found: dict[str, float] = {}
    seen = 0
    for weights_PT in splits:
        for name in statistics.keys() - found.keys():
            slack = 1e-6 * max(1e-6, abs(true[name]))  # equal splits count as equal in spite of rounding
            above = extreme[name] + (statistics[name](weights_PT) >= true[name] - slack).cumsum()
            if above[-1] >= ENOUGH:
                found[name] = ENOUGH / (seen + int(np.searchsorted(above, ENOUGH)) + 1)
            extreme[name] = int(above[-1])
        seen += len(weights_PT)
        if len(found) == len(statistics):
            break
    return {name: found.get(name, (extreme[name] + 1) / (seen + 1)) for name in statistics}
