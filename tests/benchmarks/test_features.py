"""The ways a query can be seen, each a scorer's vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import features
from pipelines import embeddings, params, train
from scorer import looks
from scorer.encoder import Encoder
from tests.scorer.tiny import DIMS, tiny_encoder

TEXTS = [f"what is {one} plus {two} ?" for one in range(1, 6) for two in range(1, 6)] + [
    f"write a python function {name}" for name in "abcde"
]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> params.Train:
    """Those of the project, whose encoders are tiny ones; the one called `other` has weights of its own."""

    def load(wanted: params.Train) -> Encoder:
        return tiny_encoder(seed=int(wanted.encoder == "other"), max_tokens=wanted.max_tokens)

    def embedded(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
        return encoder.embed(texts)

    monkeypatch.setattr(train, "load_encoder", load)
    monkeypatch.setattr(embeddings, "trained_on", embedded)
    monkeypatch.setattr(features, "UNIVERSAL", "a_module_that_is_not_installed")
    return params.load().train


def test_every_way_has_a_vector_a_text(settings: params.Train) -> None:
    """The usual one first; each with looks after it but the embedding alone; two encoders together are as long as one."""
    made = dict(features.ways(TEXTS, settings, ["other"]))
    more = len(looks.NAMES)
    assert next(iter(made)) == "embedding and looks"
    sizes = {name: vectors_QD.shape for name, vectors_QD in made.items()}
    assert sizes["embedding alone"] == (30, DIMS)
    assert sizes["looks alone"] == (30, more)
    assert sizes["embedding and looks"] == sizes["other instead of the usual encoder"] == (30, DIMS + more)
    assert sizes["other beside it"] == (30, 2 * DIMS + more)
    assert not np.allclose(made["embedding and looks"], made["other instead of the usual encoder"])
    assert not any(name.startswith("multilingual") for name in made)
    for name in ("embedding and looks", "other beside it", "words and looks"):
        np.testing.assert_allclose(np.linalg.norm(made[name][:, :-more], axis=1), 1, atol=1e-5)
        assert made[name].dtype == np.float32


def test_words_tell_texts_of_one_kind_from_another() -> None:
    seen_QD = features.words(TEXTS)
    sums_QD, code_QD = seen_QD[:25], seen_QD[25:]
    assert (sums_QD @ sums_QD.T).mean() > (sums_QD @ code_QD.T).mean() + 0.3
