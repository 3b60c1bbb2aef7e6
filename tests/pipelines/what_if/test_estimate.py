"""Intervals that hold: from held-out errors, from graded requests drawn by known chances, also where forecasts are wrong."""

import numpy as np
import pytest

from pipelines.what_if import estimate
from pipelines.what_if.estimate import Errors


def world(rng: np.random.Generator, count: int, bias: float) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts of a difference, and what it is: forecasts that are too high by `bias`."""
    expected_N = rng.uniform(-0.3, 0.4, count)
    truth_N = np.where(rng.random(count) < np.abs(expected_N), np.sign(expected_N), 0.0)
    return expected_N + bias, truth_N


@pytest.mark.parametrize("bias", [0.0, 0.15])
def test_an_interval_from_held_out_errors_covers_the_logs_own_mean(bias: float) -> None:
    """In 93 of 100 logs at least, and a bias of the forecasts is taken out."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        forecast_N, truth_N = world(rng, 250, bias)
        held_M, held_truth_M = world(rng, 120, bias)
        found = estimate.by_held_out(forecast_N, 250, Errors(held_truth_M - held_M))
        covered.append(found.low <= truth_N.mean() <= found.high)
    assert np.mean(covered) >= 0.93


def test_an_interval_from_graded_requests_covers_whatever_the_forecast_is() -> None:
    """Drawn by their chances; a broken forecast widens the interval and does not make it lie."""
    rng = np.random.default_rng(1)
    widths = {}
    for bias in (0.0, 0.5):
        covered, width = [], []
        for _ in range(400):
            forecast_N, truth_N = world(rng, 400, bias)
            chances_N = estimate.chances(np.sqrt(np.abs(forecast_N) + 0.05), 80)
            drawn = np.flatnonzero(rng.random(400) < chances_N)
            found = estimate.by_graded(forecast_N, drawn, truth_N[drawn], chances_N[drawn])
            covered.append(found.low <= truth_N.mean() <= found.high)
            width.append(found.high - found.low)
        assert np.mean(covered) >= 0.93
        widths[bias] = np.mean(width)
    assert widths[0.5] > 1.2 * widths[0.0]


def test_chances_add_up_and_leave_out_what_cannot_differ() -> None:
    """About as many as wanted, none above 1, the unsure ones more often."""
    uncertain_N = np.array([0.0] * 50 + [0.1] * 50 + [0.9] * 50)
    chances_N = estimate.chances(uncertain_N, 30)
    assert chances_N.sum() == pytest.approx(30, abs=0.01)
    assert (chances_N[:50] == 0).all()
    assert chances_N[60] < chances_N[120]
    assert (estimate.chances(uncertain_N, 1_000) <= 1).all()
    assert not estimate.chances(np.zeros(5), 3).any()


def test_too_few_labels_make_no_interval() -> None:
    """All that is possible is said then, not a narrow guess."""
    found = estimate.by_held_out(np.array([0.1, 0.2]), 2, Errors(np.array([0.1] * 5)))
    assert (found.low, found.high) == (-1.0, 1.0)
    graded = estimate.by_graded(np.full(9, 0.1), np.arange(3), np.zeros(3), np.full(3, 0.5))
    assert (graded.low, graded.high) == (-1.0, 1.0)
    assert np.isnan(estimate.ratio(np.ones(3), np.ones(3), np.ones(3), 10).low)


def test_weights_count_for_what_they_are_worth() -> None:
    """Held-out queries of a kind that the log lacks change nothing, and make the sample smaller."""
    errors_M = np.array([0.1, -0.1] * 20 + [1.0] * 40)
    weighted = Errors(errors_M, np.array([1.0] * 40 + [0.0] * 40))
    assert weighted.mean == pytest.approx(0)
    assert weighted.effective == pytest.approx(40)
    assert weighted.spread == pytest.approx(float(errors_M[:40].std(ddof=1)))
