"""The tests that decide: false alarms at their nominal rate, power where the bar asks for it, statistics equal to their definitions."""

import numpy as np
import pytest

from monitoring.drift import drift_tests, permutation
from monitoring.drift.novelty import neighbours, novelty
from monitoring.drift.permutation import Strata
from monitoring.drift.profile import ReferenceProfile
from scorer import metrics
from tests.cpu import at_most

ALPHA = 0.05
FALSE_ALARMS = 30  # of 400 replays: 20 are expected at 5 %, more than 30 has a chance under 1 %


def look(world, profile, n: int, *, novel: float = 0.0, drop: float = 0.0, count: int = 299) -> drift_tests.Shift:
    queries, _ = world.queries(n, novel=novel)
    return compared(queries, world.scores(n, drop=drop), profile, count=count)


def compared(queries, scores, profile, *, count: int) -> drift_tests.Shift:
    return drift_tests.compare(queries, scores, profile, novelty(queries, profile, k=10, quantile=0.95), count=count, seed=1)


def coding_mostly(world, n: int):
    """Queries of which two thirds or so are of one domain that the scorer knows."""
    queries, domains = world.queries(3 * n)
    return queries[(domains == "coding") | (world.rng.random(3 * n) < 0.2)][:n]


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
@pytest.mark.parametrize(("n", "novel", "count"), [(300, 0.25, 1249), (1000, 0.10, 1249)])
def test_novel_queries_are_found(world, n: int, novel: float, count: int) -> None:
    """Power >= .95 for 25 % novel queries at n = 300 and for 10 % at n = 1,000, at the smallest alpha a look of ours has."""
    profile = world.profile(training=500, held=300)
    found = [look(world, profile, n, novel=novel, count=count).adjusted for _ in range(20)]
    assert sum(min(adjusted["queries"], adjusted["novelty"]) <= 0.005 for adjusted in found) == 20


def test_a_changed_mix_alarms_no_more_often_and_is_told_apart(world) -> None:
    """200 replays in which one known domain has become most of the traffic: the family is as quiet as without shift, `mix` is not."""
    alarms = mixed = 0
    for _ in range(200):
        profile, queries = world.profile(training=120, held=80), coding_mostly(world, 60)
        novel = novelty(queries, profile, k=10, quantile=0.95)
        found = drift_tests.compare(queries, world.scores(len(queries)), profile, novel, count=299, seed=1)
        alarms += min(found.adjusted.values()) <= ALPHA
        mix = drift_tests.mix(novel.domains_N(profile), profile.domains_R[novel.held_out_nearest_H], count=299, seed=1)
        mixed += mix.p_value <= ALPHA and mix.changed[0][0] == "coding"
    assert alarms <= 17  # 10 are expected at most, more than 17 has a chance under 1 %
    assert mixed >= 190


def test_an_unknown_domain_is_found_in_a_changed_mix(world) -> None:
    """A quarter of law among traffic that is mostly coding."""
    for _ in range(8):
        queries = np.vstack([coding_mostly(world, 225), world.queries(75, novel=1.0)[0]])
        adjusted = compared(queries, world.scores(300), world.profile(training=500, held=300), count=1999).adjusted
        assert min(adjusted["queries"], adjusted["novelty"]) <= 0.005


def test_moved_scores_are_found_for_the_llms_that_moved(world) -> None:
    """Lower scores of the same queries reject the score tests in all of eight replays, and the query tests in hardly any."""
    world.rng = np.random.default_rng(3)
    found = [look(world, world.profile(held=300), 300, drop=0.2, count=999) for _ in range(8)]
    assert all(one.adjusted[f"score {llm}"] <= 0.006 for one in found for llm in ("small", "middle", "large"))
    assert sum(min(one.p_values["queries"], one.p_values["novelty"]) <= 0.01 for one in found) <= 1


def test_novelty_tells_out_of_domain_queries_apart(world) -> None:
    """AUROC of the novelty distance >= .95 between in-domain and far out-of-domain queries; about 5 % in-domain are above the threshold."""
    profile = world.profile(training=500, held=400)
    novel = novelty(np.vstack([world.queries(400)[0], world.queries(400, novel=1.0)[0]]), profile, k=10, quantile=0.95)
    auroc = metrics.auroc(novel.distances_N.astype(float), np.arange(800) >= 400)
    assert auroc >= 0.95
    assert 0.01 <= novel.novel_N[:400].mean() <= 0.10
    assert (novel.held_out_distances_H > novel.threshold).mean() == pytest.approx(0.05)


def test_one_look_is_cheap(world) -> None:
    """300 against 1,000 queries of 384 dims with 500 permutations and 6 LLMs take less than 2 s of CPU."""
    rng = np.random.default_rng(0)
    sample = rng.normal(size=(2300, 384)).astype(np.float32)
    sample /= np.linalg.norm(sample, axis=1, keepdims=True)
    names = np.array(["x"] * 1000)
    profile = ReferenceProfile(
        tuple("abcdef"),
        sample[:1000],
        rng.random((1000, 6), np.float32),
        names,
        sample[1000:2000],
        rng.random((1000, 6), np.float32),
        names,
    )
    novelty(sample[2000:2010], profile, k=10, quantile=0.95)  # scipy's import is paid once a process
    with at_most(2):
        novel = novelty(sample[2000:], profile, k=10, quantile=0.95)
        drift_tests.compare(sample[2000:], rng.random((300, 6), np.float32), profile, novel, count=500, seed=0)


def weights(recent: int, size: int, count: int, *, strata: int = 1) -> np.ndarray:
    """Signed weights of the true split and `count` others."""
    return np.vstack(list(Strata(recent, np.arange(size) % strata).splits(count, seed=3)))


def test_splits_keep_every_stratum_as_large_as_it_is() -> None:
    """Row 0 is the true split; each row has the recent mix on both sides, so a change of mix weighs nothing."""
    strata = Strata(6, np.array([0, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1]))
    rows = np.vstack(list(strata.splits(50, seed=0)))
    assert rows[0].tolist() == pytest.approx([1 / 6] * 6 + [-4 / 6] + [-2 / 6 / 4] * 4)
    assert len({tuple(row) for row in rows}) > 20
    for stratum, recent in ((0, 4), (1, 2)):
        members = rows[:, strata.strata_T == stratum]
        assert ((members > 0).sum(axis=1) == recent).all()
        assert members.sum(axis=1) == pytest.approx(0, abs=1e-6)


def test_a_domain_without_held_out_queries_joins_the_largest() -> None:
    """It has nothing of its own to be compared with, and is not left out."""
    strata = Strata.by_name(np.array(["a", "c", "b"]), np.array(["b", "b", "a"]))
    assert strata.strata_T.tolist() == [0, 1, 1, 1, 1, 0]


def test_mmd_is_its_definition() -> None:
    """With one stratum the statistic equals mean K_xx + mean K_yy - 2 mean K_xy for every split."""
    sample = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    kernel = drift_tests.gaussian_kernel(sample)
    rows = weights(10, 30, 20)
    for row, found in zip(rows, drift_tests.mmd(kernel, rows), strict=True):
        split = row > 0
        x, y = kernel[np.ix_(split, split)], kernel[np.ix_(~split, ~split)]
        assert found == pytest.approx(x.mean() + y.mean() - 2 * kernel[np.ix_(split, ~split)].mean(), abs=1e-6)


def test_cramer_von_mises_is_its_definition() -> None:
    """The statistic sums squared gaps of the two empirical distribution functions over the pooled sample, ties included."""
    values = np.random.default_rng(0).integers(0, 8, 40).astype(np.float32)
    rows = weights(15, 40, 10)
    for row, found in zip(rows, drift_tests.cramer_von_mises(values, rows), strict=True):
        split = row > 0
        gaps = [(values[split] <= v).mean() - (values[~split] <= v).mean() for v in values]
        assert found == pytest.approx(np.square(gaps).sum(), abs=1e-5)


def test_p_values_count_the_true_split_and_end_early() -> None:
    """Never 0; splits that tie with the true one count; a statistic that says nothing ends after twenty as extreme."""
    seen = {"large": 0, "nothing": 0}

    def large(rows):
        seen["large"] += len(rows)
        return (rows[:, :3].min(axis=1) > 0).astype(float)

    def nothing(rows):
        seen["nothing"] += len(rows)
        return np.zeros(len(rows))

    found = permutation.p_values({"large": large, "nothing": nothing}, Strata(3, np.zeros(40, dtype=np.intp)), count=1999, seed=0)
    assert 1 / 2000 <= found["large"] <= 0.004  # the three recent ones are the first three in one of 9,880 splits
    assert found["nothing"] == 1.0
    assert seen == {"large": 2000, "nothing": 1 + permutation.CHUNK}


def test_sequential_p_values_are_as_exact_as_whole_ones() -> None:
    """Under exchangeability a p-value <= u has a probability of at most u, early endings included."""
    rng, strata = np.random.default_rng(1), Strata(8, np.zeros(24, dtype=np.intp))
    found = []
    for seed in range(300):
        values = rng.normal(size=24)
        found.append(permutation.p_values({"mean": lambda rows, values=values: rows @ values}, strata, count=499, seed=seed)["mean"])
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(found) <= level) <= level + 3 * np.sqrt(level * (1 - level) / 300)
    assert np.mean(np.array(found) <= 0.2) >= 0.12


def test_holm_by_hand() -> None:
    """Smallest p times 3, next times 2, last times 1, never decreasing, at most 1."""
    adjusted = drift_tests.holm({"a": 0.04, "b": 0.01, "c": 0.9})
    assert adjusted == pytest.approx({"a": 0.08, "b": 0.03, "c": 0.9})
    assert list(adjusted) == ["a", "b", "c"]
    assert drift_tests.holm({"a": 0.5, "b": 0.6})["a"] == 1.0


def test_neighbours_of_known_points() -> None:
    """Distance is the mean cosine distance of the k nearest around the reference's mean; with fewer references than k, of all."""
    reference = np.array([[3, 1], [1, 3], [-1, 1], [1, -1]], dtype=np.float32)  # its mean is (1, 1)
    distances, nearest = neighbours(np.array([[5, 1], [1, 9]], dtype=np.float32), reference, 3)
    assert distances.tolist() == pytest.approx([2 / 3, 2 / 3])  # 0, 1 and 1 of the distances 0, 1, 1, 2
    assert nearest.tolist() == [0, 1]
    assert neighbours(reference[:1], reference, 9)[0].tolist() == pytest.approx([1.0])
