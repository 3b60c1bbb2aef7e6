"""Start, training and calibration in a world whose best LLM is known."""

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch

from scorer import calibration, metrics
from scorer.errors import TrainingError
from scorer.head import Head
from scorer.initialisation import Embedded, Shrinkage, group_rates, masked_ridge, starting_weights
from scorer.losses import label_loss
from scorer.training import Plan, Trained, train

PLAN = Plan(epochs=6, patience=3, shrinkage=Shrinkage(groups=4, dims=16))


def trained(worlds: ModuleType, plan: Plan = PLAN, *, missing: float = 0.0, seed: int = 1) -> Trained:
    """A head from 400 training and 150 validation queries."""
    fit, held = worlds.world(400, seed=seed, missing=missing), worlds.world(150, seed=2)
    return train(worlds.ROSTER, Embedded(fit.queries_QD, fit.labels_QL), Embedded(held.queries_QD, held.labels_QL), plan)


@pytest.mark.parametrize("missing", [0.0, 0.6])
def test_the_known_best_llm_is_chosen(worlds: ModuleType, missing: float) -> None:
    """On new queries the trained head picks the truly best LLM nearly always, even with most labels missing."""
    fresh = worlds.world(300, seed=3)
    logits_QL = trained(worlds, missing=missing).weights.logits(fresh.queries_QD)
    assert (logits_QL.argmax(axis=1) == fresh.best_Q).mean() > 0.95


def test_the_same_seed_gives_the_same_weights(worlds: ModuleType) -> None:
    """Training is a function of data and seed, and leaves the caller's dice alone."""
    torch.manual_seed(5)
    first = trained(worlds)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))
    np.testing.assert_array_equal(first.weights.llms_LK, trained(worlds).weights.llms_LK)
    assert not np.array_equal(first.weights.llms_LK, trained(worlds, replace(PLAN, seed=7)).weights.llms_LK)


def test_numpy_and_torch_agree(worlds: ModuleType) -> None:
    """`Weights.logits`, which serves, is `Head.forward`, which trains."""
    queries_QD = worlds.world(50, seed=4).queries_QD
    weights = replace(trained(worlds).weights, trust=None)  # put on after training
    _, logits_QL = Head(weights)(torch.tensor(queries_QD))
    np.testing.assert_allclose(weights.logits(queries_QD), logits_QL.detach().numpy(), atol=1e-4)


def test_strong_decay_returns_to_the_start(worlds: ModuleType) -> None:
    """Weight decay pulls towards the start, not to zero: at its strongest, training goes nowhere."""
    fit = worlds.world(400, seed=1)
    start = starting_weights(worlds.ROSTER, Embedded(fit.queries_QD, fit.labels_QL), PLAN.shrinkage, PLAN.seed)
    bound = trained(worlds, replace(PLAN, weight_decay=1 / PLAN.learning_rate, patience=99)).weights
    np.testing.assert_allclose(bound.prior_GL, start.prior_GL, atol=2 * PLAN.learning_rate)


def test_the_epoch_of_best_validation_is_kept(worlds: ModuleType) -> None:
    """A learning rate that ruins the head leaves the start, and stops after `patience` epochs."""
    found = trained(worlds, replace(PLAN, learning_rate=3.0, weight_decay=0.0, epochs=20))
    assert found.best_epoch <= 2
    assert len(found.history) <= 1 + found.best_epoch + PLAN.patience
    assert min(epoch.validation for epoch in found.history) == found.history[found.best_epoch].validation


def test_a_loss_that_is_no_number_stops(worlds: ModuleType) -> None:
    """Never a scorer made of NaN."""
    with pytest.raises(TrainingError, match=r"loss is nan.*learning_rate"):
        trained(worlds, replace(PLAN, temperature=float("nan")))


def test_llms_without_labels_are_named(worlds: ModuleType) -> None:
    """An LLM nobody labelled cannot be trained."""
    fit = worlds.world(50)
    labels = fit.labels_QL.copy()
    labels[:, 1] = np.nan
    known = Embedded(fit.queries_QD, fit.labels_QL)
    with pytest.raises(TrainingError, match="no training label for code-llm"):
        train(worlds.ROSTER, Embedded(fit.queries_QD, labels), known, PLAN)
    with pytest.raises(TrainingError, match="no validation label"):
        train(worlds.ROSTER, known, Embedded(fit.queries_QD, np.full_like(labels, np.nan)), PLAN)


def test_an_embedding_that_is_no_number_is_refused(worlds: ModuleType) -> None:
    """A broken encoder is said before k-means crashes on it."""
    fit = worlds.world(50)
    broken = fit.queries_QD.copy()
    broken[3, 0] = np.inf
    with pytest.raises(TrainingError, match="training query's embedding is not finite"):
        train(worlds.ROSTER, Embedded(broken, fit.labels_QL), Embedded(fit.queries_QD, fit.labels_QL), PLAN)


def test_identical_labels_and_few_queries_still_train(worlds: ModuleType) -> None:
    """Ten queries, one LLM always right: finite scores, that LLM first."""
    fit = worlds.world(10)
    labels = np.tile([1.0, 0.0, 0.0], (10, 1))
    known = Embedded(fit.queries_QD, labels)
    logits_QL = train(worlds.ROSTER, known, known, PLAN).weights.logits(fit.queries_QD)
    assert np.isfinite(logits_QL).all()
    assert (logits_QL.argmax(axis=1) == 0).all()


def test_group_rates_shrink_to_the_llms_mean() -> None:
    """A group without labels has the LLM's overall rate; one with many has its own."""
    member_QG = np.eye(2, dtype=np.float32)[[0] * 100 + [1]]
    labels_QL = np.array([[1.0]] * 60 + [[0.0]] * 40 + [[np.nan]])
    rates_GL = group_rates(member_QG, labels_QL, pseudo_labels=10)
    assert rates_GL[:, 0] == pytest.approx([0.6, 0.6], abs=0.01)
    crowded = group_rates(member_QG, np.array([[1.0]] * 100 + [[0.0]]), pseudo_labels=10)
    assert crowded[0, 0] > 0.98
    assert 0.85 < crowded[1, 0] < 0.95


def test_masked_ridge_is_ridge_on_the_labelled_rows() -> None:
    """Each LLM's fit is scikit-learn's on the queries it has labels for."""
    from sklearn.linear_model import Ridge

    dice = np.random.default_rng(0)
    features, targets = dice.normal(size=(60, 5)).astype(np.float32), dice.normal(size=(60, 2))
    targets[:25, 1] = np.nan
    found = masked_ridge(features, targets, 3.0)
    expected = Ridge(alpha=3.0, fit_intercept=False).fit(features[25:].astype(np.float64), targets[25:, 1]).coef_
    np.testing.assert_allclose(found[1], expected, atol=1e-8)


def test_weights_of_one_change_nothing(worlds: ModuleType) -> None:
    """Labels that all count in full give the very bits that labels without weights give."""
    fit, held = worlds.world(120, missing=0.2), worlds.world(60, seed=1)
    ones, held_ones = np.ones(fit.labels_QL.shape), np.ones(held.labels_QL.shape)
    without = train(worlds.ROSTER, Embedded(fit.queries_QD, fit.labels_QL), Embedded(held.queries_QD, held.labels_QL), PLAN)
    weighted = train(
        worlds.ROSTER, Embedded(fit.queries_QD, fit.labels_QL, ones), Embedded(held.queries_QD, held.labels_QL, held_ones), PLAN
    )
    logits = [trained.weights.logits(held.queries_QD) for trained in (without, weighted)]
    assert logits[0].tobytes() == logits[1].tobytes()
    fitted = [calibration.fit(logits[0], held.labels_QL, weights) for weights in (None, held_ones)]
    assert fitted[0].slope_L.tobytes() == fitted[1].slope_L.tobytes()


def test_a_label_of_no_weight_teaches_nothing() -> None:
    """Half weight is half a label: two equal labels at a half are one; a label of (almost) no weight is as good as unknown."""
    dice = np.random.default_rng(0)
    features = dice.normal(size=(40, 4)).astype(np.float32)
    member_QG, labels_QL = np.eye(2, dtype=np.float32)[dice.integers(2, size=40)], (dice.random((40, 2)) < 0.6).astype(float)
    twice, halves = [np.concatenate([part, part]) for part in (features, member_QG)], np.full((80, 2), 0.5)
    labels_twice = np.concatenate([labels_QL, labels_QL])
    np.testing.assert_allclose(masked_ridge(twice[0], labels_twice, 3.0, halves), masked_ridge(features, labels_QL, 3.0), atol=1e-7)
    np.testing.assert_allclose(group_rates(twice[1], labels_twice, 5.0, halves), group_rates(member_QG, labels_QL, 5.0), atol=1e-6)
    logits_QL = dice.normal(size=(40, 2))
    fitted = calibration.fit(np.concatenate([logits_QL, logits_QL]), labels_twice, halves), calibration.fit(logits_QL, labels_QL)
    np.testing.assert_allclose(fitted[0].slope_L, fitted[1].slope_L, atol=1e-3)
    one_QL, little_QL = labels_QL.copy(), np.ones((40, 2))
    one_QL[:, 1], little_QL[:, 1] = np.nan, 1e-9  # beside a label that counts
    fitted = calibration.fit(logits_QL, labels_QL, little_QL), calibration.fit(logits_QL, one_QL)
    np.testing.assert_allclose(fitted[0].intercept_L, fitted[1].intercept_L, atol=1e-4)
    unknown_QL, faint_QL = labels_QL.copy(), np.ones((40, 2))
    unknown_QL[:10], faint_QL[:10] = np.nan, 1e-9
    np.testing.assert_allclose(masked_ridge(features, labels_QL, 3.0, faint_QL), masked_ridge(features, unknown_QL, 3.0), atol=1e-6)
    loss = label_loss(torch.tensor(logits_QL), torch.tensor(labels_QL), torch.tensor(faint_QL))
    assert float(loss) == pytest.approx(float(label_loss(torch.tensor(logits_QL), torch.tensor(unknown_QL))), abs=1e-6)


def test_calibration_repairs_overconfidence() -> None:
    """Logits three times too large come back to probabilities: ECE falls below .05."""
    dice = np.random.default_rng(0)
    truth_QL = dice.normal(size=(2000, 2))
    labels_QL = (dice.random(truth_QL.shape) < calibration.sigmoid(truth_QL)).astype(float)
    fitted = calibration.fit(3 * truth_QL[:1000], labels_QL[:1000])
    fresh_QL = fitted.probabilities(3 * truth_QL[1000:])
    assert metrics.calibration_error(calibration.sigmoid(3 * truth_QL[1000:]).astype(np.float32), labels_QL[1000:]) > 0.1
    assert metrics.calibration_error(fresh_QL, labels_QL[1000:]) < 0.05
    assert metrics.brier(fresh_QL, labels_QL[1000:]) < metrics.brier(
        calibration.sigmoid(3 * truth_QL[1000:]).astype(np.float32), labels_QL[1000:]
    )


def test_few_calibration_labels_change_little() -> None:
    """An LLM with three labels, or none, gets what fits all LLMs; without any label at all nothing changes."""
    logits_QL = np.zeros((100, 3))
    labels_QL = np.full((100, 3), np.nan)
    untouched = calibration.fit(logits_QL, labels_QL)
    assert (untouched.slope_L.tolist(), untouched.intercept_L.tolist()) == ([1, 1, 1], [0, 0, 0])
    labels_QL[:, 0] = np.arange(100) < 80
    labels_QL[:3, 1] = 0.0
    found = calibration.fit(logits_QL, labels_QL)
    assert found.intercept_L[0] > found.intercept_L[2] > 0.1
    assert found.intercept_L[1] == pytest.approx(found.intercept_L[2], abs=0.05)


def test_an_llm_unlike_the_others_is_put_right() -> None:
    """Of ten LLMs that are right as often as they promise (.65) one promises .75 and is right on every other query: not for long."""
    dice = np.random.default_rng(0)
    logits_QL = np.full((600, 10), np.log(0.65 / 0.35))
    logits_QL[:, 3] = np.log(0.75 / 0.25)
    labels_QL = (dice.random((600, 10)) < np.where(np.arange(10) == 3, 0.5, 0.65)).astype(float)
    scores_QL = calibration.fit(logits_QL, labels_QL).probabilities(logits_QL)
    assert scores_QL[0, 3] < np.delete(scores_QL[0], 3).min()


def test_a_query_counts_once_however_many_llms_answered_it() -> None:
    """Twenty LLMs with the labels of one, on some of the queries, tell no more of those queries than the one does."""
    dice = np.random.default_rng(0)
    logits_QL = np.repeat(dice.normal(size=(150, 1)), 20, axis=1)
    labels_QL = np.repeat((dice.random((150, 1)) < 0.8).astype(float), 20, axis=1)
    once = calibration.fit(logits_QL[:, :1], labels_QL[:, :1])
    labels_QL[:70, 1:] = np.nan
    labels_QL[70:90, 5:] = np.nan
    often = calibration.fit(logits_QL, labels_QL)
    assert often.intercept_L[0] == pytest.approx(once.intercept_L[0], abs=1e-3)
    assert often.slope_L[0] == pytest.approx(once.slope_L[0], abs=1e-3)


def test_calibration_never_turns_an_order_around() -> None:
    """Labels that contradict the logits flatten an LLM's scores; they never reverse them."""
    logits_QL = np.linspace(-3, 3, 400)[:, None]
    found = calibration.fit(logits_QL, (logits_QL < 0).astype(float), pull=1.0)
    assert (np.diff(found.probabilities(logits_QL)[:, 0]) >= 0).all()


def test_training_beats_the_best_single_llm(worlds: ModuleType) -> None:
    """Realised quality on new queries is near the best rate there is, far from the best single LLM's."""
    fresh = worlds.world(600, seed=9)
    ours = metrics.quality(trained(worlds).weights.logits(fresh.queries_QD), fresh.labels_QL)
    single = np.nanmean(fresh.labels_QL, axis=0).max()
    assert ours.mean() > single + 0.2
