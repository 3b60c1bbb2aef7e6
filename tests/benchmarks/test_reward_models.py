"""Labels of other graders: who agrees with whom, a reward model that learns, and what a scorer makes of bad labels."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import reward_models
from benchmarks.recorded import Outcomes
from benchmarks.replay import Question, Said
from benchmarks.sensitivity import Change
from pipelines import packages
from scorer.training import Plan
from tests.benchmarks.test_sensitivity import known  # noqa: F401  a fixture
from tests.pipelines.test_reward_model import made


def question(**said: str) -> Question:
    return Question(
        "What is 6 x 7?", {llm: Said(text, 5, 0.0) for llm, text in said.items()}, {llm: float("42" in said[llm]) for llm in said}
    )


def test_consensus_is_the_share_of_the_others_that_say_the_same() -> None:
    labels_QL = reward_models.consensus(
        [question(a="Answer: 42", b="Answer: 42", c="Answer: 7"), question(a="no final answer", b="no final answer")], ["a", "b", "c"]
    )
    np.testing.assert_array_equal(labels_QL, [[0.5, 0.5, 0.0], [0.0, 0.0, np.nan]])


def test_agreement_within_a_query_sees_more_than_easy_and_hard() -> None:
    """A grader that knows only which queries are easy orders all answers well and those of one query not at all."""
    easy = np.tile([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]], (20, 1))
    labels_QL = np.repeat(easy.mean(axis=1), 3).reshape(-1, 3)
    found = reward_models.agreement(labels_QL, easy)
    assert found["AUROC"].mean > 0.6
    assert found["within a query"].mean == pytest.approx(0.5)
    assert reward_models.agreement(easy, easy)["within a query"].mean == 1.0


def test_a_reward_model_learns_and_the_pipelines_grader_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right answers hold a word that wrong ones do not; the rest of the encoder keeps its weights."""
    base = tmp_path / "base"
    made(base)
    monkeypatch.setattr(packages, "encoder_folder", lambda name: base)
    monkeypatch.setattr(reward_models, "TUNED", ("",))
    monkeypatch.setattr(reward_models, "EPOCHS", 20)
    questions = [Question("who", {"a": Said("list", 5, 0.0), "b": Said("code", 5, 0.0)}, {"a": 1.0, "b": 0.0})] * 20
    known_ = reward_models.told(questions)
    assert len(known_.pairs) == 40
    folder = reward_models.trained(known_, tmp_path / "model")
    labels_QL = reward_models.rewarded(folder, questions[:2], ["a", "b", "c"])
    assert (labels_QL[:, 0] > labels_QL[:, 1] + 0.2).all()
    assert np.isnan(labels_QL[:, 2]).all()
    assert (folder / "scores.jsonl").is_file()


def test_a_scorer_on_turned_labels_is_found_out(known: Outcomes) -> None:  # noqa: F811
    """Trained on wrong labels it is judged by the true ones."""
    plan = Change("", Plan(epochs=1, far_share=0.0))
    seen, test = known.take("train", "validation"), known.take("test")
    quality_Q, right = reward_models.judged(seen, seen.labels_QL, test, plan)
    turned_Q, wrong = reward_models.judged(seen, 1 - seen.labels_QL, test, plan)
    assert np.nanmean(quality_Q) > np.nanmean(turned_Q) + 0.2
    assert right["ECE"] < wrong["ECE"]
