"""What every scorer must be compared with, behind the same interface: lookups and fits that take seconds and no training loop."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scorer.errors import ScorerError
from scorer.initialisation import Labels, group_centres, group_rates, masked_ridge
from scorer.types import Floats, Prediction
from scorer.weights import membership, unit

Embed = Callable[[Sequence[str]], Floats]


@dataclass(frozen=True, slots=True)
class Baseline:
    """Scores as a `RuntimeScorer` does. rule: raw scores (Q, L) of texts and their embeddings; only their order within a query counts."""

    name: str
    roster: tuple[str, ...]
    embed: Embed
    rule: Callable[[Sequence[str], Floats], NDArray[np.floating]]

    def order(self, texts: Sequence[str]) -> NDArray[np.floating]:
        """Raw scores: what a choice is made by. Clipping would make ties of all that a linear fit puts above 1."""
        return self.rule(texts, self.embed(texts))

    def score(self, texts: Sequence[str]) -> Prediction:
        """Scores clipped to [0, 1]."""
        queries_QD = self.embed(texts)
        return Prediction(scores_QL=np.clip(self.rule(texts, queries_QD), 0.0, 1.0).astype(np.float32), queries_QD=queries_QD)


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What baselines may learn from: training queries (embeddings, dataset names) and their labels."""

    roster: tuple[str, ...]
    queries_QD: Floats
    labels_QL: Labels
    datasets_Q: Sequence[str]


def random(roster: tuple[str, ...], embed: Embed, *, seed: int = 0) -> Baseline:
    """Any LLM, drawn from the text's hash: the same text draws the same."""

    def rule(texts: Sequence[str], _: Floats) -> NDArray[np.floating]:
        draws = [hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest() for text in texts]
        return np.stack([np.random.default_rng(list(draw)).random(len(roster)) for draw in draws])

    return Baseline("random", roster, embed, rule)


def cheapest(roster: tuple[str, ...], embed: Embed, expected_cost_L: NDArray[np.float64]) -> Baseline:
    """Always the LLM that is expected to cost least."""
    scores_L = 1.0 - np.argsort(np.argsort(expected_cost_L, kind="stable")) / len(roster)
    return Baseline("cheapest", roster, embed, lambda texts, _: np.tile(scores_L, (len(texts), 1)))


def best_single(training: TrainingSet, embed: Embed) -> Baseline:
    """Always the LLM with the best mean label in training."""
    means_L = _means(training.labels_QL)
    return Baseline("best single", training.roster, embed, lambda texts, _: np.tile(means_L, (len(texts), 1)))


def best_per_dataset(training: TrainingSet, embed: Embed, dataset_of: Mapping[str, str]) -> Baseline:
    """The best LLM of the query's dataset in training. It is given each text's dataset, which no router has; unseen: best single."""
    overall_L = _means(training.labels_QL)
    datasets_Q = np.asarray(training.datasets_Q)
    means = {name: _means(training.labels_QL[datasets_Q == name], otherwise_L=overall_L) for name in sorted(set(training.datasets_Q))}

    def rule(texts: Sequence[str], _: Floats) -> NDArray[np.floating]:
        return np.stack([means.get(dataset_of[text], overall_L) for text in texts])

    return Baseline("best per dataset", training.roster, embed, rule)


def nearest_neighbours(training: TrainingSet, embed: Embed, *, neighbours: int) -> Baseline:
    """Mean label of the nearest training queries, shrunk to the LLM's mean where few of them are labelled."""
    labelled_QL = ~np.isnan(training.labels_QL)
    gained_QL = np.where(labelled_QL, training.labels_QL, 0.0)
    overall_L = _means(training.labels_QL)
    count, training_QD = min(neighbours, len(training.queries_QD)), unit(training.queries_QD)

    def rule(_: Sequence[str], queries_QD: Floats) -> NDArray[np.floating]:
        nearest_QN = np.argpartition(-(unit(queries_QD) @ training_QD.T), count - 1, axis=1)[:, :count]
        return np.asarray((gained_QL[nearest_QN].sum(axis=1) + overall_L) / (labelled_QL[nearest_QN].sum(axis=1) + 1))

    return Baseline("kNN", training.roster, embed, rule)


@dataclass(frozen=True, slots=True)
class Linear:
    """Each LLM's label as a line in the embedding: overall_L + (queries_QD - centre_D) @ directions_LD.T."""

    centre_D: Floats
    overall_L: NDArray[np.float64]
    directions_LD: NDArray[np.float64]

    def rule(self, _: Sequence[str], queries_QD: Floats) -> NDArray[np.floating]:
        """Raw scores."""
        return np.asarray(self.overall_L + (queries_QD - self.centre_D) @ self.directions_LD.T)


def linear_fit(training: TrainingSet, penalty: float) -> Linear:
    """Each LLM's label by ridge regression on the embedding."""
    centre_D, overall_L = training.queries_QD.mean(axis=0), _means(training.labels_QL)
    return Linear(centre_D, overall_L, masked_ridge(training.queries_QD - centre_D, training.labels_QL - overall_L, penalty))


def ridge(training: TrainingSet, embed: Embed, fit: Linear) -> Baseline:
    """The linear fit of `linear_fit`, heavily shrunk."""
    return Baseline("ridge", training.roster, embed, fit.rule)


def low_rank(training: TrainingSet, embed: Embed, fit: Linear, *, rank: int) -> Baseline:
    """Matrix factorisation with side information: the linear fit's predictions truncated to their `rank` first singular directions."""
    _, _, skills_RL = np.linalg.svd((training.queries_QD - fit.centre_D) @ fit.directions_LD.T, full_matrices=False)
    few_LD = skills_RL[:rank].T @ (skills_RL[:rank] @ fit.directions_LD)
    return Baseline("matrix factorisation", training.roster, embed, replace(fit, directions_LD=few_LD).rule)


def cluster_lookup(training: TrainingSet, embed: Embed, *, groups: int, seed: int = 0) -> Baseline:
    """The best LLM of the query's nearest k-means group in training."""
    groups_GD = group_centres(training.queries_QD, groups, seed)
    member_QG = np.asarray(membership(training.queries_QD, groups_GD, 1e-4))  # so sharp that each query has one group
    rates_GL = group_rates(member_QG, training.labels_QL, 1.0)
    return Baseline("cluster lookup", training.roster, embed, lambda _, queries_QD: rates_GL[(queries_QD @ groups_GD.T).argmax(axis=1)])


def oracle(roster: tuple[str, ...], embed: Embed, labels_of: Mapping[str, NDArray[np.float64]]) -> Baseline:
    """The truly best LLM of each query it was told the labels of: the ceiling, inflated where answers are lucky guesses."""

    def rule(texts: Sequence[str], _: Floats) -> NDArray[np.floating]:
        if unknown := [text for text in texts if text not in labels_of]:
            raise ScorerError(f"the oracle was not told the labels of {unknown[0][:40]!r}.", next_step="Score only queries with labels.")
        return np.nan_to_num(np.stack([labels_of[text] for text in texts]), nan=0.0)

    return Baseline("oracle", roster, embed, rule)


def _means(labels_QL: Labels, otherwise_L: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Mean label per LLM; where it has none, `otherwise_L` or 0."""
    labelled_QL = ~np.isnan(labels_QL)
    counts_L = labelled_QL.sum(axis=0)
    means_L = np.where(labelled_QL, labels_QL, 0.0).sum(axis=0) / np.maximum(counts_L, 1)
    return np.where(counts_L > 0, means_L, 0.0 if otherwise_L is None else otherwise_L)
