"""The residual of one LLM: its posterior beside brute force, and when a change is believed."""

from typing import Any

import numpy as np
import pytest

from monitoring.learning.residual import Outcomes, Prior, Residual, learn, moments_of, posteriors
from scorer.weights import sigmoid

PRIOR = Prior()
LABELS = 1_000.0


def outcomes(chance: Any, size: int, *, seed: int = 0, dims: int = 2, offset: float = 0.0) -> Outcomes:
    """Of an LLM that is right with these chances, and that the scorer gives the log-odds `offset`."""
    random = np.random.default_rng(seed)
    features_NF = np.column_stack([np.ones(size), random.normal(size=(size, dims)) / np.sqrt(dims)])
    right_N = random.random(size) < np.broadcast_to(chance, size)
    return Outcomes(features_NF, np.full(size, offset), right_N.astype(np.float64), np.ones(size))


def test_mean_covariance_and_evidence_are_those_of_brute_force() -> None:
    """Two features, every pair of weights on a fine grid: the mode, the mean and spread about it, and the integral."""
    some, variance_F = outcomes(0.8, 80, dims=1), np.array([1.0, 0.5])
    ((mean_F,), (covariance_FF,), (evidence,)) = posteriors(some, np.ones((1, 80), dtype=bool), variance_F[None])
    axes = [np.linspace(-2, 4, 201)] * 2
    grid_GF = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    logits_GN = grid_GF @ some.features_NF.T
    log_G = (some.label_N * logits_GN - np.logaddexp(0, logits_GN)).sum(axis=1)
    log_G -= 0.5 * (grid_GF**2 / variance_F + np.log(2 * np.pi * variance_F)).sum(axis=1)
    weight_G = np.exp(log_G - log_G.max())
    share_G = weight_G / weight_G.sum()
    np.testing.assert_allclose(mean_F, grid_GF[log_G.argmax()], atol=0.031)
    np.testing.assert_allclose(mean_F, share_G @ grid_GF, atol=0.08)  # the posterior leans a little: Laplace sits on its mode
    about_GF = grid_GF - share_G @ grid_GF
    np.testing.assert_allclose(covariance_FF, (about_GF.T * share_G) @ about_GF, rtol=0.15, atol=0.01)
    step = axes[0][1] - axes[0][0]
    assert evidence == pytest.approx(log_G.max() + np.log(weight_G.sum() * step**2), abs=0.05)


def test_each_subset_is_fitted_as_if_it_were_alone() -> None:
    """Subsets at once are what each would be by itself, whatever its prior; counts are repeated outcomes."""
    some = outcomes(0.6, 60)
    masks_BN = np.stack([np.arange(60) < 20, np.arange(60) >= 20])
    variances_BF = np.array([[1.0, 1.0, 1.0], [0.1, 0.2, 0.3]])
    together = posteriors(some, masks_BN, variances_BF)
    for at, mask_N in enumerate(masks_BN):
        part = Outcomes(some.features_NF[mask_N], some.offset_N[mask_N], some.label_N[mask_N], some.count_N[mask_N])
        alone = posteriors(part, np.ones((1, int(mask_N.sum())), dtype=bool), variances_BF[at : at + 1])
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[at], other[0], atol=1e-6)
    twice = Outcomes(*(np.concatenate([each, each]) for each in (some.features_NF, some.offset_N, some.label_N, some.count_N)))
    counted = Outcomes(some.features_NF, some.offset_N, some.label_N, 2 * some.count_N)
    wide_BF = np.ones((1, 3))
    for one, other in zip(
        posteriors(twice, np.ones((1, 120), dtype=bool), wide_BF), posteriors(counted, np.ones((1, 60), dtype=bool), wide_BF), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_scorer_that_is_right_stays_in_force() -> None:
    """Outcomes as promised speak against a change, and move next to nothing, over many streams."""
    residuals = [learn(outcomes(0.7, 300, seed=seed, offset=np.log(0.7 / 0.3)), PRIOR, LABELS) for seed in range(40)]
    assert np.mean([residual.changed for residual in residuals]) < 0.05
    assert max(abs(residual.unchanged[0][0]) for residual in residuals) < 0.2


def test_a_broken_promise_is_learnt_since_it_was_broken() -> None:
    """64 outcomes after three hundred usual ones: the change is believed, dated about right, and its size is that of these 64."""
    usual, broken = outcomes(0.7, 300, offset=np.log(0.7 / 0.3)), outcomes(0.3, 64, seed=1, offset=np.log(0.7 / 0.3))
    joined = Outcomes(*(np.concatenate([getattr(usual, name), getattr(broken, name)]) for name in Outcomes.__slots__))
    residual = learn(joined, PRIOR, LABELS)
    assert residual.changed > 0.95
    assert residual.since == 64
    assert sigmoid(np.log(0.7 / 0.3) + residual.moved[0][0]) == pytest.approx(0.35, abs=0.15)


def test_a_verdict_makes_a_change_likelier_and_few_labels_leave_more_open() -> None:
    """The odds count as prior odds do; a newcomer's scores move on outcomes that leave a well known LLM's alone."""
    worse = outcomes(0.5, 24, offset=np.log(0.7 / 0.3))
    assert learn(worse, PRIOR, LABELS, odds=10.0).changed > learn(worse, PRIOR, LABELS).changed
    assert abs(learn(worse, PRIOR, 20.0).unchanged[0][0]) > 3 * abs(learn(worse, PRIOR, LABELS).unchanged[0][0])


def test_outcomes_that_count_nothing_say_nothing() -> None:
    """Old outcomes fade to the scorer as it is; none at all is exactly it."""
    some = outcomes(0.1, 50)
    forgotten = learn(Outcomes(some.features_NF, some.offset_N, some.label_N, np.full(50, 1e-9)), PRIOR, LABELS)
    assert forgotten.changed == pytest.approx(PRIOR.changed, abs=1e-3)
    np.testing.assert_allclose(forgotten.unchanged[0], 0.0, atol=1e-6)
    nothing = learn(Outcomes(np.zeros((0, 3)), *(np.zeros(0) for _ in range(3))), PRIOR, LABELS)
    assert nothing.changed == 0.0
    assert not nothing.unchanged[0].any()
    assert Residual.nothing_seen(PRIOR, 2, LABELS).unchanged[1].shape == (3, 3)


@pytest.mark.parametrize(("total", "moments"), [(3, [3]), (8, [8]), (9, [8, 9]), (100, [8, 16, 32, 64, 100])])
def test_moments_double(total: int, moments: list[int]) -> None:
    """And the last is before the first outcome."""
    assert moments_of(total) == moments
