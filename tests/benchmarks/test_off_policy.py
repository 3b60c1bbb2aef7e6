"""The benchmark of off-policy values tells what is true of a set whose every outcome is known."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import off_policy
from benchmarks.monitor import World
from benchmarks.off_policy import Log, Traffic
from pipelines.dataset import Dataset, RosterLLM


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    """900 queries of three tasks, each a cluster; three LLMs of different strength, the best of which is dear."""
    rng = np.random.default_rng(0)
    task_Q = np.arange(900) % 3
    queries_QD = rng.normal(size=(3, 24))[task_Q] + 0.5 * rng.normal(size=(900, 24))
    queries_QD /= np.linalg.norm(queries_QD, axis=1, keepdims=True)
    chance_QL = np.array([[0.8, 0.6, 0.7], [0.7, 0.75, 0.6], [0.5, 0.55, 0.6]])[task_Q]
    labels_QL = (rng.random((900, 3)) < chance_QL).astype(float)
    queries = pd.DataFrame({"query_id": map(str, range(900)), "text": "", "dataset": [f"task {task}" for task in task_Q]})
    roster = tuple(RosterLLM(name, name, "active", 1.0, 1.0) for name in ("a", "b", "c"))
    cost_QL = np.tile([4e-4, 1e-4, 2e-4], (900, 1)) * rng.uniform(0.5, 1.5, size=(900, 1))
    none_QL = np.full(labels_QL.shape, np.nan)
    data = Dataset(queries, roster, labels_QL, cost_QL, none_QL, np.array(["train"] * 900))
    return Traffic.of(World(data, queries_QD.astype(np.float32), 0), cost_QL, np.zeros_like(cost_QL), delta=1.0)


def test_chance_asks_as_often_as_is_said(traffic: Traffic) -> None:
    """Propensities sum to 1, and draws follow them."""
    assert traffic.propensity_QL.sum(axis=1) == pytest.approx(1)
    log = Log.of(traffic, 1.0, 20_000, np.random.default_rng(1))
    usual = (log.asked_N == traffic.usual_Q[log.query_N]).mean()
    assert usual == pytest.approx(0.9 + 0.1 / 3, abs=0.006)


def test_values_are_told_and_without_chance_refused(traffic: Traffic) -> None:
    """Over 60 logs of two thousand requests, all outcomes known, and with a forecast that says the opposite; nothing without draws."""
    for forecast_QL in (traffic.scores_QL, 1 - traffic.scores_QL):
        figures = [
            off_policy.estimated(Log.of(traffic, 1.0, 2_000, np.random.default_rng(seed)), "another pool", forecast_QL)
            for seed in range(60)
        ]
        told = [each for each in figures if not each["refused"]]
        assert len(told) > 50
        assert np.mean([each["covered"] for each in told]) > 0.85
        assert abs(np.mean([each["bias"] for each in told])) < 0.03
        assert np.mean([each["money covered"] for each in told]) > 0.85
    silent = off_policy.estimated(Log.of(traffic.without_chance(), 1.0, 2_000, np.random.default_rng(0)), "another pool", traffic.scores_QL)
    assert silent["refused"] == 1.0
