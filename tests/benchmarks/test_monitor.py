"""What the monitor's benchmark feeds it is what it says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import monitor
from monitoring.drift import policy
from pipelines.dataset import Dataset, RosterLLM

RULES = policy.load(Path(__file__).parents[2] / "params.yaml").model_copy(update={"window": 35})


@pytest.fixture
def recorded() -> tuple[Dataset, np.ndarray]:
    """600 queries of four tasks, each a cluster of unit vectors; one LLM is right on half of the tasks, the other on the rest."""
    rng = np.random.default_rng(0)
    task_Q = np.arange(600) % 4
    queries_QD = rng.normal(size=(4, 32))[task_Q] + 0.5 * rng.normal(size=(600, 32))
    queries_QD /= np.linalg.norm(queries_QD, axis=1, keepdims=True)
    chance_QL = np.where(task_Q[:, None] < 2, [0.9, 0.3], [0.2, 0.8])
    labels_QL = (rng.random((600, 2)) < chance_QL).astype(float)
    queries = pd.DataFrame({"query_id": map(str, range(600)), "text": "", "dataset": [f"task {task}" for task in task_Q]})
    roster = tuple(RosterLLM(name, name, "active", 1.0, 1.0) for name in ("a", "b"))
    none_QL = np.full(labels_QL.shape, np.nan)
    return Dataset(queries, roster, labels_QL, none_QL, none_QL, np.array(["train"] * 600)), queries_QD.astype(np.float32)


def test_usual_traffic_is_kept_and_an_unknown_task_is_found(recorded) -> None:
    """Through `decide` as shipped: nothing in the usual mix, another mix and repetitions; half of an unknown task in every window."""
    for draw in (monitor.same, monitor.mixed_otherwise, monitor.repeated):
        kinds = [monitor.worst_kind(world := monitor.World(*recorded, seed), draw(world, 35), RULES) for seed in range(4)]
        assert kinds.count("keep") >= 3
    strange = [monitor.World(*recorded, seed, unknown=("task 3",)) for seed in range(4)]
    assert all(monitor.worst_kind(world, monitor.strange(0.5)(world, 35), RULES) in {"watch", "retrain"} for world in strange)


def test_planted_gaps_are_found_and_kept_promises_are_not(recorded) -> None:
    """By 10,000 requests, 300 of them audited."""
    found = monitor.audits(*recorded, 4, RULES, gap=0.4, share=0.25, half=True)
    assert found["10000 requests"] == 1.0
    assert monitor.audits(*recorded, 8, RULES, gap=0.0, share=0.25, half=True)["10000 requests"] <= 0.25


def test_the_estimate_is_without_bias_and_covers(recorded) -> None:
    """60 audits of 500 answers, 60 times."""
    found = monitor.estimate(*recorded, 60, RULES, monitor.Auditing())
    assert abs(found["bias"]) < 0.02
    assert found["coverage"] >= 0.85
