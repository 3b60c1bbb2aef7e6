"""Decides whether traffic differs from a scorer's reference: tests whose distribution without shift is known exactly, in numpy.

Kernel two-sample test: Gretton et al. 2012, "A Kernel Two-Sample Test" (MMD); its null distribution by permuting which queries are recent.
Cramér-von Mises two-sample criterion: Anderson 1962; its null distribution by the same permutations.
Holm 1979 bounds the probability of any false alarm in the family of tests.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitoring.profile import ReferenceProfile

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
CHUNK = 512  # permutations at a time: bounds memory to CHUNK x N floats


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """How far N queries are from the training queries, and the H held-out ones for comparison.

    distances_N: mean cosine distance to the k nearest training queries, in [0, 2].
    threshold: the held-out quantile above which a query is novel; `novel_N` says which are.
    nearest_N: index of the nearest training query.
    """

    distances_N: Floats
    held_out_distances_H: Floats
    nearest_N: NDArray[np.intp]
    threshold: float
    p_value: float

    @property
    def novel_N(self) -> Flags:
        """Which queries are farther from training than the threshold."""
        return self.distances_N > self.threshold

    @property
    def share(self) -> float:
        """Share of novel queries, in [0, 1]; `1 - quantile` is expected without shift."""
        return float(self.novel_N.mean())


@dataclass(frozen=True, slots=True)
class Shift:
    """The p-values of one look, raw and Holm-adjusted over the family `queries`, `novelty`, `score LLM` ..."""

    p_values: dict[str, float]
    adjusted: dict[str, float]


def neighbours(queries_ND: Floats, reference_RD: Floats, k: int) -> tuple[Floats, NDArray[np.intp]]:
    """Mean cosine distance of each query to its k nearest reference queries, and the index of the nearest; around the reference's mean.

    Sentence embeddings share a direction that says nothing of their content (Mu & Viswanath 2018); without it far domains stand apart.
    """
    centre_D = reference_RD.mean(axis=0)
    similar_NR = _unit(queries_ND - centre_D) @ _unit(reference_RD - centre_D).T
    k = min(k, similar_NR.shape[1])
    nearest_Nk = np.argpartition(-similar_NR, k - 1, axis=1)[:, :k]
    similar_Nk = np.take_along_axis(similar_NR, nearest_Nk, axis=1)
    nearest_N = nearest_Nk[np.arange(len(queries_ND)), similar_Nk.argmax(axis=1)]
    return (1 - similar_Nk.mean(axis=1)).astype(np.float32), nearest_N


def _unit(rows_ND: Floats) -> Floats:
    scaled: Floats = rows_ND / np.maximum(np.linalg.norm(rows_ND, axis=1, keepdims=True), 1e-12)
    return scaled


def novelty(queries_ND: Floats, profile: ReferenceProfile, *, k: int, quantile: float) -> Novelty:
    """Novelty of N recent queries, with the exact p-value of their number above the threshold.

    The threshold is the held-out order statistic with `above` of the H held-out queries beyond it. Without shift, and whatever the
    distribution of distances, the share of traffic beyond it and the number of recent queries beyond it are

        share ~ Beta(above + 1, H - above)
        number ~ BetaBinomial(N, above + 1, H - above)
    """
    from scipy.stats import betabinom

    distances_N, nearest_N = neighbours(queries_ND, profile.queries_RD, k)
    held_out_H, _ = neighbours(profile.held_queries_HD, profile.queries_RD, k)
    above = int(np.floor((1 - quantile) * len(held_out_H) + 1e-9))
    threshold = float(np.sort(held_out_H)[len(held_out_H) - above - 1])
    count = int((distances_N > threshold).sum())
    p_value = float(betabinom.sf(count - 1, len(distances_N), above + 1, len(held_out_H) - above))
    return Novelty(distances_N, held_out_H, nearest_N, threshold, min(1.0, p_value))


def gaussian_kernel(sample_ND: Floats) -> Floats:
    """Kernel matrix of the sample, N x N, with the median distance as its width (Gretton et al. 2012, §8)."""
    norms_N = np.einsum("nd,nd->n", sample_ND, sample_ND)
    squared_NN = np.maximum(norms_N[:, None] + norms_N[None, :] - 2 * (sample_ND @ sample_ND.T), 0)
    median = float(np.median(squared_NN[np.triu_indices(len(sample_ND), 1)]))
    kernel: Floats = np.exp(squared_NN / -(median or 1.0)).astype(np.float32)
    return kernel


def permutations(recent: int, size: int, count: int, seed: int) -> Floats:
    """`count` + 1 indicator rows of length `size` with `recent` ones each; row 0 is the true split, recent first."""
    rng = np.random.default_rng(seed)
    order_PN = rng.random((count, size), dtype=np.float32).argsort(axis=1)
    return np.vstack([np.arange(size) < recent, order_PN < recent]).astype(np.float32)


def mmd(kernel_NN: Floats, splits_PN: Floats) -> Doubles:
    """Squared maximum mean discrepancy of each of P splits into recent queries x and reference queries y (Gretton et al. 2012, eq. 5).

        MMD² = mean K(x, x') + mean K(y, y') - 2 mean K(x, y)

    Each mean is a quadratic form of the split's indicator row, so the kernel matrix is made once.
    """
    recent = float(splits_PN[0].sum())
    others = splits_PN.shape[1] - recent
    rows_N = kernel_NN.sum(axis=1, dtype=np.float64)
    statistic = np.empty(len(splits_PN))
    for start in range(0, len(splits_PN), CHUNK):
        chunk = splits_PN[start : start + CHUNK]
        within = np.einsum("pn,pn->p", chunk @ kernel_NN, chunk, dtype=np.float64)
        across = chunk @ rows_N - within
        rest = rows_N.sum() - within - 2 * across
        statistic[start : start + CHUNK] = within / recent**2 + rest / others**2 - 2 * across / (recent * others)
    return statistic


def cramer_von_mises(values_N: Floats, splits_PN: Floats) -> Doubles:
    """Distance between the distribution functions F of the two samples of each split (Anderson 1962), over all N values; ties allowed.

    T = sum_N (F_recent(value) - F_reference(value))²
    """
    recent = float(splits_PN[0].sum())
    others = splits_PN.shape[1] - recent
    order_N = np.argsort(values_N, kind="stable")
    last_of_tie_N = np.searchsorted(values_N[order_N], values_N[order_N], side="right") - 1
    all_N = np.arange(1, len(values_N) + 1, dtype=np.float64)
    statistic = np.empty(len(splits_PN))
    for start in range(0, len(splits_PN), CHUNK):
        recent_PN = splits_PN[start : start + CHUNK][:, order_N].cumsum(axis=1, dtype=np.float64)
        gap_PN = recent_PN / recent - (all_N - recent_PN) / others
        statistic[start : start + CHUNK] = np.square(gap_PN[:, last_of_tie_N]).sum(axis=1)
    return statistic


def p_value(statistic_P: Doubles) -> float:
    """Permutation p-value of row 0, the true split: the share of rows with a statistic at least as large.

    Row 0 counts itself, so it is never 0, and it is valid at any number of permutations (Phipson & Smyth 2010).
    """
    slack = 1e-9 * max(1.0, abs(float(statistic_P[0])))  # equal splits must count as equal in spite of rounding
    return float((statistic_P >= statistic_P[0] - slack).mean())


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Adjusted p-values (Holm 1979): rejecting those <= alpha keeps the probability of any false alarm in the family <= alpha.

    Of m p-values in ascending order, the i-th becomes

        adjusted_i = max over j <= i of min(1, (m - j + 1) p_j)
    """
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


def compare(queries_ND: Floats, scores_NL: Floats, profile: ReferenceProfile, novelty: Novelty, *, count: int, seed: int) -> Shift:
    """Tests whether N recent queries and their scores are distributed as the held-out ones. novelty: of these queries."""
    splits_PN = permutations(len(queries_ND), len(queries_ND) + len(profile.held_queries_HD), count, seed)
    kernel_NN = gaussian_kernel(np.vstack([queries_ND, profile.held_queries_HD]))
    p_values = {"queries": p_value(mmd(kernel_NN, splits_PN)), "novelty": novelty.p_value}
    for column, llm in enumerate(profile.roster):
        values_N = np.concatenate([scores_NL[:, column], profile.held_scores_HL[:, column]])
        p_values[f"score {llm}"] = p_value(cramer_von_mises(values_N, splits_PN))
    return Shift(p_values, holm(p_values))
