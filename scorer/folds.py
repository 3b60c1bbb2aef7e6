"""Starts that have not seen some of their training queries: folds drawn at random, and folds of whole kinds of queries.

A kind is what queries are tagged with, else a cluster. Random folds show how a scorer does on queries like the ones it knows, kinds that
are left out how it does on others. Training moves a start little, so neither is trained.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorer.initialisation import Embedded, Shrinkage, group_centres, known_tags, starting_weights
from scorer.types import Floats
from scorer.weights import HeadWeights, centred

FOLDS = 3  # of each of the two ways
FEWEST = 60  # training queries below which nothing can be told from them
MOST = 2000  # training queries that are looked at: seconds instead of minutes
KNOWN, LEFT_OUT = 0, 1  # the ways


@dataclass(frozen=True, slots=True)
class Fold:
    """A start, the queries it has not seen, and the way they were held out."""

    way: int
    out_Q: NDArray[np.bool_]
    start: HeadWeights


@dataclass(frozen=True, slots=True)
class Folds:
    """Training queries, the kind of each, and folds_QW: the fold that it is in, in each of the two ways.

    places_Q: where each stands among all training queries, of which at most MOST are looked at.
    """

    training: Embedded
    kinds_Q: NDArray[Any]
    folds_QW: NDArray[np.int64]
    places_Q: NDArray[np.int64]
    seed: int

    @classmethod
    def of(cls, training: Embedded, dims: int, groups: int, seed: int) -> "Folds":
        """Of at most MOST of the queries; where there are no tags, kinds are clusters by the first `dims` numbers of their vectors."""
        dice = np.random.default_rng(seed)
        count = len(training.queries_QD)
        kept_Q = np.zeros(count, dtype=bool)
        kept_Q[dice.permutation(count)[:MOST]] = True
        some = training.where(kept_Q)
        kinds_Q = _kinds(some, dims, groups, seed)
        drawn_Q = dice.permutation(len(kinds_Q)) % FOLDS
        return cls(some, kinds_Q, np.column_stack([drawn_Q, shared_out(kinds_Q)]), np.flatnonzero(kept_Q), seed)

    def embedded_as(self, queries_QD: Floats) -> "Folds":
        """The same folds of the same queries by other vectors; `queries_QD` are those of all training queries."""
        return replace(self, training=replace(self.training, queries_QD=queries_QD[self.places_Q]))

    def starts(self, shrinkage: Shrinkage, dims: int | None = None) -> Iterator[Fold]:
        """A start for each fold of both ways, on the first `dims` numbers of the vectors (None: all)."""
        for way, fold in self.ways_and_folds():
            if (made := self.start(way, fold, shrinkage, dims)) is not None:
                yield made

    def ways_and_folds(self) -> list[tuple[int, int]]:
        """Both ways, and the folds of each."""
        return [(way, fold) for way in (KNOWN, LEFT_OUT) for fold in sorted(set(self.folds_QW[:, way].tolist()))]

    def start(self, way: int, fold: int, shrinkage: Shrinkage, dims: int | None = None) -> Fold | None:
        """A start that has not seen that fold; None where nothing labelled is left to see."""
        training = replace(self.training, queries_QD=np.ascontiguousarray(self.training.queries_QD[:, :dims]))
        out_Q = self.folds_QW[:, way] == fold
        seen = training.where(~out_Q)
        labelled_L = (~np.isnan(seen.labels_QL)).any(axis=0)
        if not len(seen.queries_QD) or not labelled_L.any():
            return None
        seen = replace(seen, labels_QL=np.where(labelled_L, seen.labels_QL, 0.0))  # never seen right
        roster = tuple(map(str, range(training.labels_QL.shape[1])))
        return Fold(way, out_Q, starting_weights(roster, seen, shrinkage, self.seed))


def _kinds(training: Embedded, dims: int, groups: int, seed: int) -> NDArray[Any]:
    if training.tags_Q is not None:
        return np.array(known_tags(training.tags_Q))
    queries_QD = training.queries_QD[:, :dims]
    centred_QD = centred(queries_QD, queries_QD.mean(axis=0))
    return np.asarray((centred_QD @ group_centres(centred_QD, groups, seed, starts=1).T).argmax(axis=1))


def shared_out(kinds_Q: NDArray[Any]) -> NDArray[np.int64]:
    """Each query's fold: kinds stay whole, the largest first into the smallest fold."""
    names, counts = np.unique(kinds_Q, return_counts=True)
    sizes, fold_of = np.zeros(FOLDS), {}
    for place in np.argsort(-counts, kind="stable"):
        fold_of[names[place]] = int(sizes.argmin())
        sizes[fold_of[names[place]]] += counts[place]
    return np.array([fold_of[kind] for kind in kinds_Q], dtype=np.int64)
