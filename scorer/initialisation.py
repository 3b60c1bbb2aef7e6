"""Where training starts: groups of queries, a shrunken success rate per group and LLM, and a ridge fit of the rest.

Groups are the tags that the training queries carry, where the caller gives them, told from the text by a soft classifier: nobody tells
the tag of a new query. Without tags they are clusters.

Few noisy labels reward shrinkage more than capacity: on recorded outcomes a cluster lookup or a ridge already equals fine-tuned
routers. Training therefore starts at their sum and is pulled back to it; it must earn every step away.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.types import Floats
from scorer.weights import HeadWeights, centred, log_odds, membership, sigmoid, unit

Labels = NDArray[np.float64]  # [Q, L], in [0, 1], NaN where unknown
FEWEST_TAGGED = 20  # training queries of a tag; rarer ones are one group together
REST = "other"  # what that group is called


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """How strongly the start believes in what is common.

    tags: whether what the training queries are tagged with makes the groups; groups: of clusters, at most, where it does not;
    softness: temperature of belonging to clusters; pseudo_labels: how many labels at the LLM's overall rate each group starts with;
    ridge: penalty on what an LLM's embedding explains beyond the groups; dims: K.
    """

    tags: bool = True
    groups: int = 16
    softness: float = 0.05
    pseudo_labels: float = 10.0
    ridge: float = 100.0
    dims: int = 128


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of queries as `HeadWeights` holds them, and counted_QG: how much each training query counts in each."""

    groups_GD: Floats
    bias_G: Floats
    softness: float
    counted_QG: Floats

    def member(self, centred_QD: Floats) -> Floats:
        """member_QG of any queries, told from their vectors alone."""
        return membership(centred_QD, self.groups_GD, self.softness, self.bias_G)


@dataclass(frozen=True, slots=True)
class Embedded:
    """Queries as the encoder sees them, their labels (NaN: unknown), and how much each label counts (None: all in full).

    tags_Q: what training queries are tagged with; None: nothing.
    """

    queries_QD: Floats
    labels_QL: Labels
    weights_QL: Labels | None = None
    tags_Q: Sequence[str] | None = None

    def where(self, keep_Q: NDArray[np.bool_]) -> "Embedded":
        """Only the queries where `keep_Q` is true."""
        weights_QL = None if self.weights_QL is None else self.weights_QL[keep_Q]
        tags_Q = None if self.tags_Q is None else [tag for tag, keep in zip(self.tags_Q, keep_Q.tolist(), strict=True) if keep]
        return Embedded(self.queries_QD[keep_Q], self.labels_QL[keep_Q], weights_QL, tags_Q)


def starting_weights(roster: tuple[str, ...], training: Embedded, shrinkage: Shrinkage, seed: int) -> HeadWeights:
    """Weights whose scores are a soft group lookup plus a ridge fit of its residual."""
    queries_QD, labels_QL, weights_QL = training.queries_QD, training.labels_QL, training.weights_QL
    centre_D = queries_QD.mean(axis=0)
    centred_QD = centred(queries_QD, centre_D)
    groups = _groups(centred_QD, training.tags_Q if shrinkage.tags else None, shrinkage, seed)
    member_QG = groups.member(centred_QD)
    prior_GL = np.vectorize(log_odds)(group_rates(groups.counted_QG, labels_QL, shrinkage.pseudo_labels, weights_QL))
    predicted_QL = sigmoid(member_QG @ prior_GL)
    slope_L = np.nanmean(np.where(np.isnan(labels_QL), np.nan, predicted_QL * (1 - predicted_QL)), axis=0)
    directions_LD = masked_ridge(centred_QD, labels_QL - predicted_QL, shrinkage.ridge, weights_QL) / slope_L[:, None]
    projection_DK = _basis(directions_LD, centred_QD, min(shrinkage.dims, queries_QD.shape[1]))
    llms_LK = directions_LD @ projection_DK
    typical_length = float(np.linalg.norm(centred_QD @ projection_DK, axis=1).mean())
    return HeadWeights(
        roster=roster,
        groups_GD=groups.groups_GD,
        bias_G=groups.bias_G,
        prior_GL=prior_GL.astype(np.float32),
        softness=groups.softness,
        centre_D=centre_D.astype(np.float32),
        projection_DK=projection_DK.astype(np.float32),
        llms_LK=unit(llms_LK),
        # cos / temperature then has the size of the ridge fit, which is not normalised; the floor keeps an LLM without
        # any direction of its own (labels all alike) at a finite temperature
        temperature_L=(1.0 / np.maximum(np.linalg.norm(llms_LK, axis=1) * typical_length, 1e-3)).astype(np.float32),
    )


def _groups(centred_QD: Floats, tags_Q: Sequence[str] | None, shrinkage: Shrinkage, seed: int) -> Groups:
    common = [] if tags_Q is None else known_tags(tags_Q)
    return by_tags(centred_QD, common) if len(set(common)) > 1 else by_clusters(centred_QD, shrinkage, seed)


def by_clusters(centred_QD: Floats, shrinkage: Shrinkage, seed: int) -> Groups:
    """Clusters of the queries; a query counts in each as much as it belongs to it."""
    groups_GD = group_centres(centred_QD, shrinkage.groups, seed)
    member_QG = membership(centred_QD, groups_GD, shrinkage.softness)
    return Groups(groups_GD, np.zeros(len(groups_GD), dtype=np.float32), shrinkage.softness, member_QG)


def by_tags(centred_QD: Floats, tags_Q: Sequence[str]) -> Groups:
    """The queries' tags, two or more: a query counts in its own alone; what a new query's is, a logistic regression says."""
    from sklearn.linear_model import LogisticRegression

    tagged_Q = np.array(tags_Q)
    names = sorted(set(tags_Q))
    fitted = LogisticRegression(C=10.0, max_iter=200).fit(centred_QD, tagged_Q)
    classifier_GD, bias_G = fitted.coef_, fitted.intercept_
    if len(names) == 2:  # one row then says how much likelier the second is
        classifier_GD, bias_G = (np.concatenate([-half, half]) for half in (classifier_GD / 2, bias_G / 2))
    counted_QG = (tagged_Q[:, None] == np.array(names)).astype(np.float32)
    return Groups(classifier_GD.astype(np.float32), bias_G.astype(np.float32), 1.0, counted_QG)


def known_tags(tags_Q: Sequence[str]) -> list[str]:
    """Each query's tag, REST for tags of fewer than FEWEST_TAGGED queries."""
    counts = Counter(tags_Q)
    return [tag if counts[tag] >= FEWEST_TAGGED else REST for tag in tags_Q]


def group_centres(queries_QD: Floats, groups: int, seed: int, *, starts: int = 2) -> Floats:
    """Unit-norm k-means centres, no more than one per eight queries; the best of so many starts."""
    from sklearn.cluster import KMeans

    groups = max(1, min(groups, len(queries_QD) // 8))
    return unit(KMeans(groups, n_init=starts, random_state=seed).fit(queries_QD).cluster_centers_)


def group_rates(member_QG: Floats, labels_QL: Labels, pseudo_labels: float, weights_QL: Labels | None = None) -> NDArray[np.float64]:
    """Each LLM's mean label in each group, shrunk to its overall mean, which is shrunk (lightly) to the mean of all LLMs.

    weights_QL: how many labels each of them counts as; None: one.
    """
    labelled_QL = ~np.isnan(labels_QL)
    counts_QL = labelled_QL.astype(np.float32) if weights_QL is None else np.where(labelled_QL, weights_QL, 0.0).astype(np.float32)
    labels_QL = np.where(labelled_QL, labels_QL, 0.0) * counts_QL
    pool_mean = labels_QL.sum() / (float(counts_QL.sum(dtype=np.float64)) or 1.0)
    overall_L = (labels_QL.sum(axis=0) + pool_mean) / (counts_QL.sum(axis=0, dtype=np.float64) + 1)
    gained_GL = member_QG.T @ labels_QL + pseudo_labels * overall_L
    return np.asarray(gained_GL / (member_QG.T @ counts_QL + pseudo_labels), dtype=np.float64)


def masked_ridge(features_QD: Floats, targets_QL: Labels, penalty: float, weights_QL: Labels | None = None) -> NDArray[np.float64]:
    """directions_LD of one ridge regression per LLM over the queries it has a target for (no intercept); weighted squares."""
    dims = features_QD.shape[1]
    directions_LD = np.zeros((targets_QL.shape[1], dims))
    for column in range(targets_QL.shape[1]):
        labelled_Q = ~np.isnan(targets_QL[:, column])
        labelled_QD, labelled_targets_Q = features_QD[labelled_Q].astype(np.float64), targets_QL[labelled_Q, column]
        if weights_QL is not None:
            roots_Q = np.sqrt(weights_QL[labelled_Q, column])
            labelled_QD, labelled_targets_Q = labelled_QD * roots_Q[:, None], labelled_targets_Q * roots_Q
        gram_DD = labelled_QD.T @ labelled_QD + penalty * np.eye(dims)
        directions_LD[column] = np.linalg.solve(gram_DD, labelled_QD.T @ labelled_targets_Q)
    return directions_LD


def _basis(directions_LD: NDArray[np.float64], centred_QD: Floats, dims: int) -> NDArray[np.float64]:
    """Orthonormal columns: the LLMs' directions first, then those in which queries differ most."""
    _, _, components_DD = np.linalg.svd(centred_QD.T @ centred_QD, hermitian=True)
    spanning = np.concatenate([directions_LD, components_DD])[: max(dims, len(directions_LD))]
    orthonormal_DK, _ = np.linalg.qr(spanning.T)
    return np.asarray(orthonormal_DK[:, :dims], dtype=np.float64)
