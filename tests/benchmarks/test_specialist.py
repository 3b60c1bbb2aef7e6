"""A planted specialist: what it brings by which queries it is asked, and what the tables say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import report, specialist
from benchmarks.specialist import GUARDED, ROUNDS, World
from pipelines import params
from pipelines.dataset import Dataset, RosterLLM
from scorer.types import Floats
from tests.scorer import world

SETTINGS = params.load(Path("params.yaml")).train.model_copy(update={"groups": 4, "dims": 16})


def recorded(queries: int = 1500) -> tuple[Dataset, Floats]:
    """The world of the scorer's tests as a recorded set, and its embeddings."""
    made = world.world(queries, seed=3)
    kinds = [f"kind {kind}" for kind in made.kinds_Q]
    table = pd.DataFrame({"query_id": [f"q{place:04}" for place in range(queries)], "text": made.texts, "dataset": kinds})
    unknown_QL = np.full(made.labels_QL.shape, np.nan)
    splits_Q = np.array(["train", "train", "train", "calibration", "validation", "test", "test"])[np.arange(queries) % 7]
    roster = tuple(RosterLLM(llm, llm, "active", 0.0, 0.0) for llm in world.ROSTER)
    return Dataset(table, roster, made.labels_QL, unknown_QL, unknown_QL, splits_Q), made.queries_QD


def test_a_kind_is_thinned_to_its_share() -> None:
    """Two in a hundred of the training and of the test queries are left of it, all of the others."""
    made = World.of(*recorded())
    thin = made.thinned("kind 1")
    for before_Q, after_Q in ((made.trains_Q, thin.trains_Q), (made.tests_Q, thin.tests_Q)):
        inside_Q = made.kinds_Q == "kind 1"
        assert (after_Q & inside_Q).sum() == int(specialist.SHARE * before_Q.sum())
        np.testing.assert_array_equal(after_Q & ~inside_Q, before_Q & ~inside_Q)


def test_a_specialist_is_good_at_its_kind_alone() -> None:
    """Right on nine in ten of its kind; elsewhere worse than the best single LLM."""
    made = World.of(*recorded())
    labels_Q, inside_Q = made.planted("kind 1", [0, 1, 2]), made.kinds_Q == "kind 1"
    assert labels_Q[inside_Q].mean() == pytest.approx(specialist.RIGHT, abs=0.05)
    assert labels_Q[~inside_Q].mean() < np.nanmean(made.labels_QL[~inside_Q], axis=0).max()


def test_every_way_to_ask_gives_a_gain_on_every_test_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked where it may lead it gains on its kind, and what the guard leaves loses nothing surely on all queries."""
    monkeypatch.setattr(report, "RESAMPLES", 100)
    made = World.of(*recorded())
    others = [0, 1]  # without the LLM that is best at kind 2
    gains = made.joins(others, made.labels_QL[:, 2], SETTINGS)
    assert set(gains) == {*specialist.WAYS, specialist.ALWAYS}
    assert all(len(gain_Q) == made.tests_Q.sum() for gain_Q in gains.values())
    best_Q = np.argmax(world.RATES_KL, axis=1)[[int(kind[-1]) for kind in made.kinds_Q[made.tests_Q]]] == 2
    assert gains[ROUNDS][best_Q].mean() > 0.1
    assert report.interval(gains[GUARDED]).high > 0


def test_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each planted kind and each recorded LLM has its row, and each summary its interval."""
    monkeypatch.setattr(report, "RESAMPLES", 50)
    text = specialist.run(*recorded(900), tmp_path, tmp_path / "out")
    assert [f"| kind {kind} |" in text for kind in range(4)] == [True] * 4
    assert all(f"| {llm} |" in text for llm in world.ROSTER)
    assert "planted, its kind" in (tmp_path / "out" / "table.md").read_text()
