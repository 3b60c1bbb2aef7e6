"""Learning between retrainings on streams of a made-up pool: more than the frozen scorer after a change, next to nothing lost without."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import online
from benchmarks.online_policies import POLICIES, Bandit, frozen, oracle
from benchmarks.online_world import Scenario, Stream, stream
from benchmarks.rivals.bandits import Context, LinUCB, complexity
from pipelines.dataset import Dataset, RosterLLM
from scorer.weights import sigmoid, unit

KINDS, D = 4, 24


@pytest.fixture(scope="module")
def recorded() -> tuple[Dataset, np.ndarray, np.ndarray]:
    """1,200 queries of four kinds, four LLMs, of which each is best at one kind and good at all; costs differ."""
    random = np.random.default_rng(0)
    kind_Q = random.integers(0, KINDS, 1_200)
    queries_QD = unit(np.eye(KINDS, D)[kind_Q] + 0.15 * random.normal(size=(1_200, D)))
    chance_QL = sigmoid(0.6 + 0.8 * np.eye(KINDS)[kind_Q] + 0.1 * np.arange(KINDS))
    labels_QL = (random.random(chance_QL.shape) < chance_QL).astype(np.float64)
    cost_QL = np.tile(np.array([1.0, 2.0, 3.0, 4.0]) / 1e3, (1_200, 1))
    queries = pd.DataFrame({"query_id": map(str, range(1_200)), "text": [f"Query {at}. It asks." for at in range(1_200)]})
    queries["dataset"] = [f"kind {kind}" for kind in kind_Q]
    llms = tuple(RosterLLM(name, name, "active", 1.0, 1.0) for name in "abcd")
    unknown_QL = np.full(labels_QL.shape, np.nan)
    return Dataset(queries, llms, labels_QL, cost_QL, unknown_QL, np.full(1_200, "train")), queries_QD, cost_QL


def made(recorded: tuple[Dataset, np.ndarray, np.ndarray], scenario: Scenario, seed: int = 0) -> Stream:
    """A stream of 1,800 requests."""
    return stream(*recorded, scenario, seed, requests=1_800)


def gained(one: Stream, policy: Bandit, *, seen: float = 1.0) -> np.ndarray:
    """Utility over the frozen scorer's, request by request."""
    at, random = np.arange(len(one.usd_TL)), np.random.default_rng(1)
    chosen_T = policy(one, random.random(len(at)) < seen, np.random.default_rng(2))
    return one.utility_TL[at, chosen_T] - one.utility_TL[at, frozen(one, at < 0, random)]


@pytest.mark.parametrize("seen", [1.0, 0.1])
def test_a_degraded_llm_is_left_and_regret_grows_slower_than_the_frozen_scorers(recorded, seen: float) -> None:
    """With every outcome and with one in ten; what is gained on the frozen scorer's regret grows block by block."""
    gained_T = gained(made(recorded, "degrades"), Bandit(), seen=seen)[600:]
    assert gained_T.mean() > 0.02
    blocks = gained_T.cumsum()[299::300]
    assert (np.diff(blocks) > -6.0).all()  # .02 a request
    assert blocks[-1] > blocks[0]


def test_nothing_changed_costs_next_to_nothing(recorded) -> None:
    """Over three streams."""
    assert np.mean([gained(made(recorded, "nothing", seed), Bandit()).mean() for seed in range(3)]) > -0.01


def test_one_who_joins_is_not_there_before(recorded) -> None:
    """Nobody chooses it, and its row is from few labels."""
    one = made(recorded, "joins")
    absent = ~np.isfinite(one.scores_TL[:600])
    assert absent.sum(axis=0).tolist().count(600) == 1
    assert min(one.labels_L) == 30
    nothing_seen = np.zeros(1_800, dtype=bool)
    for policy in POLICIES.values():
        chosen_T = policy(one, nothing_seen, np.random.default_rng(0))
        assert np.isfinite(one.scores_TL[np.arange(1_800), chosen_T]).all()


def test_another_mix_is_of_a_domain_that_nobody_trained_on(recorded) -> None:
    """None of it before the change, most of it after."""
    one = made(recorded, "mix")
    (unknown,) = set(one.domains_T) - set(one.training[2])
    assert not (one.domains_T[:600] == unknown).any()
    assert (one.domains_T[600:] == unknown).mean() == pytest.approx(0.7, abs=0.05)


def test_figures_are_over_replays_and_the_oracle_has_no_regret(recorded) -> None:
    """Regret is to who knows every outcome; an interval needs several replays."""
    one = made(recorded, "nothing")
    frozen_T = frozen(one, np.zeros(0, dtype=bool), np.random.default_rng(0))
    best = online.Replayed.of(one, oracle(one, np.zeros(0, dtype=bool), np.random.default_rng(0)), frozen_T)
    usual = online.Replayed.of(one, frozen_T, frozen_T)
    assert best.regret == 0.0
    assert (usual.gained, usual.gained_before) == (0.0, 0.0)
    assert best.gained == pytest.approx(usual.regret)
    interval = online.over_replays([0.1, 0.2, 0.3])
    assert (interval.low < 0.2 < interval.high, interval.mean) == (True, pytest.approx(0.2))


def test_the_first_table_has_a_row_a_policy_and_a_column_for_all_that_happens() -> None:
    """What was not run is empty; who is compared with has no row."""
    gained = {"gained": [0.01, -0.002, 0.02]}
    results = {
        "set/0.05/degrades/ours": gained,
        "set/0.05/degrades/oracle": gained,
        "set/0.05/degrades/frozen scorer": gained,
        "cpu_s": 1.0,
    }
    *_, row = online.headline(results).splitlines()
    assert row == "| set | 5% | ours |  | +0.010 [-0.002, 0.020] |  |  |"
    assert online.headline(results).count("\n") == 2


def test_rivals_learn_by_their_own_rules() -> None:
    """LinUCB's estimate is the ridge's closed form, its context one-hots, complexity within 0 and 100."""
    random = np.random.default_rng(0)
    bandit, features_NF, rewards_N = LinUCB(2, 3), random.normal(size=(40, 3)), random.random(40)
    for context_F, reward in zip(features_NF, rewards_N, strict=True):
        bandit.note(1, context_F, float(reward))
    closed_F = np.linalg.solve(features_NF.T @ features_NF + 0.05 * np.eye(3), features_NF.T @ rewards_N)
    np.testing.assert_allclose(bandit.linear.expected_L(np.eye(3)[0]), [0.0, closed_F[0]], atol=1e-8)
    context = Context(["a", "b"])
    vector = context("b", np.ones(4, dtype=np.float32), "One. Two.")
    assert vector.sum() == 3.0
    assert vector[:2].tolist() == [0.0, 1.0]
    assert 0 <= complexity("") <= 100
