"""What a residual is linear in: 1, and where a query lies in the space that the scorer shares between queries and LLMs, in few dims."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.types import Floats
from scorer.weights import HeadWeights, unit

Doubles = NDArray[np.float64]
DIMS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """phi(x) = [1, unit((x - centre_D) to_DK) less its mean, along K directions in which training queries differ most], K <= DIMS.

    The last K are scaled so that their squares sum to 1 on average over the training queries.
    """

    centre_D: Doubles
    projection_DP: Doubles
    mean_K: Doubles
    basis_PK: Doubles

    @classmethod
    def of(cls, weights: HeadWeights, queries_RD: Floats, dims: int = DIMS) -> "Features":
        """Of a scorer's head and training queries; D is an embedding's length: what is known of a query once it is a record."""
        length = queries_RD.shape[1]
        centre_D, projection_DP = weights.centre_D[:length].astype(np.float64), weights.projection_DK[:length].astype(np.float64)
        places_RP = unit((queries_RD - centre_D) @ projection_DP).astype(np.float64)
        mean_P = places_RP.mean(axis=0)
        _, spread_K, directions_KP = np.linalg.svd(places_RP - mean_P, full_matrices=False)
        kept = min(dims, int((spread_K > 1e-6 * max(float(spread_K[0]), 1e-12)).sum())) if len(spread_K) else 0
        basis_PK = directions_KP[:kept].T
        size = np.sqrt(np.square((places_RP - mean_P) @ basis_PK).sum(axis=1).mean()) if kept else 1.0
        return cls(centre_D, projection_DP, mean_P @ basis_PK / size, basis_PK / size)

    @property
    def dims(self) -> int:
        """K: features beside the 1."""
        return int(self.basis_PK.shape[1])

    def __call__(self, queries_QD: Floats) -> Doubles:
        """features_QF of embeddings, F = 1 + K."""
        places_QP = unit((queries_QD - self.centre_D) @ self.projection_DP)
        return np.column_stack([np.ones(len(queries_QD)), places_QP @ self.basis_PK - self.mean_K])
