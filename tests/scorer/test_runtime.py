"""The runtime scores as training does, without training's libraries."""

import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from scorer import artifact_checks, runtime
from scorer.artifact import verify
from scorer.errors import ScorerError

TEXTS = ["What is the sum of 1 and 2?", "write a function", "WHO is the law from", "", "é" * 500, "\ud800 lone", "a " * 10_000]


@pytest.fixture(scope="module")
def served(sound: Path) -> runtime.RuntimeScorer:
    """The tiny scorer as served."""
    return runtime.load(sound)


def test_fp32_agrees_with_training(sound: Path, tiny: ModuleType) -> None:
    """Embeddings and scores are those of the torch encoder and head to 1e-4, for odd texts too."""
    found = runtime.load(sound, precision="fp32").score(TEXTS)
    manifest = verify(sound)
    expected_QD = tiny.tiny_encoder().embed(TEXTS)
    np.testing.assert_allclose(found.queries_QD, expected_QD, atol=1e-4)
    logits_QL = artifact_checks.read_weights(sound, manifest).logits(expected_QD)
    np.testing.assert_allclose(found.scores_QL, artifact_checks.read_calibration(sound, manifest).probabilities(logits_QL), atol=1e-4)


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


def test_no_query_is_refused(served: runtime.RuntimeScorer) -> None:
    """Scoring nothing is a caller's mistake."""
    with pytest.raises(ScorerError, match="no query"):
        served.score([])


def test_the_reference_profile_can_be_read(sound: Path) -> None:
    """Its arrays have the documented names and fit the roster."""
    found = runtime.reference(sound)
    assert found["queries_RD"].shape == (60, 32)
    assert found["held_scores_HL"].shape == (40, 3)
    assert (np.diff(found["neighbour_distances_Q"]) >= 0).all()


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
