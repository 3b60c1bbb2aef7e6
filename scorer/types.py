"""What every scorer is, whatever is behind it: query texts in, one score per LLM of its roster out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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


class Scorer(Protocol):
    """Predicts, from the query alone, which LLMs of its roster will answer well."""

    @property
    def roster(self) -> tuple[str, ...]:
        """LLM ids in the fixed order of the columns of `scores_QL`."""

    def score(self, texts: Sequence[str]) -> Prediction:
        """Scores `texts` (Q of them, at least one)."""
