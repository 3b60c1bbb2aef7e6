"""Figures on cases small enough to work out by hand."""

import numpy as np
import pytest

from scorer import metrics

NAN = np.nan
SCORES = np.array([[0.9, 0.5, 0.1, 0.2], [0.1, 0.2, 0.3, 0.9], [0.5, 0.5, 0.5, 0.4]])
LABELS = np.array([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0]])


def test_choice_is_the_best_scored_and_the_first_of_equals() -> None:
    """argmax, ties to the earlier column."""
    assert metrics.choices(SCORES, LABELS).tolist() == [0, 3, 0]


def test_choice_is_only_among_labelled_llms() -> None:
    """An unlabelled LLM is never chosen; a query without labels has no choice."""
    labels = np.array([[NAN, 1.0, 0.0, NAN], [NAN, NAN, NAN, NAN]])
    assert metrics.choices(SCORES[:2], labels).tolist() == [1, -1]
    assert metrics.quality(SCORES[:2], labels)[0] == 1.0
    assert np.isnan(metrics.quality(SCORES[:2], labels)[1])
    assert np.isnan(metrics.regret(SCORES[:2], labels)[1])


def test_quality_and_regret() -> None:
    """Label of the chosen, and what the best would have added."""
    assert metrics.quality(SCORES, LABELS).tolist() == [1.0, 0.0, 0.0]
    assert metrics.regret(SCORES, LABELS).tolist() == [0.0, 1.0, 1.0]


def test_hits_by_both_tie_conventions() -> None:
    """Two LLMs tie for best: finding one is a whole hit by `any`, half a hit by `split`."""
    found = metrics.overlap(SCORES, LABELS, predicted=2, true=1)
    assert found.any_Q.tolist() == [1.0, 0.0, 1.0]
    assert found.split_Q.tolist() == [1.0, 0.0, 0.5]


def test_agreement_by_both_tie_conventions() -> None:
    """One certain LLM and three tied for two places: predicted {0, 1, 3} has all three by `any`, 1 + 2 * 2/3 by `split`."""
    found = metrics.overlap(SCORES[:1], LABELS[:1], predicted=3, true=3)
    assert found.any_Q[0] == pytest.approx(1.0)
    assert found.split_Q[0] == pytest.approx((1 + 2 * 2 / 3) / 3)


def test_hit_at_k_needs_more_labelled_llms_than_k() -> None:
    """With three labelled LLMs, everyone's top 3 holds the best: undefined, not 1."""
    labels = np.array([[1.0, 0.0, 0.0, NAN]])
    assert np.isnan(metrics.overlap(SCORES[:1], labels, predicted=3, true=1).any_Q[0])
    assert metrics.overlap(SCORES[:1], labels, predicted=2, true=1).any_Q[0] == 1.0


def test_interval_covers_as_often_as_it_says() -> None:
    """95 % intervals of 200 samples hold the true mean in about 95 % of cases, and are the same for the same seed."""
    dice = np.random.default_rng(0)
    samples = [(dice.random(100) < 0.3).astype(float) for _ in range(200)]
    found = [metrics.interval(values, resamples=200, seed=1) for values in samples]
    assert 0.9 <= np.mean([one.low <= 0.3 <= one.high for one in found]) <= 0.99
    assert metrics.interval(samples[0], resamples=200, seed=1) == found[0]


def test_paired_difference_is_narrower_than_the_means() -> None:
    """What makes a query hard cancels: a steady gain of .1 on noisy queries is certain."""
    hard = np.random.default_rng(0).random(200)
    found = metrics.difference(hard + 0.1, hard, resamples=200)
    assert found.low == pytest.approx(0.1)
    assert metrics.interval(hard, resamples=200).high - metrics.interval(hard, resamples=200).low > 0.05


def test_undefined_values_leave_a_mean_alone() -> None:
    """NaN is left out; nothing at all has no mean."""
    assert metrics.interval(np.array([1.0, NAN]), resamples=10).mean == 1.0
    assert np.isnan(metrics.interval(np.array([NAN]), resamples=10).mean)


def test_frontier_runs_from_best_to_cheapest() -> None:
    """Weight 0 buys quality; the largest weight buys the cheapest LLM whatever its score."""
    scores = np.array([[0.2, 0.9], [0.3, 0.8]], dtype=np.float32)
    labels, cost = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 10.0], [1.0, 10.0]])
    points = metrics.frontier(scores, labels, cost, cost[0])
    assert (points[0].cost, points[0].quality) == (10.0, 1.0)
    assert (points[-1].cost, points[-1].quality) == (1.0, 0.0)


def test_an_llm_whose_price_nobody_knows_is_no_choice_of_the_frontier() -> None:
    """Neither free nor infinitely dear: it is left out, and the others trade as without it."""
    scores = np.array([[0.2, 0.9, 0.95], [0.3, 0.8, 0.99]], dtype=np.float32)
    labels, cost = np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]), np.array([[1.0, 10.0, NAN], [1.0, 10.0, NAN]])
    points = metrics.frontier(scores, labels, cost, np.array([1.0, 10.0, np.inf]))
    assert points == metrics.frontier(scores[:, :2], labels[:, :2], cost[:, :2], cost[0, :2])
    assert np.isnan(metrics.frontier(scores, labels, cost, np.full(3, np.inf))[0].cost)


def test_auroc_is_the_chance_that_a_right_answer_scores_higher() -> None:
    """Of the four pairs of a right and a wrong answer three are in order and one is tied. Undefined where all are right."""
    scores_N, right_N = np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, False, True, False])
    assert metrics.auroc(scores_N, right_N) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert metrics.auroc(-scores_N, right_N) == pytest.approx(0.5 / 4)
    assert metrics.auroc(np.zeros(4), right_N) == 0.5
    assert np.isnan(metrics.auroc(scores_N, np.full(4, fill_value=True)))


def test_a_tie_counts_half() -> None:
    """Equal scores of a positive and a negative say nothing; order of the records does not matter."""
    assert metrics.auroc(np.array([0.5, 0.5]), np.array([True, False])) == 0.5
    assert metrics.auroc(np.array([0.5, 0.5]), np.array([False, True])) == 0.5


def test_calibrated_scores_have_a_small_calibration_error() -> None:
    """Of 5,000 scores that come true it is near 0; of scores 0.2 too high, 0.2."""
    random = np.random.default_rng(0)
    truth = random.uniform(0.1, 0.7, 5000)
    labels = (random.random(5000) < truth).astype(float)
    assert metrics.calibration_error(truth, labels) < 0.03
    assert metrics.calibration_error(truth + 0.2, labels) == pytest.approx(0.2, abs=0.02)


def test_calibration_error_of_known_bins() -> None:
    """Two bins off by .1 and .3, equally filled: .2; missing labels are left out."""
    scores_QL = np.array([[0.1] * 10 + [0.7] * 10 + [0.5]], dtype=np.float32).T
    labels_QL = np.array([[0.0] * 8 + [1.0] * 2 + [1.0] * 10 + [np.nan]]).T
    assert metrics.calibration_error(scores_QL, labels_QL, bins=2) == pytest.approx(0.2, abs=1e-6)


def test_equal_scores_share_a_bin() -> None:
    """A constant score at the overall rate is calibrated, in whatever order its labels come."""
    labels_QL = np.repeat([[0.0], [1.0]], 500, axis=0)
    assert metrics.calibration_error(np.full((1000, 1), 0.5, dtype=np.float32), labels_QL) == 0


def test_tied_scores_have_one_calibration_error_in_any_order() -> None:
    """Scores on six levels: shuffling the records changes nothing, and chance explains what is left."""
    random = np.random.default_rng(3)
    scores = random.choice([0.1, 0.3, 0.4, 0.6, 0.7, 0.9], 400)
    labels = (random.random(400) < scores).astype(float)
    errors = set()
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(400)
        errors.add(round(metrics.calibration_error(scores[order], labels[order]), 12))
    assert len(errors) == 1
    assert errors.pop() < 2 * metrics.chance_calibration_error(scores, labels)
