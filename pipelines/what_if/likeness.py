"""Which texts of a log are of a kind that no labelled query is like: forecasts are unchecked there, however near a training query is. Pure.

As many texts of the log as labelled queries of a domain are put together. Where they are of one kind, half of the nearest others of a text
are labelled; a kind of its own keeps to itself (nearest-neighbour test of two samples: Schilling 1986, Henze 1988). Domains are looked at
one by one only where the whole log is conspicuous. LACK was read off recorded sets (docs/results/promises.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.what_if.knowledge import Texts, Values

Rows = NDArray[np.intp]
NEAREST = 5
LEAST = 20  # texts, and labelled queries, of a domain that is looked at by itself
LACK = 0.10  # by how much less than half of the nearest are labelled, from which on a kind is another one
FAR = 0.05  # of texts like the training queries are called far
MOST_FAR = 0.10
SURE = 2.33  # standard deviations of chance that are allowed for
SPREAD = 0.65  # of one neighbour's share, by simulation: neighbours of neighbours are alike
DRAWS = 3


@dataclass(frozen=True, slots=True)
class Group:
    """Texts of the log in one domain: which, the share of them that is far, and the labelled share of the nearest ones, None: not known."""

    rows: Rows
    far: float
    labelled: float | None
    size: int

    @property
    def apart(self) -> bool:
        """Whether they are surely another kind than the labelled ones."""
        if self.far > MOST_FAR + SURE * float(np.sqrt(FAR * (1 - FAR) / len(self.rows))):
            return True
        if self.labelled is None:
            return False
        return self.labelled < 0.5 - max(LACK, SURE * SPREAD / float(np.sqrt(NEAREST * self.size)))


def unlike(texts: Texts, labelled: Texts) -> NDArray[np.bool_]:
    """unlike_N of N different texts, beside the labelled queries; domains too small to look at are looked at together."""
    unlike_N, dice = np.zeros(len(texts.far_N), dtype=bool), np.random.default_rng(0)
    groups = [_group(texts, labelled, rows, beside, dice) for rows, beside in _groups(texts.domains_N, labelled.domains_N)]
    known = [(group.labelled, len(group.rows)) for group in groups if group.labelled is not None]
    near = sum(share * count for share, count in known) / sum(count for _, count in known) if known else 0.5
    if len(texts.far_N) and (texts.far_N.mean() > MOST_FAR or near < 0.5 - LACK / 2):
        for group in groups:
            unlike_N[group.rows] = group.apart
    return unlike_N


def _groups(domains_N: NDArray[np.str_], domains_M: NDArray[np.str_]) -> Iterator[tuple[Rows, Rows]]:
    """Texts and labelled queries of each domain that has enough of both, then of all others."""
    enough = [name for name in np.unique(domains_N) if min((domains_N == name).sum(), (domains_M == name).sum()) >= LEAST]
    for name in enough:
        yield np.flatnonzero(domains_N == name), np.flatnonzero(domains_M == name)
    rest = np.flatnonzero(~np.isin(domains_N, enough))
    if len(rest) >= LEAST:
        yield rest, np.flatnonzero(~np.isin(domains_M, enough))


def _group(texts: Texts, labelled: Texts, rows: Rows, beside: Rows, dice: np.random.Generator) -> Group:
    far = float(texts.far_N[rows].mean())
    log_ND, labelled_MD = texts.vectors_ND[rows[~texts.far_N[rows]]], labelled.vectors_ND[beside]
    size = min(len(log_ND), len(labelled_MD))
    if size < LEAST:
        return Group(rows, far, None if len(log_ND) < LEAST else 0.0, LEAST)  # nobody labelled anything of this domain
    shares = [_share(*(each[dice.choice(len(each), size, replace=False)] for each in (log_ND, labelled_MD))) for _ in range(DRAWS)]
    return Group(rows, far, float(np.mean(shares)), size)


def _share(log_SD: Values, labelled_SD: Values) -> float:
    """The share of labelled ones among the NEAREST of a text of the log, by cosine."""
    likeness = _unit(log_SD) @ _unit(np.concatenate([log_SD, labelled_SD])).T
    np.fill_diagonal(likeness, -np.inf)
    nearest = np.argpartition(-likeness, NEAREST - 1, axis=1)[:, :NEAREST]
    return float((nearest >= len(log_SD)).mean())


def _unit(vectors_ND: Values) -> Values:
    return np.asarray(vectors_ND / np.maximum(np.linalg.norm(vectors_ND, axis=1, keepdims=True), 1e-12), dtype=np.float64)
