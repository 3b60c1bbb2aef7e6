"""What was learnt of all LLMs of a scorer version, and what it makes of a query: corrected scores, and chances to be drawn.

Thompson sampling draws each LLM's residual from its posterior and takes the LLM of the highest value. Here it is drawn DRAWS times, always
from the same normal numbers, and counted; the LLM that is asked is then drawn by these shares. So the propensity that is recorded is the
one with which it was drawn, exactly, and not an estimate of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitoring.learning.features import Features
from monitoring.learning.residual import Residual
from scorer.weights import sigmoid

Doubles = NDArray[np.float64]
DRAWS = 128
SURE = 1e-4  # a score is kept so far from 0 and 1


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """Residuals of L LLMs in roster order, F features each; `changed_L` is the chance that an LLM is another one than was trained on.

    mean_CLF, root_CLFF: of the unchanged (C = 0) and the changed (C = 1) LLM; root is the Cholesky factor of the covariance.
    """

    features: Features
    mean_CLF: Doubles
    root_CLFF: Doubles
    changed_L: Doubles
    normal_DL: Doubles = field(init=False, repr=False)
    uniform_DL: Doubles = field(init=False, repr=False)

    def __post_init__(self) -> None:
        random, shape = np.random.default_rng(0), (DRAWS, len(self.changed_L))
        object.__setattr__(self, "normal_DL", random.standard_normal(shape))
        object.__setattr__(self, "uniform_DL", random.random(shape))

    @classmethod
    def of(cls, features: Features, residuals: list[Residual]) -> "Learned":
        """Residuals in roster order."""
        means = [[each.unchanged[0] for each in residuals], [each.moved[0] for each in residuals]]
        covariances = [[each.unchanged[1] for each in residuals], [each.moved[1] for each in residuals]]
        return cls(features, np.array(means), np.linalg.cholesky(np.array(covariances)), np.array([each.changed for each in residuals]))

    def seen(self, scores_QL: Doubles, features_QF: Doubles) -> "Seen":
        """Scores with what was learnt, the mean over unchanged and changed, each at its residual's mean; and what it takes to draw.

        A residual of 0 leaves a score.
        """
        logits_QL = log_odds(scores_QL)
        shift_CQL = np.einsum("qf,clf->cql", features_QF, self.mean_CLF, optimize=True)
        moved_QL = sigmoid(logits_QL + shift_CQL[1])
        same_QL = np.where(shift_CQL[0] == 0, scores_QL, sigmoid(logits_QL + shift_CQL[0]))
        corrected_QL = np.where(self.changed_L > 0, (1 - self.changed_L) * same_QL + self.changed_L * moved_QL, same_QL)
        return Seen(self, features_QF, logits_QL, shift_CQL, corrected_QL)


def log_odds(scores: Doubles) -> Doubles:
    """ln(p / (1 - p)), p kept within [SURE, 1 - SURE]."""
    kept = np.clip(scores, SURE, 1 - SURE)
    return np.asarray(np.log(kept / (1 - kept)))


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Q queries as `Learned` sees them."""

    learned: Learned
    features_QF: Doubles
    logits_QL: Doubles
    shift_CQL: Doubles
    corrected_QL: Doubles

    def shares(self, values_of: Callable[[Doubles], Doubles], delta: float) -> Doubles:
        """shares_QL of DRAWS residuals by which each LLM is the best of those whose value, as corrected, is within delta of the highest.

        values_of: the value of L LLMs at such scores, -inf where one may not be asked; takes and gives [..., L].
        """
        learned = self.learned
        value_QL = values_of(self.corrected_QL)
        deviation_CQL = np.linalg.norm(np.einsum("qf,clfg->cqlg", self.features_QF, learned.root_CLFF, optimize=True), axis=3)
        drawn_CQDL = self.logits_QL[:, None] + self.shift_CQL[:, :, None] + deviation_CQL[:, :, None] * learned.normal_DL
        moved_QDL = np.broadcast_to(learned.uniform_DL < learned.changed_L, drawn_CQDL.shape[1:])
        near_QL = value_QL >= value_QL.max(axis=1, keepdims=True) - delta
        sampled_QDL = values_of(sigmoid(np.where(moved_QDL, drawn_CQDL[1], drawn_CQDL[0])))
        winner_QD = np.where(near_QL[:, None], sampled_QDL, -np.inf).argmax(axis=2)
        return np.asarray((winner_QD[:, :, None] == np.arange(value_QL.shape[1])).mean(axis=1))
