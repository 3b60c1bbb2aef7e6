"""Far from everything it was trained on, a scorer says what is good overall, where left-out groups show that it should."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from scorer import artifact, contents, fallback
from scorer.errors import ArtifactRefused
from scorer.start import Shrinkage, starting_weights
from scorer.weights import Fallback, Weights

SHRINKAGE = Shrinkage(groups=8, dims=16)


def started(worlds: ModuleType, queries: int = 800) -> tuple[Weights, Fallback | None]:
    """A start in the world of four kinds, and its fallback."""
    seen, held = worlds.world(queries, seed=1), worlds.world(200, seed=2)
    weights = starting_weights(worlds.ROSTER, seen.queries_QD, seen.labels_QL, SHRINKAGE, 0)
    known, others = (seen.queries_QD, seen.labels_QL), (held.queries_QD, held.labels_QL)
    return weights, fallback.fit(weights, known, others, shrinkage=SHRINKAGE, seed=0)


def test_kinds_that_teach_nothing_about_each_other_bring_a_fallback(worlds: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind has an LLM of its own: what is learnt on the others is taken back far away, and new queries of known kinds lose nothing."""
    monkeypatch.setattr(fallback, "LEFT_OUT", 4)  # as many as there are kinds
    weights, found = started(worlds)
    assert found is not None
    assert found.kept <= 0.6
    fresh = worlds.world(300, seed=3)
    chosen_Q = replace(weights, fallback=found).logits(fresh.queries_QD).argmax(axis=1)
    assert (chosen_Q == fresh.best_Q).mean() > 0.95
    far_QD = weights.centre_D - np.linalg.svd(found.landmarks_MD)[2][-1:]  # at right angles to what was seen
    apart_L = weights.logits(far_QD)[0] - weights.everyone_L
    np.testing.assert_allclose(replace(weights, fallback=found).logits(far_QD)[0], weights.everyone_L + found.kept * apart_L, atol=0.05)


def test_a_skill_that_carries_over_is_believed_everywhere() -> None:
    """One direction decides in every group which LLM is right: groups left out are predicted well, nothing is taken back."""
    dice = np.random.default_rng(0)
    queries_QD = dice.normal(size=(1200, 12))
    queries_QD = (queries_QD / np.linalg.norm(queries_QD, axis=1, keepdims=True)).astype(np.float32)
    rates_QL = 1 / (1 + np.exp(-8 * queries_QD[:, :1] * [1, -1]))
    labels_QL = (dice.random((1200, 2)) < rates_QL).astype(float)
    weights = starting_weights(("a", "b"), queries_QD[:1000], labels_QL[:1000], replace(SHRINKAGE, ridge=1.0), 0)
    seen, held = (queries_QD[:1000], labels_QL[:1000]), (queries_QD[1000:], labels_QL[1000:])
    found = fallback.fit(weights, seen, held, shrinkage=replace(SHRINKAGE, ridge=1.0), seed=0)
    assert found is None or found.kept >= 0.8


def test_few_queries_have_no_fallback(worlds: ModuleType) -> None:
    """A small pool's scores are left as they are: groups of a few dozen queries left out say nothing."""
    assert started(worlds, queries=fallback.LEAST - 1)[1] is None


def test_an_llm_labelled_in_one_group_alone_is_no_obstacle(worlds: ModuleType) -> None:
    """That group is never left out; the others are, with labels missing."""
    seen = worlds.world(600, seed=1, missing=0.3)
    labels_QL = np.where((seen.kinds_Q == 0)[:, None] | (np.arange(3) > 0), seen.labels_QL, np.nan)
    groups = fallback.left_out(worlds.ROSTER, seen.queries_QD, labels_QL, SHRINKAGE, 0)
    assert 2 <= len(groups) <= fallback.LEFT_OUT
    assert all(np.isfinite(group.loss(None)) for group in groups)


def fallen_back(folder: Path, kept: float) -> Path:
    """Adds a fallback to an artifact's weights and signs them."""
    arrays = load_file(folder / artifact.WEIGHTS)
    arrays |= {"landmarks_MD": arrays["groups_GD"], "edge": np.array([0.3], np.float32), "kept": np.array([kept], np.float32)}
    save_file(arrays, folder / artifact.WEIGHTS)
    manifest = json.loads((folder / artifact.MANIFEST).read_text())
    manifest["files"][artifact.WEIGHTS] = artifact.sha256(folder / artifact.WEIGHTS)
    (folder / artifact.MANIFEST).write_text(json.dumps(manifest))
    return folder


def test_an_artifact_keeps_the_fallback(copied: Path) -> None:
    """Read back whole; a share outside 0 to 1 is refused."""
    weights = contents.read_weights(fallen_back(copied, 0.25), artifact.verify(copied))
    assert weights.fallback is not None
    assert (weights.fallback.kept, len(weights.fallback.landmarks_MD)) == (0.25, 4)
    assert weights.fallback.edge == pytest.approx(0.3)
    with pytest.raises(ArtifactRefused, match=r"one that keeps 1\.5"):
        artifact.verify(fallen_back(copied, 1.5))


def test_an_artifact_of_the_first_schema_is_still_read(copied: Path) -> None:
    """A champion from before fallbacks has none, and stays a champion; it cannot hold one."""
    manifest = json.loads((copied / artifact.MANIFEST).read_text())
    (copied / artifact.MANIFEST).write_text(json.dumps(manifest | {"schema_version": 1}))
    found = artifact.verify(copied)
    assert found.schema_version == 1
    assert contents.read_weights(copied, found).fallback is None
    fallen_back(copied, 0.5)
    with pytest.raises(ArtifactRefused, match="missing or unknown"):
        artifact.verify(copied)
