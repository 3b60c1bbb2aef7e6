"""Far from everything it was trained on, a scorer is drawn to what is good overall, and says that it knows less."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from scorer import artifact, manifest, runtime, trust
from scorer.errors import ArtifactRefused
from scorer.initialisation import Embedded, Shrinkage, starting_weights
from scorer.types import Floats
from scorer.weights import HeadWeights, centred, nearness

SHRINKAGE = Shrinkage(groups=8, dims=16)


def started(worlds: ModuleType, queries: int = 800, *, tagged: bool = True) -> HeadWeights:
    """A start in the world of four kinds, with its trust."""
    seen = worlds.world(queries, seed=1)
    training = Embedded(seen.queries_QD, seen.labels_QL, tags_Q=[f"kind {kind}" for kind in seen.kinds_Q] if tagged else None)
    weights = starting_weights(worlds.ROSTER, training, SHRINKAGE, 0)
    return replace(weights, trust=trust.fit(weights, training, SHRINKAGE, 0))


def away(weights: HeadWeights) -> Floats:
    """A query at right angles to all that was seen."""
    assert weights.trust is not None
    return np.asarray(weights.centre_D - np.linalg.svd(weights.trust.landmarks_MD)[2][-1:], dtype=np.float32)


@pytest.mark.parametrize("tagged", [True, False])
def test_the_usual_kind_of_query_is_believed(worlds: ModuleType, tagged: bool) -> None:
    """New queries of known kinds are chosen for as without trust, and little of their scores is taken away."""
    weights = started(worlds, tagged=tagged)
    fresh = worlds.world(2000, seed=3)
    assert weights.trust is not None
    assert (weights.logits(fresh.queries_QD).argmax(axis=1) == fresh.best_Q).mean() > 0.95
    assert weights.trust.share(centred(fresh.queries_QD, weights.centre_D)).mean() > 0.8


def test_far_from_everything_promises_go_to_what_is_good_overall(worlds: ModuleType) -> None:
    """Kinds that were left out came out as nobody could tell, so an unknown one is promised the overall rate, with more doubt."""
    weights = started(worlds)
    far_QD, known_QD = away(weights), worlds.world(200, seed=3).queries_QD
    without = replace(weights, trust=None)
    moved = np.abs(weights.logits(far_QD) - weights.overall_L).mean() / np.abs(without.logits(far_QD) - weights.overall_L).mean()
    assert moved < 0.5
    assert weights.doubt(far_QD).min() > weights.doubt(known_QD).mean()
    assert not without.doubt(far_QD).any()


def test_an_llm_whose_rate_hangs_on_the_kind_is_doubted_more(worlds: ModuleType) -> None:
    """Of an LLM that is right at one rate everywhere, what is not known is worth less doubt than of specialists."""
    seen = worlds.world(1200, seed=1)
    even_Q1 = (np.random.default_rng(0).random((len(seen.kinds_Q), 1)) < 0.5).astype(float)
    training = Embedded(seen.queries_QD, np.column_stack([seen.labels_QL, even_Q1]), tags_Q=[str(kind) for kind in seen.kinds_Q])
    fitted = trust.fit(starting_weights((*worlds.ROSTER, "even"), training, SHRINKAGE, 0), training, SHRINKAGE, 0)
    assert fitted is not None
    assert fitted.spread_L[3] < fitted.spread_L[:3].min()


def test_too_few_queries_to_leave_some_out(worlds: ModuleType) -> None:
    """Nothing is measured on a handful of queries, and nothing drawn anywhere."""
    assert started(worlds, 40).trust is None


def test_doubt_is_the_same_in_the_artifact(copied: Path) -> None:
    """What training computes is what the runtime serves, score and doubt; nothing of torch is in its way."""
    with_trust(copied, 3)
    opened = artifact.open(copied)
    served = runtime.RuntimeScorer(opened, runtime.load_encoder(copied, opened.manifest, precision="int8"), precision="int8")
    queries_QD = served.score(["what is the sum of 1 plus 2", "select from the story"]).queries_QD
    scores_QL = opened.calibration.probabilities(opened.weights.logits(queries_QD))
    np.testing.assert_array_equal(served.score_embedded(queries_QD), scores_QL)
    assert (opened.calibration.doubts(scores_QL, opened.weights.doubt(queries_QD)) > 0).all()


def with_trust(folder: Path, landmarks: int, trust: tuple[float, float] = (0.0, 2.0)) -> Path:
    """Gives an artifact's weights a trust with so many landmarks, and signs them."""
    arrays = load_file(folder / manifest.WEIGHTS)
    arrays |= {"landmarks_MD": arrays["groups_GD"][:landmarks], "trust": np.array(trust, np.float32), "spread_L": np.ones(3, np.float32)}
    save_file(arrays, folder / manifest.WEIGHTS)
    return signed(folder)


def signed(folder: Path) -> Path:
    """Puts the hash of the weights into the manifest."""
    content = json.loads((folder / manifest.MANIFEST).read_text())
    content["files"][manifest.WEIGHTS] = manifest.sha256(folder / manifest.WEIGHTS)
    (folder / manifest.MANIFEST).write_text(json.dumps(content))
    return folder


def test_an_artifact_keeps_the_trust(copied: Path) -> None:
    """Read back whole; one without landmarks, or that falls with nearness, is refused."""
    weights = artifact.open(with_trust(copied, 3)).weights
    assert weights.trust is not None
    assert len(weights.trust.landmarks_MD) == 3
    assert (weights.trust.offset, weights.trust.slope, weights.trust.spread_L.tolist()) == (0.0, 2.0, [1.0, 1.0, 1.0])
    with pytest.raises(ArtifactRefused, match="without landmarks"):
        artifact.verify(with_trust(copied, 0))
    with pytest.raises(ArtifactRefused, match="falls with nearness"):
        artifact.verify(with_trust(copied, 3, (0.0, -2.0)))


def test_half_a_trust_is_refused(copied: Path) -> None:
    """Landmarks without a share are no trust."""
    arrays = load_file(copied / manifest.WEIGHTS)
    save_file(arrays | {"landmarks_MD": arrays["groups_GD"]}, copied / manifest.WEIGHTS)
    with pytest.raises(ArtifactRefused, match="spread_L, trust missing or unknown"):
        artifact.verify(signed(copied))


def test_an_artifact_from_before_scores_as_it_did(copied: Path) -> None:
    """Without a bias of groups, and with an edge beyond which the overall rates stood: the same scores on both of its sides."""
    arrays = load_file(copied / manifest.WEIGHTS)
    del arrays["bias_G"]
    without = artifact.open(copied).weights
    queries_QD = runtime.load(copied).score([f"what is the sum of {n}" for n in range(20)] + ["law", "medicine for fever"]).queries_QD
    near_Q = nearness(centred(queries_QD, without.centre_D), arrays["groups_GD"])
    edge = np.float32((np.sort(near_Q)[10] + np.sort(near_Q)[11]) / 2)
    save_file(arrays | {"landmarks_MD": arrays["groups_GD"], "edge": np.array([edge])}, copied / manifest.WEIGHTS)
    found_QL = artifact.open(signed(copied)).weights.logits(queries_QD)
    np.testing.assert_allclose(found_QL, np.where((near_Q < edge)[:, None], without.overall_L, without.logits(queries_QD)), atol=1e-6)


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x580])
def test_a_header_whose_length_looks_like_a_pickle_is_none(copied: Path, length: int) -> None:
    """The first two bytes of such a safetensors file are those of a pickle."""
    path = with_trust(copied, 3) / manifest.WEIGHTS
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = content[8:start].rstrip()
    if len(header) > length:
        pytest.skip(f"the header has {len(header)} bytes")
    path.write_bytes(length.to_bytes(8, "little") + header.ljust(length) + content[start:])
    signed(copied)
    assert artifact.open(copied).weights.trust is not None
