"""What a trained scorer is made of, and its arithmetic from a query's vector to calibrated scores, in numpy."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.types import Floats

LEAST_CHANCE = 0.02


@dataclass(frozen=True, slots=True)
class Trust:
    """How much of what sets a query apart is believed; the rest of a score is what is good overall. `scorer.trust` fits it.

    landmarks_MD: unit-norm centres of many small groups of centred training queries. The share of a score that is believed is
    sigmoid(offset + slope * cosine with the nearest landmark). spread_L: standard deviation, in log-odds, of an LLM's rate on a kind of
    queries that nobody knows.
    """

    landmarks_MD: Floats
    offset: float
    slope: float
    spread_L: Floats

    def share(self, centred_QD: Floats) -> NDArray[np.float64]:
        """share_Q in (0, 1)."""
        return sigmoid(self.offset + self.slope * nearness(centred_QD, self.landmarks_MD))


@dataclass(frozen=True, slots=True)
class HeadWeights:
    """A head over frozen embeddings: a prior per group of queries and LLM, and one embedding per LLM that refines it.

    centre_D: mean of the training queries' embeddings, taken off first: some encoders point all texts nearly the same way.
    groups_GD, bias_G: how near a centred query is to each group (centres of clusters and zeros, or a classifier of tags);
    prior_GL: each LLM's log-odds in each group; softness: temperature at which a query belongs to groups.
    projection_DK: to the space queries and LLMs share; llms_LK: an embedding per LLM; temperature_L: of its cosine with the query.
    trust: how much of a score is believed far from the training queries; None: all of it everywhere.
    """

    roster: tuple[str, ...]
    centre_D: Floats
    groups_GD: Floats
    bias_G: Floats
    prior_GL: Floats
    softness: float
    projection_DK: Floats
    llms_LK: Floats
    temperature_L: Floats
    trust: Trust | None = None

    def member(self, centred_QD: Floats) -> Floats:
        """member_QG: how much each centred query belongs to each group."""
        return membership(centred_QD, self.groups_GD, self.softness, self.bias_G)

    @property
    def overall_L(self) -> NDArray[np.float64]:
        """Each LLM's log-odds overall: the mean of its groups'."""
        return np.asarray(self.prior_GL.mean(axis=0), dtype=np.float64)

    def logits(self, queries_QD: Floats) -> NDArray[np.float64]:
        """logits_QL = prior of the query's groups + cos(projected query, LLM) / temperature, drawn to `overall_L` as `trust` says.

        No column depends on the other LLMs.
        """
        centred_QD = centred(queries_QD, self.centre_D)
        cosines_QL = per_llm(unit(centred_QD @ self.projection_DK), unit(self.llms_LK))
        prior_QL = per_llm(self.member(centred_QD), self.prior_GL.T)
        logits_QL = np.asarray(prior_QL + cosines_QL / self.temperature_L, dtype=np.float64)
        if self.trust is None:
            return logits_QL
        return np.asarray(self.overall_L + self.trust.share(centred_QD)[:, None] * (logits_QL - self.overall_L), dtype=np.float64)

    def doubt(self, queries_QD: Floats) -> NDArray[np.float64]:
        """doubt_QL: standard deviation, in log-odds, of what is not known about these queries; 0 where everything is believed."""
        if self.trust is None:
            return np.zeros((len(queries_QD), len(self.roster)))
        unbelieved_Q = 1.0 - self.trust.share(centred(queries_QD, self.centre_D))
        return np.asarray(np.sqrt(unbelieved_Q)[:, None] * self.trust.spread_L, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling per LLM, fitted on held-out queries: probability = sigmoid(slope * logit + intercept)."""

    slope_L: NDArray[np.float64]
    intercept_L: NDArray[np.float64]

    def probabilities(self, logits_QL: NDArray[np.float64]) -> Floats:
        """scores_QL in [0, 1]."""
        return sigmoid(self.slope_L * logits_QL + self.intercept_L).astype(np.float32)

    def doubts(self, scores_QL: Floats, doubt_QL: NDArray[np.float64]) -> Floats:
        """How far scores may be off: a doubt in log-odds as a standard deviation of the probability."""
        return np.asarray(scores_QL * (1.0 - scores_QL) * self.slope_L * doubt_QL, dtype=np.float32)

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


def membership(queries_QD: Floats, groups_GD: Floats, softness: float, bias_G: Floats | float = 0.0) -> Floats:
    """How much each query belongs to each group: softmax over (its products with them) / softness + bias, rows sum to 1."""
    nearness_QG = (queries_QD @ groups_GD.T) / softness + bias_G
    powers_QG = np.exp(nearness_QG - nearness_QG.max(axis=1, keepdims=True))
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
