"""How much an outcome counts: the less, the longer ago it was, and the likelier its answer was to be graded."""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


def aged(requests_ago_N: NDArray[np.integer] | Doubles, half_life: float) -> Doubles:
    """A half for every `half_life` requests that came since."""
    return np.asarray(0.5 ** (np.asarray(requests_ago_N, dtype=np.float64) / half_life))


def drawn(probability_N: Doubles) -> Doubles:
    """~ 1 / probability, scaled so that they sum to their effective number (Kish): audits of likelier draws speak for fewer answers."""
    inverse_N = 1.0 / np.maximum(probability_N, 1e-9)
    return np.asarray(inverse_N * inverse_N.sum() / np.square(inverse_N).sum()) if len(inverse_N) else inverse_N
