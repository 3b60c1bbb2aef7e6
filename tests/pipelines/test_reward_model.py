"""The reward-model grader on a real classifier of random weights: scores in [0, 1], a version that follows the weights, no pickles."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from pipelines import label, tables
from pipelines.errors import GraderFailed
from pipelines.graders import reward_model
from pipelines.graders.query import Query
from tests.pipelines.test_label import HERE, LLM_A, answers, queries
from tests.scorer import tiny

PAIRS = [("what is the sum of 1 2", "3"), ("write a function", "code that returns the list " * 12), ("who", "ben")]


def made(folder: Path, *, seed: int = 0, labels: int = 1, template: str | None = None, pickled: bool = False) -> str:
    """A random classifier in `folder`, saved by the real library."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tiny.tiny_encoder().tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    tokenizer.model_max_length, tokenizer.chat_template = 48, template
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(tokenizer), max_position_embeddings=64, num_labels=labels, initializer_range=0.5, pad_token_id=0, **sizes
        )
        model = BertForSequenceClassification(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if pickled:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    return str(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return made(tmp_path_factory.mktemp("reward"))


def test_a_logit_becomes_a_score_in_its_place(folder: str) -> None:
    """Scores are the sigmoid of the model's own logit of the pair, whatever the batch, in the order asked; what is cut is counted."""
    loaded = reward_model.load(folder)
    scores = loaded.score(PAIRS)
    assert loaded.cut == 1
    for pair, score in zip(PAIRS, scores, strict=True):
        asked = loaded.tokenizer(*pair, truncation=True, max_length=48, return_tensors="pt")
        with torch.inference_mode():
            logit = float(loaded.model(**asked).logits[0, 0])
        assert score == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-5)
    assert loaded.score(PAIRS[::-1]) == pytest.approx(scores[::-1], abs=1e-6)


def test_two_classes_score_by_the_second(tmp_path: Path) -> None:
    """With two classes the score is the probability of the second."""
    loaded = reward_model.load(made(tmp_path, labels=2))
    asked = loaded.tokenizer(*PAIRS[0], return_tensors="pt")
    with torch.inference_mode():
        expected = float(loaded.model(**asked).logits.softmax(dim=1)[0, 1])
    assert loaded.score(PAIRS[:1]) == pytest.approx([expected], abs=1e-5)


def test_a_chat_template_is_used(tmp_path: Path) -> None:
    """A model trained on chats sees query and answer as its template writes them, and keeps the answer's end where it cuts."""
    loaded = reward_model.load(made(tmp_path, template="{% for m in messages %}{{ m.content }} [SEP] {% endfor %}"))
    first, second = loaded.score([("who", "ben"), ("what " * 90, "ben")])
    assert loaded.cut == 1
    assert 0 < first < 1
    assert 0 < second < 1
    ids = loaded._batch([("what " * 90, "ben")])[0]["input_ids"][0].tolist()
    assert loaded.tokenizer.decode(ids).replace(" ", "").endswith("ben[SEP]")


def test_other_weights_are_another_version(folder: str, tmp_path: Path) -> None:
    """The version is of the content: the same model saved elsewhere has the same one, other weights another."""
    same, other = made(tmp_path / "same"), made(tmp_path / "other", seed=1)
    assert reward_model.load(folder).version == reward_model.load(same).version != reward_model.load(other).version


def test_pickles_and_other_outputs_are_refused(tmp_path: Path) -> None:
    """Weights that only come pickled are not loaded; nor is a classifier of three classes, nor a folder without a model."""
    with pytest.raises(GraderFailed, match=r"safetensors"):
        reward_model.load(made(tmp_path / "pickled", pickled=True))
    with pytest.raises(GraderFailed, match="3 outputs"):
        reward_model.load(made(tmp_path / "three", labels=3))
    with pytest.raises(GraderFailed, match=r"label\.reward_model"):
        reward_model.load(str(tmp_path))


def test_an_encoder_without_a_head_is_refused(tmp_path: Path) -> None:
    """A model whose classifier is not in the file would score at random: it is refused."""
    tiny.tiny_encoder().backbone.save_pretrained(tmp_path)
    made(tmp_path / "whole")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((tmp_path / "whole" / name).read_bytes())
    with pytest.raises(GraderFailed, match=r"no weights for .*classifier"):
        reward_model.load(str(tmp_path))


def test_open_questions_are_labelled_and_computed_once(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open questions are labelled under the model's version, verifiable ones by their grader; a second run computes nothing."""
    monkeypatch.chdir(tmp_path)
    table = queries(("q1", "judge", ""), ("q2", "reward_model", ""), ("q3", "number", "5"))
    tables.write(tmp_path / f"build/answers/{LLM_A.id}.parquet", answers(LLM_A.id, {"q1": "a", "q2": "b", "q3": "5"}), tables.ANSWERS)
    loaded = reward_model.load(folder)
    first = label.label(HERE, LLM_A, table, timeout_s=5, rewarding=loaded)
    assert first["grader"].tolist() == ["reward_model", "reward_model", "number"]
    assert set(first["grader_version"][:2]) == {loaded.version}
    monkeypatch.setattr(loaded, "scores", lambda pairs: [] if not pairs else pytest.fail(f"computed again: {pairs}"))
    pd.testing.assert_frame_equal(first, label.label(HERE, LLM_A, table, timeout_s=5, rewarding=loaded))


def test_an_output_that_is_no_number_is_no_label(folder: str, tmp_path: Path) -> None:
    """A model that gives not-a-number leaves the answer unlabelled."""
    loaded = reward_model.load(folder)
    with torch.no_grad():
        loaded.model.classifier.weight.fill_(float("nan"))
    (graded,) = reward_model.grade(loaded, [(Query("q", "who", "judge"), "ben")], tmp_path / "kept.jsonl").graded
    assert graded.score is None
    assert "not a number" in graded.failure
