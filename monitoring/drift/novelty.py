"""How far queries are from the training queries of a scorer version: which are novel, and which known domain each is nearest to."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitoring.drift.profile import Floats, Names, ReferenceProfile

Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """How far N queries are from the training queries, and the H held-out ones for comparison.

    distances_N: mean cosine distance to the k nearest training queries, in [0, 2].
    nearest_N, held_out_nearest_H: index of the nearest training query.
    threshold: the held-out quantile above which a query is novel; `novel_N` says which are.
    """

    distances_N: Floats
    nearest_N: Rows
    held_out_distances_H: Floats
    held_out_nearest_H: Rows
    threshold: float

    @property
    def novel_N(self) -> Flags:
        """Which queries are farther from training than the threshold."""
        return self.distances_N > self.threshold

    @property
    def share(self) -> float:
        """Share of novel queries, in [0, 1]; `1 - quantile` is expected without shift."""
        return float(self.novel_N.mean())

    def of(self, rows_M: Rows) -> "Novelty":
        """The same for M of the N queries."""
        return replace(self, distances_N=self.distances_N[rows_M], nearest_N=self.nearest_N[rows_M])

    def domains_N(self, profile: ReferenceProfile) -> Names:
        """The domain of the training query that each of N queries is nearest to."""
        return profile.domains_R[self.nearest_N]


def novelty(queries_ND: Floats, profile: ReferenceProfile, *, k: int, quantile: float) -> Novelty:
    """Novelty of N recent queries; the threshold is the order statistic of the held-out distances with a share `1 - quantile` above it."""
    distances_N, nearest_N = neighbours(queries_ND, profile.queries_RD, k)
    held_out_H, held_out_nearest_H = neighbours(profile.held_queries_HD, profile.queries_RD, k)
    above = int(np.floor((1 - quantile) * len(held_out_H) + 1e-9))
    threshold = float(np.sort(held_out_H)[len(held_out_H) - above - 1])
    return Novelty(distances_N, nearest_N, held_out_H, held_out_nearest_H, threshold)


def neighbours(queries_ND: Floats, reference_RD: Floats, k: int) -> tuple[Floats, Rows]:
    """Mean cosine distance of each query to its k nearest reference queries, and the index of the nearest; around the reference's mean.

    Sentence embeddings share a direction that says nothing of their content (Mu & Viswanath 2018); without it far domains stand apart.
    """
    centre_D = reference_RD.mean(axis=0)
    similar_NR = centred(queries_ND, centre_D) @ centred(reference_RD, centre_D).T
    k = min(k, similar_NR.shape[1])
    nearest_Nk = np.argpartition(-similar_NR, k - 1, axis=1)[:, :k]
    similar_Nk = np.take_along_axis(similar_NR, nearest_Nk, axis=1)
    nearest_N = nearest_Nk[np.arange(len(queries_ND)), similar_Nk.argmax(axis=1)]
    return (1 - similar_Nk.mean(axis=1)).astype(np.float32), nearest_N


def centred(rows_ND: Floats, centre_D: Floats) -> Floats:
    """Embeddings less what all have in common, at length 1."""
    rows_ND = rows_ND - centre_D
    scaled: Floats = rows_ND / np.maximum(np.linalg.norm(rows_ND, axis=1, keepdims=True), 1e-12)
    return scaled
