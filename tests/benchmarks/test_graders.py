"""Graders held against people: figures of known answers, rows read from the files as they are."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import graders, human_scored
from pipelines.graders.judge import Verdicts

HEADER = "objective,assistant_response,human_score_1,human_score_2,data_type\n"


@pytest.fixture
def rows(tmp_path: Path) -> list[human_scored.Scored]:
    for name in human_scored.FOLDERS:
        (tmp_path / name).mkdir()
    text = (
        "# dataset_version=1.0,,\n# a remark\n" + HEADER + 'Do it,"Sure,\n# not a remark",1,0.5,text\nDo it,No,0,,text\nDo it,No,0,,text\n'
    )
    (tmp_path / "objective" / "one.csv").write_text(text + ",no question,1,,text\nA picture,p.png,1,,image_path\n", encoding="utf-8")
    (tmp_path / "refusal_scorer" / "two.csv").write_text(HEADER + "Do it,Sorry,1,,text\n", encoding="utf-8")
    return human_scored.read(tmp_path)


def test_rows_are_read_once_with_all_their_people(rows: list[human_scored.Scored]) -> None:
    """Remarks at the top are skipped, repeats and rows without a text left out; to decline is the opposite of what was asked."""
    assert [(row.category, row.answer, row.people) for row in rows] == [
        ("objective", "Sure,\n# not a remark", (1.0, 0.5)),
        ("objective", "No", (0.0,)),
        ("refusal", "Sorry", (0.0,)),
    ]
    assert rows[0].human == 0.75
    assert len(human_scored.sample(rows, "objective", 1, 100)) == 1
    assert [row.answer for row in human_scored.sample(rows, "objective", None, 8)] == ["No"]


def test_figures_of_a_known_grader() -> None:
    """Four of five agree, one has no score: agreement, kappa and AUROC by hand."""
    said, people = [0.9, 0.8, 0.6, 0.1, 0.2, math.nan], [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    found = graders.figures(graders.Row("objective", "g", np.array(said), np.array(people)))
    assert (found["answers"], found["without a score"]) == (6, 1)
    assert found["agreement"].mean == pytest.approx(0.8)
    expected = 0.6 * 0.4 + 0.4 * 0.6
    assert found["kappa"].mean == pytest.approx((0.8 - expected) / (1 - expected))
    assert found["AUROC"].mean == pytest.approx(1.0)
    assert found["weight"] == pytest.approx(found["kappa"].mean ** 2)
    assert found["agreement"].low < 0.8 < found["agreement"].high


def test_a_verdict_that_never_changes_knows_nothing(rows: list[human_scored.Scored]) -> None:
    """The constant baseline has kappa 0 and AUROC .5, and no weight in training."""
    found = {row.grader: graders.figures(row) for row in graders.baselines([row for row in rows if row.category == "objective"])}
    constant = found["constant (people's usual verdict)"]
    assert (constant["kappa"].mean, constant["AUROC"].mean, constant["weight"]) == (0.0, 0.5, 0.0)
    assert found["one person against the mean of the others"]["answers"] == 1


def test_a_label_needs_both_verdicts() -> None:
    """The label is the mean of both; where one has no score there is none, and none is made up."""
    assert Verdicts(1.0, 0.5).score == 0.75
    assert Verdicts(1.0, 0.5).apart == 0.5
    assert Verdicts(1.0, None).score is None
