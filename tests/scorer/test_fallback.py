"""Far from everything it was trained on, a scorer says what is good overall."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from scorer import artifact, fallback, manifest
from scorer.errors import ArtifactRefused
from scorer.initialisation import Shrinkage, starting_weights
from scorer.weights import HeadWeights, centred

SHRINKAGE = Shrinkage(groups=8, dims=16)


def started(worlds: ModuleType, queries: int = 800) -> HeadWeights:
    """A start in the world of four kinds, with its fallback."""
    seen, held = worlds.world(queries, seed=1), worlds.world(200, seed=2)
    weights = starting_weights(worlds.ROSTER, seen.queries_QD, seen.labels_QL, SHRINKAGE, 0)
    return replace(weights, fallback=fallback.fit(weights, seen.queries_QD, held.queries_QD, 0, 0.01))


def test_the_usual_kind_of_query_is_believed(worlds: ModuleType) -> None:
    """New queries of known kinds choose as they would without a fallback; about one in a hundred is beyond the edge."""
    weights = started(worlds)
    fresh = worlds.world(2000, seed=3)
    assert weights.fallback is not None
    chosen_Q = weights.logits(fresh.queries_QD).argmax(axis=1)
    assert (chosen_Q == fresh.best_Q).mean() > 0.95
    assert 0 < weights.fallback.far(centred(fresh.queries_QD, weights.centre_D)).mean() < 0.04


def test_far_from_everything_it_says_what_is_good_overall(worlds: ModuleType) -> None:
    weights = started(worlds)
    assert weights.fallback is not None
    far_QD = weights.centre_D - np.linalg.svd(weights.fallback.landmarks_MD)[2][-1:]  # at right angles to what was seen
    np.testing.assert_array_equal(weights.logits(far_QD)[0], weights.overall_L)
    assert not np.allclose(replace(weights, fallback=None).logits(far_QD)[0], weights.overall_L, atol=0.05)


@pytest.mark.parametrize("queries", [8, 40])
def test_a_handful_of_queries_is_enough(worlds: ModuleType, queries: int) -> None:
    """Fewer landmarks, and an edge as far out as the held-out queries say."""
    weights = started(worlds, queries)
    assert weights.fallback is not None
    assert 1 <= len(weights.fallback.landmarks_MD) <= queries
    assert np.isfinite(weights.logits(worlds.world(20, seed=3).queries_QD)).all()


def fallen_back(folder: Path, landmarks: int) -> Path:
    """Gives an artifact's weights so many landmarks and signs them."""
    arrays = load_file(folder / manifest.WEIGHTS)
    arrays |= {"landmarks_MD": arrays["groups_GD"][:landmarks], "edge": np.array([0.3], np.float32)}
    save_file(arrays, folder / manifest.WEIGHTS)
    return signed(folder)


def signed(folder: Path) -> Path:
    """Puts the hash of the weights into the manifest."""
    content = json.loads((folder / manifest.MANIFEST).read_text())
    content["files"][manifest.WEIGHTS] = manifest.sha256(folder / manifest.WEIGHTS)
    (folder / manifest.MANIFEST).write_text(json.dumps(content))
    return folder


def test_an_artifact_keeps_the_fallback(copied: Path) -> None:
    """Read back whole; one without landmarks is refused."""
    weights = artifact.open(fallen_back(copied, 3)).weights
    assert weights.fallback is not None
    assert len(weights.fallback.landmarks_MD) == 3
    assert weights.fallback.edge == pytest.approx(0.3)
    with pytest.raises(ArtifactRefused, match="without landmarks"):
        artifact.verify(fallen_back(copied, 0))


def test_half_a_fallback_is_refused(copied: Path) -> None:
    """Landmarks without an edge are no fallback."""
    arrays = load_file(copied / manifest.WEIGHTS)
    save_file(arrays | {"landmarks_MD": arrays["groups_GD"]}, copied / manifest.WEIGHTS)
    with pytest.raises(ArtifactRefused, match="edge missing or unknown"):
        artifact.verify(signed(copied))


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x580])
def test_a_header_whose_length_looks_like_a_pickle_is_none(copied: Path, length: int) -> None:
    """The first two bytes of such a safetensors file are those of a pickle."""
    path = fallen_back(copied, 3) / manifest.WEIGHTS
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = content[8:start].rstrip()
    if len(header) > length:
        pytest.skip(f"the header has {len(header)} bytes")
    path.write_bytes(length.to_bytes(8, "little") + header.ljust(length) + content[start:])
    signed(copied)
    assert artifact.open(copied).weights.fallback is not None
