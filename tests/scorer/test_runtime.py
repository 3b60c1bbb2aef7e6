"""The runtime scores as training does, without training's libraries."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

from scorer import artifact, runtime
from scorer.errors import ArtifactRefused, ScorerError
from scorer.manifest import ENCODERS, MANIFEST, sha256

TEXTS = ["What is the sum of 1 and 2?", "write a function", "WHO is the law from", "", "é" * 500, "\ud800 lone", "a " * 10_000]


@pytest.fixture(scope="module")
def served(sound: Path) -> runtime.RuntimeScorer:
    """The tiny scorer as served."""
    return runtime.load(sound)


def test_fp32_agrees_with_training(sound: Path, tiny: ModuleType) -> None:
    """Embeddings and scores are those of the torch encoder and head to 1e-4, for odd texts too."""
    found = runtime.load(sound, precision="fp32").score(TEXTS)
    opened = artifact.open(sound)
    expected_QD = tiny.tiny_encoder().embed(TEXTS)
    np.testing.assert_allclose(found.queries_QD, expected_QD, atol=1e-4)
    np.testing.assert_allclose(found.scores_QL, opened.calibration.probabilities(opened.weights.logits(expected_QD)), atol=1e-4)


def test_int8_stays_near_fp32(sound: Path, served: runtime.RuntimeScorer) -> None:
    """Quantised scores are within a few points."""
    apart = np.abs(served.score(TEXTS).scores_QL - runtime.load(sound, precision="fp32").score(TEXTS).scores_QL)
    assert apart.max() < 0.1


def test_scores_are_probabilities_of_unit_queries(served: runtime.RuntimeScorer) -> None:
    """Shapes, ranges and types are those of `Prediction`."""
    found = served.score(TEXTS)
    assert found.scores_QL.shape == (len(TEXTS), 3)
    assert found.scores_QL.dtype == found.queries_QD.dtype == np.float32
    assert ((found.scores_QL >= 0) & (found.scores_QL <= 1)).all()
    np.testing.assert_allclose(np.linalg.norm(found.queries_QD, axis=1), 1.0, atol=1e-4)


def test_a_querys_scores_do_not_depend_on_its_neighbours(sound: Path) -> None:
    """Alone or among others, cached or not: the same bits."""
    together = runtime.load(sound, cache=0).score(TEXTS).scores_QL
    alone = np.concatenate([runtime.load(sound, cache=0).score([text]).scores_QL for text in TEXTS[:3]])
    np.testing.assert_array_equal(together[:3], alone)


def test_a_text_is_embedded_once(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache holds the last texts, forgets the oldest, and gives the same answer."""
    scorer = runtime.load(sound, cache=2)
    asked: list[str] = []
    embed = scorer._encoder.embed
    monkeypatch.setattr(scorer._encoder, "embed", lambda texts: (asked.extend(texts), embed(texts))[1])
    first = scorer.score(["one", "two", "one"])
    np.testing.assert_array_equal(first.scores_QL[0], first.scores_QL[2])
    scorer.score(["three", "one"])
    assert asked == ["one", "two", "three"]  # "three" pushed "two" out: "one" had been asked for since
    scorer.score(["two"])
    assert asked == ["one", "two", "three", "two"]


def test_threads_get_the_same_scores(served: runtime.RuntimeScorer) -> None:
    """Concurrent callers never mix rows."""
    texts = [f"what is {number}" for number in range(30)]
    expected = served.score(texts).scores_QL
    found: dict[int, np.ndarray] = {}
    scorer_threads = [
        threading.Thread(target=lambda place=place: found.__setitem__(place, served.score(texts[place:] + texts[:place]).scores_QL))
        for place in range(6)
    ]
    for thread in scorer_threads:
        thread.start()
    for thread in scorer_threads:
        thread.join()
    for place, scores in found.items():
        np.testing.assert_array_equal(scores, np.roll(expected, -place, axis=0))


SPOILT = {  # of the int8 graph's tensors: what scores then are off by, and what the server says
    "every scale tripled": lambda array: array * 3,
    "a scale that is no number": lambda array: array * np.nan,
}


def spoil(folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Changes the float tensors of an encoder's graph and signs it: sound, but computing something else."""
    graph = onnx.load(str(folder / ENCODERS[name]))
    for tensor in graph.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and tensor.name.endswith("_scale" if name == "int8" else "weight"):
            tensor.CopyFrom(onnx.numpy_helper.from_array(change(array).astype(np.float32), tensor.name))
    onnx.save(graph, str(folder / ENCODERS[name]))
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][ENCODERS[name]] = sha256(folder / ENCODERS[name])
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_a_sound_int8_encoder_is_served(sound: Path, served: runtime.RuntimeScorer) -> None:
    """Its scores of the probes are within the manifest's tolerance, which says where it was measured."""
    assert (served.precision, served.precision_note) == ("int8", "")
    int8 = artifact.verify(sound).int8
    assert int8["difference"] <= int8["tolerance"] <= 0.1
    assert set(int8["machine"]) == {"processor", "instructions", "onnxruntime"}


@pytest.mark.parametrize("how", SPOILT)
def test_wrong_int8_scores_are_not_served(how: str, copied: Path, sound: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where int8 computes something else than at export the fp32 encoder answers, and it is logged."""
    spoil(copied, "int8", SPOILT[how])
    scorer = runtime.load(copied)
    assert scorer.precision == "fp32"
    assert re.search(r"int8 scores are off by .* on .* allowed are .*: served in fp32", scorer.precision_note)
    assert scorer.precision_note in caplog.text
    np.testing.assert_array_equal(scorer.score(TEXTS).scores_QL, runtime.load(sound, precision="fp32").score(TEXTS).scores_QL)


def test_a_scorer_wrong_in_both_precisions_is_refused(copied: Path) -> None:
    """There is nothing right to serve."""
    spoil(copied, "fp32", SPOILT["every scale tripled"])
    with pytest.raises(ArtifactRefused, match="fp32 scores are off by"):
        runtime.load(copied, precision="fp32")
    assert runtime.load(copied).precision == "int8"
    spoil(copied, "int8", SPOILT["every scale tripled"])
    with pytest.raises(ArtifactRefused, match=r"int8 scores are off by .*, and fp32 scores by"):
        runtime.load(copied)


def test_no_query_is_refused(served: runtime.RuntimeScorer) -> None:
    """Scoring nothing is a caller's mistake."""
    with pytest.raises(ScorerError, match="no query"):
        served.score([])


def test_the_reference_profile_can_be_read(sound: Path) -> None:
    """Its arrays have the documented names and fit the roster."""
    reference = artifact.open(sound).reference
    assert reference["queries_RD"].shape == (60, 32)
    assert reference["held_scores_HL"].shape == (40, 3)


def test_no_training_library_is_loaded(sound: Path) -> None:
    """A process that loads and scores holds none of torch, transformers, pandas, sklearn, scipy, onnx, mlflow, evidently."""
    code = f"""
import sys
from pathlib import Path
from scorer import runtime
runtime.load(Path({str(sound)!r})).score(["what is 1 + 2 ?"])
heavy = {{"torch", "transformers", "pandas", "sklearn", "scipy", "onnx", "mlflow", "evidently"}} & set(sys.modules)
sys.exit(", ".join(sorted(heavy)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
