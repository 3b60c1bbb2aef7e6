"""How far from its training queries a scorer is still to be believed: fitted on groups of queries left out, and on held-out queries.

A left-out group stands for a kind of query nobody labelled: a start trained without it predicts it, and its nearness is measured
against landmarks it had no part in. Held-out queries stand for the usual kind. An edge and a share are judged by the cross-entropy on
both: where kinds teach each other much, nothing is taken back; where they do not, far queries are told what is good overall.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.interface import Floats
from scorer.start import Labels, Shrinkage, group_centres, starting_weights
from scorer.weights import Fallback, Weights, centred, nearness

LANDMARKS = 64
LEFT_OUT = 8  # groups, each left out once
LEAST, MOST = 500, 3000  # training queries: with fewer, a group left out says nothing; of more, a sample says as much in less time
USUAL = 4.0  # usual queries for each of an unknown kind: with 1, nine LLMs on 14 tasks lost .4 points on queries of the usual kind
EDGES = (0.02, 0.05, 0.1, 0.15)  # share of the held-out queries beyond the edge: more would cost in-domain quality
KEPT = tuple(share / 10 for share in range(10))


@dataclass(frozen=True, slots=True)
class Predicted:
    """Queries as weights that never saw them predict them: logits (Q, L), the weights' overall log-odds (L), nearness and labels."""

    logits_QL: NDArray[np.float64]
    everyone_L: NDArray[np.float64]
    nearness_Q: NDArray[np.float64]
    labels_QL: Labels

    def loss(self, fallback: Fallback | None) -> float:
        """Mean cross-entropy of the known labels, under `fallback` or without any."""
        logits_QL = self.logits_QL if fallback is None else fallback.applied(self.logits_QL, self.everyone_L, self.nearness_Q)
        known_QL = ~np.isnan(self.labels_QL)
        return float((np.logaddexp(0.0, logits_QL) - self.labels_QL * logits_QL)[known_QL].mean())


def fit(weights: Weights, seen: tuple[Floats, Labels], held: tuple[Floats, Labels], *, shrinkage: Shrinkage, seed: int) -> Fallback | None:
    """The fallback of `weights`, trained on the queries and labels `seen`, judged on left-out groups of them and on those `held` out.

    None where nothing speaks for one: too few queries, or no fallback gains more on the left-out groups than it costs the held-out.
    """
    queries_QD, labels_QL = seen
    if len(queries_QD) < LEAST:
        return None
    landmarks_MD = landmarks(centred(queries_QD, weights.centre_D), seed)
    usual = predicted(weights, landmarks_MD, *held)
    unknown = left_out(weights.roster, queries_QD, labels_QL, shrinkage, seed)
    if len(unknown) < 2:
        return None
    edges = np.quantile(usual.nearness_Q, EDGES).tolist()
    candidates = [Fallback(landmarks_MD, edge, kept) for edge in edges for kept in KEPT]
    gains_CN = np.array([[group.loss(None) - group.loss(candidate) for group in unknown] for candidate in candidates])
    costs_C = np.array([usual.loss(candidate) - usual.loss(None) for candidate in candidates])
    worth_C = gains_CN.mean(axis=1) - USUAL * costs_C
    return candidates[int(worth_C.argmax())] if worth_C.max() > 0 else None


def left_out(roster: tuple[str, ...], queries_QD: Floats, labels_QL: Labels, shrinkage: Shrinkage, seed: int) -> list[Predicted]:
    """Groups of queries (k-means), each predicted by a start without it; a group that holds all labels of an LLM is passed over."""
    some = np.random.default_rng(seed).permutation(len(queries_QD))[:MOST]
    queries_QD, labels_QL = queries_QD[some], labels_QL[some]
    centred_QD = centred(queries_QD, queries_QD.mean(axis=0))
    group_Q = (centred_QD @ group_centres(centred_QD, LEFT_OUT, seed).T).argmax(axis=1)
    found = []
    for group in np.unique(group_Q):
        left_Q = group_Q == group
        labelled_LQ = ~np.isnan(labels_QL.T)
        if labelled_LQ[:, ~left_Q].any(axis=1).all() and labelled_LQ[:, left_Q].any():
            start = starting_weights(roster, queries_QD[~left_Q], labels_QL[~left_Q], shrinkage, seed)
            landmarks_MD = landmarks(centred(queries_QD[~left_Q], start.centre_D), seed)
            found.append(predicted(start, landmarks_MD, queries_QD[left_Q], labels_QL[left_Q]))
    return found


def predicted(weights: Weights, landmarks_MD: Floats, queries_QD: Floats, labels_QL: Labels) -> Predicted:
    """These queries by `weights`, which have no fallback yet."""
    nearness_Q = nearness(centred(queries_QD, weights.centre_D), landmarks_MD)
    return Predicted(weights.logits(queries_QD), weights.everyone_L, nearness_Q, labels_QL)


def landmarks(centred_QD: Floats, seed: int) -> Floats:
    """landmarks_MD: centres of many small groups."""
    return group_centres(centred_QD, LANDMARKS, seed, starts=1)
