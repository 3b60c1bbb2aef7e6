"""Features of a text, in numbers that follow its embedding."""

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from scorer import artifact, runtime, text_features
from scorer.errors import ArtifactRefused
from scorer.manifest import MANIFEST


def of(text: str) -> dict[str, float]:
    return dict(zip(text_features.NAMES, text_features.counted(text).tolist(), strict=True))


def test_what_is_counted() -> None:
    seen = of("Which?\nA. 12\nB) x = $y$\n(C) def f")
    assert seen["question marks"] == pytest.approx(np.log(2))
    assert seen["choices"] == pytest.approx(np.log(4))
    assert seen["words"] == pytest.approx(np.log1p(10))
    assert seen["digits"] == pytest.approx(2 / 33)
    assert seen["capitals"] == pytest.approx(4 / 33)
    assert seen["lines"] == pytest.approx(3 / 33)
    assert (seen["def"], seen["backslash"], seen["dollar"]) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize("text", ["", "é", "中文" * 50, "\ud800", "\n" * 9, "9" * 100_000, "🙂🙂"])
def test_any_text_has_features_within_bounds(text: str) -> None:
    found_F = text_features.features(text)
    assert found_F.shape == (len(text_features.NAMES),)
    assert np.abs(found_F).max() <= text_features.FURTHEST * text_features.WEIGHT / len(text_features.NAMES) ** 0.5 + 1e-6


def test_the_end_of_a_long_text_counts() -> None:
    assert np.array_equal(
        text_features.counted("x" * 50_000 + "y" * text_features.LONGEST), text_features.counted("y" * text_features.LONGEST)
    )


def test_a_query_does_not_depend_on_its_neighbours() -> None:
    queries_QD = np.eye(3, dtype=np.float32)
    texts = ["What is 2 + 2?", "def f(x):", "Explain."]
    together = text_features.beside(queries_QD, texts)
    assert together.shape == (3, 3 + len(text_features.NAMES))
    for place, text in enumerate(texts):
        assert np.array_equal(together[place : place + 1], text_features.beside(queries_QD[place : place + 1], [text]))


def test_features_are_scored_and_drift_sees_the_embedding_alone(tiny: ModuleType, tmp_path: Path) -> None:
    scorer = runtime.load(tiny.tiny_artifact(tmp_path / "scorer", text_features=True))
    one, other = "what is the sum of 1 and 2", "WHAT IS THE SUM OF 1 AND 2"  # the same to an encoder that reads lower case
    found = scorer.score([one, other])
    assert found.queries_QD.shape == (2, tiny.DIMS)
    np.testing.assert_array_equal(found.queries_QD[0], found.queries_QD[1])
    assert np.abs(found.scores_QL[0] - found.scores_QL[1]).max() > 0.001
    np.testing.assert_array_equal(
        found.scores_QL, np.concatenate([scorer.score_embedded(scorer.encoder.embed([text])) for text in (one, other)])
    )


def test_an_artifact_says_whether_it_has_text_features(tiny: ModuleType, copied: Path, tmp_path: Path) -> None:
    """Without the entry it has none; features that this code does not have are refused, and so are weights of another width."""
    assert not artifact.verify(copied).text_features
    folder = tiny.tiny_artifact(tmp_path / "with", text_features=True)
    assert artifact.verify(folder).text_features
    manifest = json.loads((folder / MANIFEST).read_text())
    for said, why in ((True, "this code has"), ("0" * 16, "this code has"), (None, "groups_GD")):
        manifest["encoder"]["text_features"] = said
        (folder / MANIFEST).write_text(json.dumps(manifest))
        with pytest.raises(ArtifactRefused, match=why):
            artifact.verify(folder)
