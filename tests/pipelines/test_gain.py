"""What a retraining says it bought: quality of choices on a group's queries before and after, where they were kept out of training."""

from pathlib import Path

import numpy as np
import pytest

from monitoring.audits.group_actions import Chosen
from monitoring.records.store import RecordStore
from pipelines import dataset, gain
from pipelines.project import Project
from scorer import runtime
from tests.pipelines.served import serve
from tests.pipelines.trained_home import write_dataset
from tests.scorer import world
from tests.scorer.tiny import tiny_artifact


@pytest.fixture
def home(tmp_path: Path) -> tuple[Project, Path, Chosen]:
    """Two scorers, a dataset whose labels say that the new one is right, and a group of queries that were served."""
    project, before = Project(tmp_path), tmp_path / "var" / "scorers" / "1"
    tiny_artifact(before, roster=world.ROSTER, seed=0)
    tiny_artifact(project.scorer, roster=world.ROSTER, seed=1)
    write_dataset(project.dataset, queries=70, newcomer=False)
    data = dataset.load(project.dataset)
    texts = list(data.queries["text"])
    best_Q = runtime.load(project.scorer).score(texts).scores_QL.argmax(axis=1)
    labels = dataset.tables.read(project.dataset / "labels.parquet", dataset.WEIGHTED)
    right = {(data.queries["query_id"].iloc[row], world.ROSTER[best]) for row, best in enumerate(best_Q)}
    labels["score"] = [float((row.query_id, row.llm) in right) for row in labels.itertuples()]
    dataset.tables.write(project.dataset / "labels.parquet", labels, dataset.WEIGHTED)
    serve(project.records, *texts, "Never asked of the pool.")
    return project, before, Chosen("sums", tuple(record.id for record in RecordStore(project.records).scan(0, 2000)))


def test_the_new_scorers_choices_are_compared_with_the_old_ones_on_queries_kept_out(home: tuple[Project, Path, Chosen]) -> None:
    """Only queries of no training split count, and both scorers choose among the labelled LLMs."""
    project, before, group = home
    (found,) = gain.of_groups(project, [group], before)
    data = dataset.load(project.dataset)
    labelled_Q = ~np.isnan(data.labels_QL).all(axis=1)
    assert found.queries == labelled_Q.sum()
    assert found.kept_out == (labelled_Q & ~np.isin(data.splits_Q, ["train", "calibration"])).sum()
    assert found.before is not None
    assert found.after is not None
    assert found.difference is not None
    assert found.after.value > found.before.value
    assert found.difference.value == pytest.approx(found.after.value - found.before.value)
    assert found.difference.low is not None
    assert found.difference.low < found.difference.value
    assert str(found).startswith("sums: quality 0.")
    assert f"on {found.kept_out} queries" in str(found)
    assert found.as_dict()["difference"]["value"] == found.difference.value


def test_what_cannot_be_told_is_said(home: tuple[Project, Path, Chosen]) -> None:
    """Without a scorer before, without a group, and for a group of training queries alone there is no figure."""
    project, before, group = home
    assert gain.of_groups(project, [group], None) == []
    assert gain.of_groups(project, [], before) == []
    data = dataset.load(project.dataset)
    trained = set(data.queries["text"][np.isin(data.splits_Q, ["train"])])
    members = tuple(record.id for record in RecordStore(project.records).scan(0, 2000) if record.text in trained)
    (found,) = gain.of_groups(project, [Chosen("seen", members)], before)
    assert found.before is None
    assert "none kept out of training to tell by" in str(found)
    few = gain.Mean.of(np.array([1.0, 0.0]), 0.0, 1.0)
    assert (few.low, str(few)) == (None, "0.50")
    near = gain.Mean.of(np.array([1.0] * 9 + [0.0]), 0.0, 1.0)
    assert near.low is not None
    assert near.low < near.value < 1.0 == near.high
