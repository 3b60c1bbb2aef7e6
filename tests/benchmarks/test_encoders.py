"""Encoders beside each other: what is measured of each, and what is said of one that cannot be had."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import encoders, report
from benchmarks.encoders import Vectors
from pipelines import params
from scorer.text_features import NAMES
from tests.benchmarks.test_specialist import recorded


def test_each_encoder_has_its_quality_its_gain_and_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that knows the kinds of queries beats one that knows nothing, as trained and as served; cross-validation chooses it."""
    monkeypatch.setattr(report, "RESAMPLES", 100)
    data, knowing_QD = recorded(700)
    noise_QD = np.random.default_rng(0).normal(size=(700, 8)).astype(np.float32)
    test_Q = data.splits_Q == "test"

    def vectors_of(encoder: SimpleNamespace, *_: object) -> Vectors:
        vectors_QD = np.pad(encoder.queries_QD, ((0, 0), (0, len(NAMES))))
        return Vectors(vectors_QD, vectors_QD[test_Q])

    monkeypatch.setattr(encoders, "vectors_of", vectors_of)
    named = {name: SimpleNamespace(queries_QD=each, dims=each.shape[1]) for name, each in (("noise", noise_QD), ("knowing", knowing_QD))}
    settings = params.load(Path("params.yaml")).train.model_copy(update={"epochs": 2})
    found = encoders.measured(data, named, settings, Path())  # type: ignore[arg-type]
    assert found["chosen"] == "knowing"
    for precision in encoders.PRECISIONS:
        (quality, gain) = found["quality"]["knowing"]["in"][precision]
        assert quality[0] > 0.7
        assert gain[1] > 0
    text = "\n\n".join(encoders.table({"noise": 1.0, "elsewhere": 2.0, "knowing": 3.0}, {"elsewhere": "out of reach"}, {"a set": found}))
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert rows["elsewhere (not to be had here; its shape at random)"][1:3] == ["2.0", ""]
    assert rows["a set"][1] == "knowing"
