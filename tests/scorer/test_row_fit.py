"""New LLMs join by their row: what they cost the others (nothing), and what few labels are worth."""

from dataclasses import replace

import numpy as np
import pytest

from scorer import calibration
from scorer.errors import TrainingError
from scorer.initialisation import Embedded, Labels, Shrinkage, starting_weights
from scorer.row_fit import TrainedScorer, add_rows
from scorer.weights import Trust, per_llm, sigmoid
from tests.scorer import world

NEW = "new-llm"


@pytest.fixture(scope="module")
def made() -> world.World:
    return world.world(800, missing=0.2)


@pytest.fixture(scope="module")
def trained(made: world.World) -> TrainedScorer:
    """A scorer of the world's three LLMs, as it is before any step of training."""
    shrinkage = Shrinkage(groups=8, ridge=10.0, dims=16)
    weights = starting_weights(world.ROSTER, Embedded(made.queries_QD, made.labels_QL), shrinkage, 0)
    return TrainedScorer(weights, calibration.fit(weights.logits(made.queries_QD), made.labels_QL), made.queries_QD, made.labels_QL)


def few_labels(made: world.World, rates_K: tuple[float, ...], count: int, seed: int = 5) -> Labels:
    """Labels of an LLM that is right at these rates of the four kinds, on `count` queries."""
    dice = np.random.default_rng(seed)
    labels_Q1 = (dice.random(len(made.kinds_Q)) < np.array(rates_K)[made.kinds_Q]).astype(float)[:, None]
    labels_Q1[dice.permutation(len(labels_Q1))[count:]] = np.nan
    return labels_Q1


def scores(extended, queries_QD):
    weights, fitted = extended
    return fitted.probabilities(weights.logits(queries_QD))


def test_nobody_elses_score_changes_by_a_bit(made: world.World, trained: TrainedScorer) -> None:
    """Every array of the LLMs it has is kept, and so are their scores, of one query as of many, however many join."""
    fresh_QD = world.world(50, seed=9).queries_QD
    before = trained.weights, trained.calibration
    for count in range(1, 7):
        labels_QN = np.column_stack([few_labels(made, (0.5, 0.6, 0.4, 0.3), 100, seed) for seed in range(count)])
        after = add_rows(trained, tuple(f"new-{n}" for n in range(count)), labels_QN)
        assert after[0].roster[:3] == world.ROSTER
        assert np.array_equal(after[0].llms_LK[:3], trained.weights.llms_LK)
        assert np.array_equal(scores(after, fresh_QD)[:, :3], scores(before, fresh_QD))
        assert np.array_equal(scores(after, fresh_QD[:1])[:, :3], scores(before, fresh_QD[:1]))


def test_nor_far_from_all_training_queries(made: world.World, trained: TrainedScorer) -> None:
    """What is good overall, to which scores fall back there, is each LLM's own."""
    trust = Trust(trained.weights.groups_GD, -18.0, 20.0, np.ones(3, dtype=np.float32))
    far = replace(trained, weights=replace(trained.weights, trust=trust))
    fresh_QD = world.world(50, seed=9).queries_QD
    assert not np.array_equal(far.weights.logits(fresh_QD), trained.weights.logits(fresh_QD))
    after = add_rows(far, (NEW,), few_labels(made, (0.5, 0.6, 0.4, 0.3), 100))
    assert np.array_equal(scores(after, fresh_QD)[:, :3], scores((far.weights, far.calibration), fresh_QD))


@pytest.mark.parametrize("queries", [1, 2, 7, 64])
def test_a_column_does_not_depend_on_the_number_of_columns(queries: int) -> None:
    """What one product of matrices does not promise: L and L + 1 LLMs give the same bits, at any place."""
    dice = np.random.default_rng(0)
    features_QF = dice.normal(size=(queries, 128)).astype(np.float32)
    rows_LF = dice.normal(size=(41, 128)).astype(np.float32)
    every_QL = per_llm(features_QF, rows_LF)
    for llms in range(1, 41):
        assert np.array_equal(per_llm(features_QF, rows_LF[:llms]), every_QL[:, :llms])
        assert np.array_equal(per_llm(features_QF, rows_LF[llms:]), every_QL[:, llms:])


def test_a_row_does_not_depend_on_who_else_joins(made: world.World, trained: TrainedScorer) -> None:
    """In any order and company the same row, also where the others were asked queries that nobody else was."""
    asked = replace(trained, labels_QL=np.where(np.arange(800)[:, None] < 700, made.labels_QL, np.nan))
    first, second = few_labels(made, (0.9, 0.1, 0.1, 0.1), 150), few_labels(made, (0.1, 0.9, 0.1, 0.1), 150, seed=6)
    second[700:] = 1.0
    alone, _ = add_rows(asked, (NEW,), first)
    for order in ((first, second), (second, first)):
        names = (NEW, "other") if order[0] is first else ("other", NEW)
        together, _ = add_rows(asked, names, np.column_stack(order))
        place = together.roster.index(NEW)
        assert np.array_equal(together.prior_GL[:, place], alone.prior_GL[:, -1])
        assert np.array_equal(together.llms_LK[place], alone.llms_LK[-1])
        assert together.temperature_L[place] == alone.temperature_L[-1]


def test_it_is_chosen_where_it_is_best(made: world.World, trained: TrainedScorer) -> None:
    """From 200 labels: most queries of the kind it is best at go to it, few of the others."""
    fresh = world.world(400, seed=9)
    chosen_Q = scores(add_rows(trained, (NEW,), few_labels(made, (0.3, 0.2, 0.3, 1.0), 200)), fresh.queries_QD).argmax(axis=1)
    assert (chosen_Q[fresh.kinds_Q == 3] == 3).mean() > 0.8
    assert (chosen_Q[fresh.kinds_Q < 3] == 3).mean() < 0.1


def test_its_scores_are_chances(made: world.World, trained: TrainedScorer) -> None:
    """The row needs no calibration of its own: its mean score is its rate, its ECE is small."""
    fresh = world.world(2000, seed=9)
    rates_K = (0.7, 0.5, 0.4, 0.6)
    own_Q = scores(add_rows(trained, (NEW,), few_labels(made, rates_K, 300)), fresh.queries_QD)[:, -1]
    truth_Q = np.array(rates_K)[fresh.kinds_Q]
    assert abs(own_Q.mean() - truth_Q.mean()) < 0.08
    assert np.abs(own_Q - truth_Q).mean() < 0.12


def test_luck_is_taken_off(made: world.World, trained: TrainedScorer) -> None:
    """Some queries are easy for all, which no embedding tells: a rate from 60 labels is nearer the truth when the others' are looked at."""
    dice = np.random.default_rng(3)
    ease_Q = dice.choice([-0.35, 0.35], size=800)
    labels_QL = (dice.random((800, 4)) < 0.5 + ease_Q[:, None]).astype(float)
    weights = starting_weights(world.ROSTER, Embedded(made.queries_QD, labels_QL[:, :3]), Shrinkage(groups=4, dims=16), 0)
    taught = replace(trained, weights=weights, calibration=calibration.fit(weights.logits(made.queries_QD), labels_QL[:, :3]))
    off: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(12):
        labels_Q1 = np.full((800, 1), np.nan)
        asked = np.random.default_rng(seed).permutation(800)[:60]
        labels_Q1[asked, 0] = labels_QL[asked, 3]
        for looked, errors in off.items():
            others_QL = labels_QL[:, :3].copy()
            if not looked:
                others_QL[asked] = np.nan
            own_Q = scores(add_rows(replace(taught, labels_QL=others_QL), (NEW,), labels_Q1), made.queries_QD)[:, -1]
            errors.append((float(own_Q.mean()) - labels_QL[:, 3].mean()) ** 2)
    assert np.mean(off[True]) < 0.8 * np.mean(off[False])


@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("count", [1, 30, 300])
def test_labels_all_alike_make_a_row_that_is_finite_and_not_certain(
    made: world.World, trained: TrainedScorer, label: float, count: int
) -> None:
    """Few labels alike leave it near the others, many take it towards 0 or 1, none to infinity."""
    labels_Q1 = np.where(np.isnan(few_labels(made, (1, 1, 1, 1), count)), np.nan, label)
    weights, fitted = add_rows(trained, (NEW,), labels_Q1)
    own_Q = scores((weights, fitted), made.queries_QD)[:, -1]
    assert all(np.isfinite(array).all() for array in (weights.prior_GL, weights.llms_LK, weights.temperature_L))
    assert (weights.temperature_L > 0).all()
    assert np.abs(own_Q.mean() - label) < {1: 0.75, 30: 0.2, 300: 0.05}[count]
    assert ((own_Q > 0.0005) & (own_Q < 0.9995)).all()


def test_without_information_it_is_as_the_others_are(trained: TrainedScorer) -> None:
    """One label: its scores follow the mean of the LLMs it has' log-odds."""
    labels_Q1 = np.full((800, 1), np.nan)
    labels_Q1[0] = 0.5
    weights, fitted = add_rows(trained, (NEW,), labels_Q1)
    logits_QL = fitted.slope_L * weights.logits(trained.queries_QD) + fitted.intercept_L
    mean_Q = logits_QL[:, :3].mean(axis=1)
    assert np.corrcoef(logits_QL[:, 3], mean_Q)[0, 1] > 0.95
    assert abs(sigmoid(logits_QL[:, 3]).mean() - sigmoid(mean_Q).mean()) < 0.1


def test_what_cannot_be_joined_is_refused(made: world.World, trained: TrainedScorer) -> None:
    """Each reason is said with the LLM or value at fault and what to do."""
    labels_Q1 = few_labels(made, (0.5, 0.5, 0.5, 0.5), 50)
    one = replace(
        trained,
        weights=replace(
            trained.weights,
            roster=world.ROSTER[:1],
            prior_GL=trained.weights.prior_GL[:, :1],
            llms_LK=trained.weights.llms_LK[:1],
            temperature_L=trained.weights.temperature_L[:1],
        ),
    )
    for wrong, names, labels, says in (
        (one, (NEW,), labels_Q1, "at least two LLMs"),
        (trained, (world.ROSTER[0],), labels_Q1, f"{world.ROSTER[0]} would be in the roster twice"),
        (trained, (NEW, NEW), np.hstack([labels_Q1, labels_Q1]), f"{NEW} would be in the roster twice"),
        (trained, (NEW,), np.full((800, 1), np.nan), f"no label of {NEW}"),
        (trained, (NEW,), labels_Q1[:10], r"shape \(10, 1\) for 800 queries"),
        (trained, (NEW,), labels_Q1 * 2, r"a label outside \[0, 1\]"),
    ):
        with pytest.raises(TrainingError, match=says):
            add_rows(wrong, names, labels)
