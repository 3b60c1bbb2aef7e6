"""What a training set says about its settings, by cross-validation on its own queries."""

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from scorer.choosing import Settings, Wanted, choose, choose_encoder
from scorer.initialisation import Embedded, Shrinkage, known_tags, starting_weights
from scorer.weights import centred

SHRINKAGE = Shrinkage(groups=4, dims=16)
DIMS = 32


def tagged(worlds: ModuleType, queries: int = 600, *, telling: bool = False) -> Embedded:
    """Queries of four kinds, tagged with them, and a text feature behind each embedding: noise, or the kind itself."""
    made = worlds.world(queries, seed=1, spread=2.0 if telling else 0.15)
    noise_Q1 = np.random.default_rng(0).normal(size=(queries, 1)) * 0.1
    feature = np.eye(4)[made.kinds_Q] if telling else noise_Q1
    vectors_QD = np.concatenate([made.queries_QD, feature], axis=1).astype(np.float32)
    return Embedded(vectors_QD, made.labels_QL, tags_Q=[f"kind {kind}" for kind in made.kinds_Q])


def test_what_does_not_help_is_not_taken(worlds: ModuleType) -> None:
    """Noise beside embeddings that tell everything: the simplest settings stand, and what was tried is told with its margin."""
    chosen = choose(tagged(worlds), DIMS, Wanted(), SHRINKAGE, 0)
    assert chosen.settings == Settings(text_features=False, tags=True, groups=4, ridge=100.0)
    first, *others = chosen.trials
    assert first.taken
    assert not any(trial.taken for trial in others)
    assert {trial.settings.ridge for trial in others} == {30.0, 100.0, 300.0}
    assert all(trial.gain <= 2 * trial.error for trial in others)


def test_what_helps_is(worlds: ModuleType) -> None:
    """A feature that tells the kind where embeddings hardly do is taken; its gain is told."""
    made = replace(tagged(worlds, telling=True), tags_Q=None)
    chosen = choose(made, DIMS, Wanted(), SHRINKAGE, 0)
    assert chosen.settings.text_features
    assert next(trial for trial in chosen.trials if trial.settings.text_features).gain > 0.05


def test_what_the_user_sets_stands(worlds: ModuleType) -> None:
    """A set value is not tried against another; with all of them set nothing is tried."""
    chosen = choose(tagged(worlds, 200), DIMS, Wanted(text_features=True, groups=7), SHRINKAGE, 0)
    assert all(trial.settings.text_features and trial.settings.groups == 7 for trial in chosen.trials)
    chosen = choose(tagged(worlds), DIMS, Wanted(text_features=False, tags=False, groups=7, ridge=5.0), SHRINKAGE, 0)
    assert (chosen.settings, chosen.trials) == (Settings(text_features=False, tags=False, groups=7, ridge=5.0), ())


@pytest.mark.parametrize("tags", [True, False])
def test_an_encoder_that_tells_more_is_taken(worlds: ModuleType, *, tags: bool) -> None:
    """Of one that knows the kinds and one that knows nothing the first is chosen, wherever it stands; of two alike the simpler."""
    made = tagged(worlds)
    made = made if tags else replace(made, tags_Q=None)
    knowing_QD, noise_QD = made.queries_QD, np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32)
    name, trials = choose_encoder({"noise": noise_QD, "knowing": knowing_QD}, made, Wanted(), SHRINKAGE, 0)
    assert name == "knowing"
    assert [trial.taken for trial in trials] == [True, True]
    assert trials[1].gain > 2 * trials[1].error > 0
    for others in ({"noise": noise_QD}, {"the same again": knowing_QD}):
        name, trials = choose_encoder({"knowing": knowing_QD, **others}, made, Wanted(), SHRINKAGE, 0)
        assert name == "knowing"
        assert not trials[1].taken
    assert choose_encoder({"alone": noise_QD}, made, Wanted(), SHRINKAGE, 0) == ("alone", ())


def test_few_queries_say_nothing(worlds: ModuleType) -> None:
    """Below some dozens the usual settings stand untried."""
    assert choose(tagged(worlds, 40), DIMS, Wanted(), SHRINKAGE, 0).trials == ()


@pytest.mark.parametrize("missing", ["an LLM", "all but one tag"])
def test_a_fold_may_lack_something(worlds: ModuleType, missing: str) -> None:
    """An LLM labelled on one kind alone, or two tags of which one is left out: settings are chosen all the same."""
    made = tagged(worlds, 300)
    kinds = np.array([int(tag[-1]) for tag in made.tags_Q or ()])
    if missing == "an LLM":
        labels_QL = made.labels_QL.copy()
        labels_QL[kinds != 2, 1] = np.nan
        made = replace(made, labels_QL=labels_QL)
    else:
        made = replace(made, tags_Q=["a" if kind < 2 else "b" for kind in kinds])
    trials = choose(made, DIMS, Wanted(), SHRINKAGE, 0).trials
    assert all(np.isfinite([trial.known, trial.gain, trial.error]).all() for trial in trials)


def test_a_tag_is_told_from_the_text(worlds: ModuleType) -> None:
    """Groups are the tags: a new query belongs to its own, and each has its LLMs' rates. Rare tags are one group."""
    seen, fresh = worlds.world(600, seed=1), worlds.world(300, seed=2)
    tags = [f"kind {kind}" for kind in seen.kinds_Q]
    weights = starting_weights(worlds.ROSTER, Embedded(seen.queries_QD, seen.labels_QL, tags_Q=tags), SHRINKAGE, 0)
    member_QG = weights.member(centred(fresh.queries_QD, weights.centre_D))
    assert (member_QG.argmax(axis=1) == fresh.kinds_Q).mean() > 0.97
    rates_KL = 1 / (1 + np.exp(-weights.prior_GL))
    np.testing.assert_allclose(rates_KL, worlds.RATES_KL, atol=0.12)
    assert known_tags(["a"] * 30 + ["b", "c"]) == ["a"] * 30 + ["other"] * 2


def test_two_tags_make_two_groups(worlds: ModuleType) -> None:
    """A logistic regression of two classes has one row; the head has two groups."""
    seen = worlds.world(400, seed=1)
    halves = Embedded(seen.queries_QD, seen.labels_QL, tags_Q=["a" if kind < 2 else "b" for kind in seen.kinds_Q])
    weights = starting_weights(worlds.ROSTER, halves, SHRINKAGE, 0)
    member_Q = weights.member(centred(seen.queries_QD, weights.centre_D))[:, 1]
    assert member_Q[seen.kinds_Q >= 2].mean() > 0.9 > 0.1 > member_Q[seen.kinds_Q < 2].mean()
