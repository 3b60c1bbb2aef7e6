"""What every scorer returns, whatever is behind it: one score per LLM of its roster, and the query's embedding."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Prediction:
    """Scores of Q queries.

    scores_QL: calibrated probability, in [0, 1], that LLM l of the roster answers query q adequately.
    queries_QD: unit-norm embedding of each query (what drift is measured on).
    """

    scores_QL: Floats
    queries_QD: Floats
