"""A newcomer's row that would make the pool's choices worse is shrunk, and it is said."""

import numpy as np
import pytest

from pipelines.row_guard import Validation, add_guarded
from scorer import calibration, metrics
from scorer.initialisation import Embedded, Labels, Shrinkage, starting_weights
from scorer.row_fit import TrainedScorer, add_rows
from tests.scorer import world


@pytest.fixture(scope="module")
def trained() -> TrainedScorer:
    """A scorer of the world's three LLMs."""
    made = world.world(600)
    weights = starting_weights(world.ROSTER, Embedded(made.queries_QD, made.labels_QL), Shrinkage(groups=8, ridge=10.0, dims=16), 0)
    return TrainedScorer(weights, calibration.fit(weights.logits(made.queries_QD), made.labels_QL), made.queries_QD, made.labels_QL)


def labels(kinds_Q: np.ndarray, rates_K: tuple[float, ...], seed: int) -> Labels:
    return (np.random.default_rng(seed).random(len(kinds_Q)) < np.array(rates_K)[kinds_Q]).astype(float)[:, None]


def quality(weights, fitted, fresh: world.World, labels_QL: Labels) -> float:
    return metrics.mean(metrics.quality(fitted.probabilities(weights.logits(fresh.queries_QD)), labels_QL))


def test_a_row_that_does_no_harm_stays_as_fitted(trained: TrainedScorer, capsys: pytest.CaptureFixture[str]) -> None:
    """The very arrays of `add_rows`, of two newcomers at once, nothing is printed, and the gain has its interval."""
    made, held = world.world(600), world.world(200, seed=4)
    both_QN = np.column_stack([labels(made.kinds_Q, (0.2, 0.2, 0.2, 0.95), 1), labels(made.kinds_Q, (0.5, 0.5, 0.5, 0.5), 2)])
    judging = np.column_stack([labels(held.kinds_Q, (0.2, 0.2, 0.2, 0.95), 3), labels(held.kinds_Q, (0.5, 0.5, 0.5, 0.5), 4)])
    weights, fitted, found = add_guarded(trained, ("new", "even"), both_QN, None, Validation(held.queries_QD, held.labels_QL, judging))
    plain, plain_fit = add_rows(trained, ("new", "even"), both_QN)
    assert weights.roster == plain.roster
    np.testing.assert_array_equal(weights.logits(held.queries_QD), plain.logits(held.queries_QD))
    np.testing.assert_array_equal(fitted.intercept_L, plain_fit.intercept_L)
    assert (found["new"].shrunk, found["new"].lowered, found["new"].labels) == (1.0, 0.0, 600)
    assert capsys.readouterr().err == ""


def test_one_that_does_is_shrunk_and_named(trained: TrainedScorer, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels that promise everything while validation answers are all wrong: afterwards choices are not surely worse than before."""
    held = world.world(300, seed=4)
    judging = Validation(held.queries_QD, held.labels_QL, np.zeros((300, 1)))
    weights, fitted, found = add_guarded(trained, ("boaster",), np.ones((600, 1)), None, judging)
    assert found["boaster"].lowered > 0
    assert not found["boaster"].gain.high < 0
    assert "boaster: the row that its labels give makes choices on validation queries surely worse" in capsys.readouterr().err
    before = quality(trained.weights, trained.calibration, held, held.labels_QL)
    after = quality(weights, fitted, held, np.column_stack([held.labels_QL, np.zeros(300)]))
    assert after > before - 0.02
    np.testing.assert_array_equal(fitted.intercept_L[:3], trained.calibration.intercept_L)


def test_nobody_to_judge(trained: TrainedScorer) -> None:
    """A newcomer without a validation label joins as fitted; its gain is not known."""
    made, held = world.world(600), world.world(20, seed=4)
    judging = Validation(held.queries_QD, held.labels_QL, np.full((20, 1), np.nan))
    _, _, found = add_guarded(trained, ("new",), labels(made.kinds_Q, (0.5, 0.5, 0.5, 0.5), 1), None, judging)
    assert found["new"].shrunk == 1.0
    assert np.isnan(found["new"].gain.mean)
