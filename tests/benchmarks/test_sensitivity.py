"""What the sensitivity tables change, and only that."""

import numpy as np
import pytest

from benchmarks import sensitivity
from benchmarks.recorded import Outcomes
from pipelines.dataset import Dataset, RosterLLM
from scorer.training import Embedded, Plan
from tests.scorer import world


@pytest.fixture(scope="module")
def known() -> Outcomes:
    """Half of the world of four kinds is for training, the rest for the test split."""
    import pandas as pd

    made = world.world(600, seed=5)
    roster = tuple(RosterLLM(name, name, "active", 0.0, 0.0) for name in world.ROSTER)
    unknown_QL = np.full(made.labels_QL.shape, np.nan)
    splits_Q = np.array(["train", "validation", "test"])[np.arange(600) % 3]
    queries = pd.DataFrame({"query_id": [str(place) for place in range(600)], "text": made.texts})
    return Outcomes(Dataset(queries, roster, made.labels_QL, unknown_QL, unknown_QL, unknown_QL, splits_Q), made.queries_QD)


def test_labels_are_turned_over_by_the_share_asked() -> None:
    """A fifth of them, nothing where nothing is known."""
    labels_QL = np.random.default_rng(0).integers(2, size=(2000, 3)).astype(float)
    labels_QL[:, 2] = np.nan
    turned_QL = sensitivity.turned_over(Embedded(np.zeros((2000, 2), np.float32), labels_QL), 0.2, 0).labels_QL
    assert (turned_QL[:, :2] != labels_QL[:, :2]).mean() == pytest.approx(0.2, abs=0.02)
    assert np.isnan(turned_QL[:, 2]).all()


def test_a_value_changes_where_it_belongs() -> None:
    """Those of the start in its shrinkage, the others in the plan."""
    plan = sensitivity.changed(Plan(), groups=3, epochs=0)
    assert (plan.shrinkage.groups, plan.epochs) == (3, 0)
    assert sensitivity.changed(plan, groups=16, epochs=60) == Plan()


def test_every_row_stands_beside_the_default(known: Outcomes) -> None:
    """Turning half of the labels over ruins the scorer; the default row is what it is compared with."""
    plan = Plan(epochs=1, far_share=0.0)
    default_QL = sensitivity.scored(known, sensitivity.Change("default", plan), 2)
    rows = [sensitivity.Change("default", plan), sensitivity.Change("half turned over", plan, noise=0.5)]
    *_, usual, ruined = sensitivity.table(known, rows, default_QL, 2)
    qualities = [float(line.split("|")[2]) for line in (usual, ruined)]
    assert qualities[0] > 0.8 > qualities[1] + 0.1


def test_a_ranking_by_lot_is_random(known: Outcomes) -> None:
    """All queries by lot: the mean label; none: the quality of the scores."""
    lines = sensitivity.by_ranking(known, known.labels_QL.astype(np.float32))
    first = {line.split("|")[1].strip(): float(line.split("|")[2]) for line in lines[2:]}
    assert first["0% of queries ranked by lot"] == pytest.approx(known.labels_QL.max(axis=1).mean(), abs=1e-3)
    assert first["100% of queries ranked by lot"] == pytest.approx(known.labels_QL.mean(), abs=0.06)


def test_the_search_logs_every_trial(known: Outcomes) -> None:
    """The default and each trial become a run; the test split is read for two plans."""

    class Kept:
        def __init__(self):
            self.runs = []

        def record_run(self, **run):
            self.runs.append(run)

    parts = {name: known.take(name) for name in ("train", "validation", "test")}
    kept = Kept()
    lines = sensitivity.tuned(parts, Plan(epochs=1, far_share=0.0), 2, kept)
    assert len(kept.runs) == 3
    assert [step.name for step in kept.runs[0]["metrics"]] == ["validation_loss", "validation_quality", "best_epoch"]
    assert sum(line.startswith(("| default", "| best")) for line in lines) == 2
