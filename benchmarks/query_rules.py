"""Rules that say which queries a new LLM is asked first; benchmarks.joining holds them against asking at random."""

import numpy as np
from numpy.typing import NDArray

from pipelines.facility_location import cover
from scorer.initialisation import Labels
from scorer.types import Floats

Places = NDArray[np.int64]  # of training queries


def at_random(queries: int, count: int, seed: int | list[int]) -> Places:
    """Any `count` of them: what the order of a hash amounts to."""
    return np.random.default_rng(seed).permutation(queries)[:count]


def medoids(queries_QD: Floats, count: int, seed: int) -> Places:
    """The query nearest to the centre of each of `count` k-means clusters: coverage of the query pool."""
    from sklearn.cluster import KMeans

    fitted = KMeans(count, n_init=1, max_iter=20, random_state=seed).fit(queries_QD)
    distances_Q = ((queries_QD - fitted.cluster_centers_[fitted.labels_]) ** 2).sum(axis=1)
    members = (np.flatnonzero(fitted.labels_ == cluster) for cluster in range(count))
    return np.array([each[distances_Q[each].argmin()] for each in members if len(each)])


def covering(queries_QD: Floats, count: int, seed: int, *, share: float = 0.9) -> Places:
    """What a deployment asks (`pipelines.facility_location`), of a `share` of the queries drawn anew for each seed."""
    drawn_Q = np.sort(at_random(len(queries_QD), int(share * len(queries_QD)), seed))
    return drawn_Q[cover(queries_QD[drawn_Q], (), count)]


def d_optimal(queries_QD: Floats, count: int, *, ridge: float = 100.0) -> Places:
    """Greedily the query whose outcome a ridge regression on the embeddings is least sure of, given the ones before it."""
    centred_QD = queries_QD - queries_QD.mean(axis=0)
    inverse_DD = np.eye(centred_QD.shape[1]) / ridge
    unsure_Q = (centred_QD @ inverse_DD * centred_QD).sum(axis=1)
    chosen: list[int] = []
    for _ in range(min(count, len(queries_QD))):
        place = int(unsure_Q.argmax())
        chosen.append(place)
        towards_D = inverse_DD @ centred_QD[place]
        length = 1 + float(centred_QD[place] @ towards_D)
        inverse_DD -= np.outer(towards_D, towards_D) / length
        unsure_Q -= (centred_QD @ towards_D) ** 2 / length
        unsure_Q[chosen] = -np.inf
    return np.array(chosen)


def disagreement(labels_QL: Labels, count: int, seed: int) -> Places:
    """The queries on which the known LLMs' labels differ most, equals in random order."""
    ties_Q = np.random.default_rng(seed).random(len(labels_QL))
    return np.lexsort((ties_Q, -np.nan_to_num(np.nanvar(labels_QL, axis=1))))[:count]
