"""Fine-tuning moves what it may move, keeps the best epoch, and scores by its own vectors."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import finetuning, outcomes, systems
from benchmarks.outcomes import Recorded
from scorer.training import Plan
from tests.benchmarks.test_scorer import write
from tests.scorer.tiny import tiny_encoder


def test_the_best_epoch_of_encoder_and_head_is_kept(tmp_path: Path) -> None:
    """The encoder that came in is untouched; the tuned one's vectors differ, and validation is no worse than at the start."""
    write(tmp_path, queries=600)
    parts = systems.split(outcomes.read(Recorded(tmp_path)))
    encoder = tiny_encoder()
    before = {name: weight.clone() for name, weight in encoder.state_dict().items()}
    vectors = {name: encoder.embed(part.queries["text"].tolist()) for name, part in parts.items()}
    plan = Plan(far_share=0.01)
    start = finetuning.tuned(encoder, parts, vectors, plan, finetuning.Way(1, 3e-3, 0))
    moved = finetuning.tuned(encoder, parts, vectors, plan, finetuning.Way(1, 1e-3, 3))
    assert all((weight == before[name]).all() for name, weight in encoder.state_dict().items())
    np.testing.assert_allclose(start.vectors["test"], vectors["test"], atol=1e-5)
    assert start.epoch == 0
    assert moved.epoch > 0
    assert moved.validation < start.validation
    assert np.abs(moved.vectors["test"] - vectors["test"]).max() > 1e-3
    assert moved.weights.fallback is not None
    lines, found = finetuning.test_table([(finetuning.frozen(parts, vectors, plan), moved)], parts)
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| frozen", "| fine-tuned", "| mean of both"]
    frozen, moved_one = found[finetuning.FROZEN], found[finetuning.TUNED]
    assert moved_one["gain"][0] == pytest.approx(moved_one["quality"][0] - frozen["quality"][0])


def test_the_free_parameters_are_those_of_the_last_layers() -> None:
    """One of two layers: all else is frozen."""
    encoder = tiny_encoder()
    free = {id(weight) for weight in finetuning.free(encoder, 1)}
    named = {name: weight.requires_grad for name, weight in encoder.named_parameters()}
    assert {name for name, moves in named.items() if moves} == {name for name in named if "encoder.layer.1." in name}
    assert free == {id(weight) for name, weight in encoder.named_parameters() if "encoder.layer.1." in name}
    for wrong in (0, 3):
        with pytest.raises(SystemExit, match=f"--layers {wrong}: BertModel has 2 layers"):
            finetuning.free(encoder, wrong)
