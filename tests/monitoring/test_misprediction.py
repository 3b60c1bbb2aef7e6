"""Promises against outcomes: figures by hand, and estimates of quality that cover the truth."""

import numpy as np
import pytest

from monitoring.drift import misprediction


def test_figures_by_hand() -> None:
    """Four audited records: two promises kept, two broken."""
    promised = np.array([0.9, 0.8, 0.2, 0.6])
    outcome = np.array([1.0, 0.0, 0.0, 0.0])
    found = misprediction.mispredictions(promised, outcome, confidence=0.95)
    assert found is not None
    assert found.n == 4
    assert found.share == 0.5
    assert found.brier == pytest.approx((0.01 + 0.64 + 0.04 + 0.36) / 4)
    assert found.auroc == 1.0
    assert found.ece == pytest.approx((0.1 + 0.8 + 0.2 + 0.6) / 4)
    assert found.bias.value == pytest.approx(-0.375)
    assert found.bias.low is None


def test_nothing_audited_and_outcomes_all_alike() -> None:
    """Without outcomes there are no figures; where all are adequate there is no AUROC."""
    nothing = np.zeros(0)
    assert misprediction.mispredictions(nothing, nothing, confidence=0.95) is None
    found = misprediction.mispredictions(np.full(10, 0.7), np.ones(10), confidence=0.95)
    assert found is not None
    assert found.auroc is None


@pytest.mark.parametrize("too_high", [0.0, 0.15])
def test_estimated_quality_covers_the_truth(too_high: float) -> None:
    """95 % intervals cover the truth in at least 92 % of 500 replays, however biased the promises; the error is under 3 points."""
    rng = np.random.default_rng(1)
    covered, off = 0, []
    for _ in range(500):
        truth = rng.beta(4, 3, 1000) * 0.8
        outcome = (rng.random(1000) < truth).astype(float)
        audit = rng.permutation(1000)[:300]
        promised = truth + too_high
        found = misprediction.estimated_quality(promised, promised[audit], outcome[audit], confidence=0.95)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.8 * 4 / 7 <= found.high
        off.append(abs(found.value - 0.8 * 4 / 7))
    assert covered >= 460
    assert np.mean(off) <= 0.03


def test_estimated_quality_without_an_audit_has_no_interval() -> None:
    """Nothing says how far unaudited promises are off; nothing promised is nothing estimated."""
    nothing = np.zeros(0)
    found = misprediction.estimated_quality(np.array([0.4, 0.6]), nothing, nothing, confidence=0.95)
    assert found == misprediction.Estimate(0.5)
    assert misprediction.estimated_quality(nothing, nothing, nothing, confidence=0.95) is None
