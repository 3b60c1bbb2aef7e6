"""Decides whether traffic differs from a scorer's reference within the domains it knows, and whether their mix changed; in numpy.

Kernel two-sample test: Gretton et al. 2012, "A Kernel Two-Sample Test" (MMD). Cramér-von Mises two-sample criterion: Anderson 1962.
Their distributions without shift come from permutations within domains (`permutation`), so they are exact whatever the mix.
Holm 1979 bounds the probability of any false alarm in the family of tests.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from monitoring.drift import permutation
from monitoring.drift.novelty import Novelty
from monitoring.drift.permutation import Doubles, Floats, Strata
from monitoring.drift.profile import Names, ReferenceProfile

FAR = 0.05  # of recent and held-out queries together: the novelty test asks whether recent ones have more than their share of these


@dataclass(frozen=True, slots=True)
class Shift:
    """The p-values of one look, raw and Holm-adjusted over the family `queries`, `novelty`, `score LLM` ..."""

    p_values: dict[str, float]
    adjusted: dict[str, float]


@dataclass(frozen=True, slots=True)
class Mix:
    """Whether the shares of the known domains changed. changed: domain, its share held out and now, the largest change first."""

    p_value: float
    changed: tuple[tuple[str, float, float], ...]


def compare(queries_ND: Floats, scores_NL: Floats, profile: ReferenceProfile, novelty: Novelty, *, count: int, seed: int) -> Shift:
    """Tests whether N recent queries and their scores are, in each domain, distributed as the held-out ones. novelty: of these queries.

    A domain is that of the nearest training query, so recent and held-out queries come to theirs in the same way. count: of permutations.
    """
    strata = Strata.by_name(novelty.domains_N(profile), profile.domains_R[novelty.held_out_nearest_H])
    kernel_TT = gaussian_kernel(np.vstack([queries_ND, profile.held_queries_HD]))
    distances_T = np.concatenate([novelty.distances_N, novelty.held_out_distances_H])
    far_T = (distances_T > np.quantile(distances_T, 1 - FAR)).astype(np.float32)
    statistics: dict[str, permutation.Statistic] = {"queries": partial(mmd, kernel_TT), "novelty": partial(excess, far_T)}
    for column, llm in enumerate(profile.roster):
        values_T = np.concatenate([scores_NL[:, column], profile.held_scores_HL[:, column]])
        statistics[f"score {llm}"] = partial(cramer_von_mises, values_T)
    p_values = permutation.p_values(statistics, strata, count=count, seed=seed)
    return Shift(p_values, holm(p_values))


def excess(flags_T: Floats, weights_PT: Floats) -> Doubles:
    """Share of flagged recent queries less that of held-out ones in the same mix, for each of P splits."""
    return (weights_PT @ flags_T).astype(np.float64)


def gaussian_kernel(sample_TD: Floats) -> Floats:
    """Kernel matrix of the sample, T x T, with the median distance as its width (Gretton et al. 2012, §8)."""
    norms_T = np.einsum("td,td->t", sample_TD, sample_TD)
    squared_TT = np.maximum(norms_T[:, None] + norms_T[None, :] - 2 * (sample_TD @ sample_TD.T), 0)
    median = float(np.median(squared_TT[np.triu_indices(len(sample_TD), 1)]))
    kernel: Floats = np.exp(squared_TT / -(median or 1.0)).astype(np.float32)
    return kernel


def mmd(kernel_TT: Floats, weights_PT: Floats) -> Doubles:
    """Squared maximum mean discrepancy of each of P splits (Gretton et al. 2012, eq. 5), recent against held-out queries in the recent mix.

        MMD² = sum over t, u of w_t w_u K(t, u)

    With one stratum it is mean K(x, x') + mean K(y, y') - 2 mean K(x, y).
    """
    squared_P: Doubles = np.einsum("pt,pt->p", weights_PT @ kernel_TT, weights_PT, dtype=np.float64)
    return squared_P


def cramer_von_mises(values_T: Floats, weights_PT: Floats) -> Doubles:
    """Distance between the distribution functions F of the two samples of each split (Anderson 1962), over all T values; ties allowed.

    D = sum over T of (F_recent(value) - F_held-out(value))²
    """
    order_T = np.argsort(values_T, kind="stable")
    last_of_tie_T = np.searchsorted(values_T[order_T], values_T[order_T], side="right") - 1
    gap_PT = weights_PT[:, order_T].cumsum(axis=1, dtype=np.float64)
    distance_P: Doubles = np.square(gap_PT[:, last_of_tie_T]).sum(axis=1)
    return distance_P


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


def mix(recent_N: Names, held_out_H: Names, *, count: int, seed: int) -> Mix:
    """Whether N recent queries are spread over the domains as H held-out ones are: Pearson's statistic against its exact distribution."""
    names, place_T, all_S = np.unique(np.concatenate([recent_N, held_out_H]), return_inverse=True, return_counts=True)
    recent_S = np.bincount(place_T[: len(recent_N)], minlength=len(names))
    drawn_PS = np.random.default_rng(seed).multivariate_hypergeometric(all_S, len(recent_N), size=count)
    expected_S = all_S * len(recent_N) / len(place_T)
    statistic_P = (np.square(np.vstack([recent_S, drawn_PS]) - expected_S) / expected_S).sum(axis=1)
    share_S, held_S = recent_S / len(recent_N), (all_S - recent_S) / len(held_out_H)
    largest = np.argsort(-abs(share_S - held_S), kind="stable")
    changed = tuple((str(names[at]), float(held_S[at]), float(share_S[at])) for at in largest)
    return Mix(float((statistic_P >= statistic_P[0] * (1 - 1e-9)).mean()), changed)
