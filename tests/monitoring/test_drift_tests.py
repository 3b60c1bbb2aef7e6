"""The tests that decide: false alarms at their nominal rate, power where the bar asks for it, statistics equal to their definitions."""

import time

import numpy as np
import pytest

from monitoring import drift_tests
from scorer import metrics

ALPHA = 0.05
FALSE_ALARMS = 30  # of 400 replays: 20 are expected at 5 %, more than 30 has a chance under 1 %


def look(world, profile, n: int, *, novel: float = 0.0, drop: float = 0.0, count: int = 299) -> drift_tests.Shift:
    queries, _ = world.queries(n, novel=novel)
    novelty = drift_tests.novelty(queries, profile, k=10, quantile=0.95)
    return drift_tests.compare(queries, world.scores(n, drop=drop), profile, novelty, count=count, seed=1)


def test_without_shift_alarms_are_as_rare_as_promised(world) -> None:
    """400 replays, each with a fresh reference and fresh traffic: the family of tests alarms in at most 5 % of them (and is not asleep)."""
    alarms = {"family": 0, "queries": 0, "novelty": 0, "score small": 0}
    for _ in range(400):
        found = look(world, world.profile(training=120, held=80), 60)
        alarms["family"] += min(found.adjusted.values()) <= ALPHA
        for name in ("queries", "novelty", "score small"):
            alarms[name] += found.p_values[name] <= ALPHA
    assert max(alarms.values()) <= FALSE_ALARMS
    assert min(alarms["queries"], alarms["score small"]) >= 6  # exact tests are not merely silent


@pytest.mark.slow
@pytest.mark.parametrize(("n", "novel", "count"), [(300, 0.25, 999), (1000, 0.10, 199)])
def test_novel_queries_are_found(world, n: int, novel: float, count: int) -> None:
    """Power >= .95 for 25 % novel queries at n = 300 and for 10 % at n = 1,000, at the smallest alpha a look of ours has."""
    profile = world.profile(training=500, held=300)
    found = [look(world, profile, n, novel=novel, count=count).adjusted for _ in range(20)]
    assert sum(min(adjusted["queries"], adjusted["novelty"]) <= 0.005 for adjusted in found) == 20


def test_a_changed_mix_of_known_domains_is_drift_without_novelty(world) -> None:
    """MMD sees that one domain's queries became most of the traffic; nothing in it is novel."""
    profile = world.profile(held=300)
    queries, domains = world.queries(600)
    mostly = queries[(domains == "coding") | (world.rng.random(600) < 0.3)]
    novelty = drift_tests.novelty(mostly, profile, k=10, quantile=0.95)
    found = drift_tests.compare(mostly, world.scores(len(mostly)), profile, novelty, count=1999, seed=1)
    assert found.adjusted["queries"] <= 0.005
    assert found.adjusted["novelty"] > ALPHA


def test_moved_scores_are_found_for_the_llms_that_moved(world) -> None:
    """Lower scores of the same queries reject the score tests in all of eight replays, and the query tests in hardly any."""
    world.rng = np.random.default_rng(3)
    found = [look(world, world.profile(held=300), 300, drop=0.2, count=999) for _ in range(8)]
    assert all(one.adjusted[f"score {llm}"] <= 0.006 for one in found for llm in ("small", "middle", "large"))
    assert sum(min(one.p_values["queries"], one.p_values["novelty"]) <= 0.01 for one in found) <= 1


def test_novelty_tells_out_of_domain_queries_apart(world) -> None:
    """AUROC of the novelty distance >= .95 between in-domain and far out-of-domain queries; about 5 % in-domain are above the threshold."""
    profile = world.profile(training=500, held=400)
    novelty = drift_tests.novelty(np.vstack([world.queries(400)[0], world.queries(400, novel=1.0)[0]]), profile, k=10, quantile=0.95)
    auroc = metrics.auroc(novelty.distances_N.astype(float), np.arange(800) >= 400)
    assert auroc >= 0.95
    assert 0.01 <= novelty.novel_N[:400].mean() <= 0.10
    assert (novelty.held_out_distances_H > novelty.threshold).mean() == pytest.approx(0.05)


def test_one_look_is_cheap(world) -> None:
    """300 against 1,000 queries of 384 dims with 500 permutations and 6 LLMs take less than 2 s of CPU."""
    rng = np.random.default_rng(0)
    sample = rng.normal(size=(2300, 384)).astype(np.float32)
    sample /= np.linalg.norm(sample, axis=1, keepdims=True)
    names = np.array(["x"] * 1000)
    profile = drift_tests.ReferenceProfile(
        tuple("abcdef"),
        sample[:1000],
        rng.random((1000, 6), np.float32),
        names,
        sample[1000:2000],
        rng.random((1000, 6), np.float32),
        names,
    )
    drift_tests.novelty(sample[2000:2010], profile, k=10, quantile=0.95)  # scipy's import is paid once a process
    began = time.process_time()
    novelty = drift_tests.novelty(sample[2000:], profile, k=10, quantile=0.95)
    drift_tests.compare(sample[2000:], rng.random((300, 6), np.float32), profile, novelty, count=500, seed=0)
    assert time.process_time() - began < 2


def test_mmd_is_its_definition() -> None:
    """The vectorised statistic equals mean K_xx + mean K_yy - 2 mean K_xy for every split."""
    rng = np.random.default_rng(0)
    sample = rng.normal(size=(30, 4)).astype(np.float32)
    kernel = drift_tests.gaussian_kernel(sample)
    splits = drift_tests.permutations(10, 30, 20, seed=3)
    assert splits[0].tolist() == [1.0] * 10 + [0.0] * 20
    for split, found in zip(splits.astype(bool), drift_tests.mmd(kernel, splits), strict=True):
        x, y = kernel[np.ix_(split, split)], kernel[np.ix_(~split, ~split)]
        assert found == pytest.approx(x.mean() + y.mean() - 2 * kernel[np.ix_(split, ~split)].mean(), abs=1e-6)


def test_cramer_von_mises_is_its_definition() -> None:
    """The statistic sums squared gaps of the two empirical distribution functions over the pooled sample, ties included."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 8, 40).astype(np.float32)
    splits = drift_tests.permutations(15, 40, 10, seed=5)
    for split, found in zip(splits.astype(bool), drift_tests.cramer_von_mises(values, splits), strict=True):
        gaps = [(values[split] <= v).mean() - (values[~split] <= v).mean() for v in values]
        assert found == pytest.approx(np.square(gaps).sum())


def test_p_value_counts_the_true_split_and_rounds_in_favour_of_no_shift() -> None:
    """A p-value is never 0, and splits that tie with the true one but for rounding count."""
    assert drift_tests.p_value(np.array([5.0, 1, 2, 3])) == 0.25
    assert drift_tests.p_value(np.array([5.0, 5.0 - 1e-12, 2, 3])) == 0.5


def test_holm_by_hand() -> None:
    """Smallest p times 3, next times 2, last times 1, never decreasing, at most 1."""
    adjusted = drift_tests.holm({"a": 0.04, "b": 0.01, "c": 0.9})
    assert adjusted == pytest.approx({"a": 0.08, "b": 0.03, "c": 0.9})
    assert list(adjusted) == ["a", "b", "c"]
    assert drift_tests.holm({"a": 0.5, "b": 0.6})["a"] == 1.0


def test_neighbours_of_known_points() -> None:
    """Distance is the mean cosine distance of the k nearest around the reference's mean; with fewer references than k, of all."""
    reference = np.array([[3, 1], [1, 3], [-1, 1], [1, -1]], dtype=np.float32)  # its mean is (1, 1)
    distances, nearest = drift_tests.neighbours(np.array([[5, 1], [1, 9]], dtype=np.float32), reference, 3)
    assert distances.tolist() == pytest.approx([2 / 3, 2 / 3])  # 0, 1 and 1 of the distances 0, 1, 1, 2
    assert nearest.tolist() == [0, 1]
    assert drift_tests.neighbours(reference[:1], reference, 9)[0].tolist() == pytest.approx([1.0])
