"""What a trained scorer is made of, and its arithmetic from a query's vector to calibrated scores, in numpy."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.types import Floats

LEAST_CHANCE = 0.02


@dataclass(frozen=True, slots=True)
class Fallback:
    """Far from all training queries, scores fall back to what is good overall; `scorer.fallback` says how far is far.

    landmarks_MD: unit-norm centres of many small groups of centred training queries; edge: the cosine with the nearest one below which
    a query is far.
    """

    landmarks_MD: Floats
    edge: float

    def far(self, centred_QD: Floats) -> NDArray[np.bool_]:
        """far_Q: which of these queries are."""
        return nearness(centred_QD, self.landmarks_MD) < self.edge


@dataclass(frozen=True, slots=True)
class HeadWeights:
    """A head over frozen embeddings: a prior per group of queries and LLM, and one embedding per LLM that refines it.

    centre_D: mean of the training queries' embeddings, taken off first: some encoders point all texts nearly the same way.
    groups_GD: unit-norm centres of groups of centred queries; prior_GL: each LLM's log-odds in each group;
    softness: temperature at which a query belongs to groups.
    projection_DK: to the space queries and LLMs share; llms_LK: an embedding per LLM; temperature_L: of its cosine with the query.
    fallback: what to do far from the training queries; None changes nothing there.
    """

    roster: tuple[str, ...]
    centre_D: Floats
    groups_GD: Floats
    prior_GL: Floats
    softness: float
    projection_DK: Floats
    llms_LK: Floats
    temperature_L: Floats
    fallback: Fallback | None = None

    @property
    def overall_L(self) -> NDArray[np.float64]:
        """Each LLM's log-odds overall: the mean of its groups'."""
        return np.asarray(self.prior_GL.mean(axis=0), dtype=np.float64)

    def logits(self, queries_QD: Floats) -> NDArray[np.float64]:
        """logits_QL = prior of the query's groups + cos(projected query, LLM) / temperature; far away, `overall_L`.

        No column depends on the other LLMs.
        """
        centred_QD = centred(queries_QD, self.centre_D)
        cosines_QL = per_llm(unit(centred_QD @ self.projection_DK), unit(self.llms_LK))
        prior_QL = per_llm(membership(centred_QD, self.groups_GD, self.softness), self.prior_GL.T)
        logits_QL = np.asarray(prior_QL + cosines_QL / self.temperature_L, dtype=np.float64)
        if self.fallback is None:
            return logits_QL
        return np.where(self.fallback.far(centred_QD)[:, None], self.overall_L, logits_QL)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling per LLM, fitted on held-out queries: probability = sigmoid(slope * logit + intercept)."""

    slope_L: NDArray[np.float64]
    intercept_L: NDArray[np.float64]

    def probabilities(self, logits_QL: NDArray[np.float64]) -> Floats:
        """scores_QL in [0, 1]."""
        return sigmoid(self.slope_L * logits_QL + self.intercept_L).astype(np.float32)

    @classmethod
    def identity(cls, llms: int) -> "Calibration":
        """Leaves every logit as it is."""
        return cls(np.ones(llms), np.zeros(llms))


def per_llm(features_QF: Floats, rows_LF: Floats) -> Floats:
    """features_QF @ rows_LF.T, one product an LLM: a single one is rounded differently when it has one column more."""
    columns_LQ1 = np.matmul(features_QF, np.ascontiguousarray(rows_LF)[:, :, None])
    return np.ascontiguousarray(columns_LQ1[:, :, 0].T)


def centred(queries_QD: Floats, centre_D: Floats) -> Floats:
    """Embeddings less what all have in common, back at length 1."""
    return unit(queries_QD - centre_D)


def membership(queries_QD: Floats, groups_GD: Floats, softness: float) -> Floats:
    """How much each query belongs to each group: softmax over its cosines with their centres, rows sum to 1."""
    cosines_QG = (queries_QD @ groups_GD.T) / softness
    powers_QG = np.exp(cosines_QG - cosines_QG.max(axis=1, keepdims=True))
    return np.asarray(powers_QG / powers_QG.sum(axis=1, keepdims=True), dtype=np.float32)


def nearness(centred_QD: Floats, landmarks_MD: Floats) -> NDArray[np.float64]:
    """nearness_Q: each query's cosine with the nearest landmark."""
    return np.asarray((centred_QD @ landmarks_MD.T).max(axis=1), dtype=np.float64)


def unit(rows: NDArray[np.floating]) -> Floats:
    """Each row at length 1; a zero row stays zero."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)


def log_odds(chance: float) -> float:
    """ln(p / (1 - p)), p kept within [.02, .98]: a chance from few labels is never certain."""
    kept = min(max(chance, LEAST_CHANCE), 1.0 - LEAST_CHANCE)
    return math.log(kept / (1.0 - kept))


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + e^-x), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float64)
