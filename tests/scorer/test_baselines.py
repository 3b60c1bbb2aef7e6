"""Baselines in a world whose best LLM is known, behind the scorer's interface."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from scorer import baselines, metrics
from scorer.baselines import Baseline, TrainingSet
from scorer.errors import ScorerError


class Told:
    """Training and new queries of one world, and an embedding that looks texts up."""

    def __init__(self, worlds: ModuleType, missing: float) -> None:
        self.seen_world, self.fresh = worlds.world(500, seed=1, missing=missing), worlds.world(300, seed=2)
        self.roster = worlds.ROSTER
        vectors = dict(zip(self.seen_world.texts, self.seen_world.queries_QD, strict=True))
        self.vectors = vectors | dict(zip(self.fresh.texts, self.fresh.queries_QD, strict=True))
        kinds = [f"kind-{kind}" for kind in self.seen_world.kinds_Q]
        self.seen = TrainingSet(self.roster, self.seen_world.queries_QD, self.seen_world.labels_QL, kinds)

    def embed(self, texts):
        return np.stack([self.vectors[text] for text in texts])

    def quality(self, baseline: Baseline) -> float:
        return float(metrics.quality(baseline.score(self.fresh.texts).scores_QL, self.fresh.labels_QL).mean())


@pytest.fixture(params=[0.0, 0.5], ids=["all labels", "half the labels"])
def told(worlds: ModuleType, request: pytest.FixtureRequest) -> Told:
    """The world, with and without missing labels."""
    return Told(worlds, request.param)


LEARNERS: dict[str, Callable[[Told], Baseline]] = {
    "best per dataset": lambda t: baselines.best_per_dataset(
        t.seen, t.embed, {text: f"kind-{kind}" for text, kind in zip(t.fresh.texts, t.fresh.kinds_Q, strict=True)}
    ),
    "kNN": lambda t: baselines.nearest_neighbours(t.seen, t.embed, neighbours=20),
    "ridge": lambda t: baselines.ridge(t.seen, t.embed, baselines.linear_fit(t.seen, 1.0)),
    "matrix factorisation": lambda t: baselines.low_rank(t.seen, t.embed, baselines.linear_fit(t.seen, 1.0), rank=2),
    "cluster lookup": lambda t: baselines.cluster_lookup(t.seen, t.embed, groups=4),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_what_learns_finds_the_best_llm(name: str, told: Told) -> None:
    """Every learning baseline picks the truly best LLM of nearly every new query."""
    baseline = LEARNERS[name](told)
    assert baseline.name == name
    chosen = baseline.score(told.fresh.texts).scores_QL.argmax(axis=1)
    assert (chosen == told.fresh.best_Q).mean() > 0.9


def test_matrix_factorisation_ends_where_ridge_is(told: Told) -> None:
    """With as many skills as LLMs it is the ridge fit; with one, LLMs lie on a line: their orders are each other's or the reverse."""
    fit = baselines.linear_fit(told.seen, 1.0)
    whole = baselines.low_rank(told.seen, told.embed, fit, rank=len(told.roster)).score(told.fresh.texts).scores_QL
    np.testing.assert_allclose(whole, baselines.ridge(told.seen, told.embed, fit).score(told.fresh.texts).scores_QL, atol=1e-5)
    line = baselines.low_rank(told.seen, told.embed, fit, rank=1)
    spread_QL = line.rule(told.fresh.texts, told.embed(told.fresh.texts))
    assert np.linalg.matrix_rank(spread_QL - spread_QL.mean(axis=0), tol=1e-6) == 1


def test_baselines_stand_in_their_order(told: Told) -> None:
    """Random below best single, below kNN, below the oracle."""
    labels = dict(zip(told.fresh.texts, told.fresh.labels_QL, strict=True))
    ordered = [
        baselines.random(told.roster, told.embed),
        baselines.best_single(told.seen, told.embed),
        baselines.nearest_neighbours(told.seen, told.embed, neighbours=20),
        baselines.oracle(told.roster, told.embed, labels),
    ]
    qualities = [told.quality(baseline) for baseline in ordered]
    assert qualities == sorted(qualities)
    assert qualities[-1] == np.nanmax(told.fresh.labels_QL, axis=1).mean()


def test_every_baseline_is_a_scorer(told: Told) -> None:
    """Scores in [0, 1], embeddings beside them, the roster's order."""
    for make in LEARNERS.values():
        scorer = make(told)
        found = scorer.score(told.fresh.texts[:5])
        assert found.scores_QL.shape == (5, 3)
        assert found.scores_QL.min() >= 0
        assert found.scores_QL.max() <= 1
        assert scorer.roster == told.roster
        np.testing.assert_array_equal(found.queries_QD, told.fresh.queries_QD[:5])


def test_cheapest_and_random(told: Told) -> None:
    """The cheapest is always the same LLM; random is the same for the same text and uses every LLM."""
    cheapest = baselines.cheapest(told.roster, told.embed, np.array([3.0, 1.0, 2.0])).score(told.fresh.texts).scores_QL
    assert (cheapest.argmax(axis=1) == 1).all()
    draws = [baselines.random(told.roster, told.embed).score(told.fresh.texts).scores_QL.argmax(axis=1) for _ in range(2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert set(draws[0]) == {0, 1, 2}


def test_an_unknown_dataset_falls_back_and_an_untold_oracle_refuses(told: Told) -> None:
    """A dataset nobody trained on gets the best single LLM; the oracle cannot guess."""
    text = told.fresh.texts[0]
    single = baselines.best_single(told.seen, told.embed).score([text]).scores_QL
    unknown = baselines.best_per_dataset(told.seen, told.embed, {text: "new"}).score([text]).scores_QL
    np.testing.assert_allclose(unknown, single)
    with pytest.raises(ScorerError, match="was not told the labels"):
        baselines.oracle(told.roster, told.embed, {}).score([text])
