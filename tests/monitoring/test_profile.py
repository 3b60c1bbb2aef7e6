"""A reference profile is read from the artifact's own files, or refused with the reason."""

import json

import numpy as np
import pytest

from monitoring.drift import profile
from monitoring.errors import ProfileRefused


@pytest.fixture
def folder(tmp_path, world):
    """The profile's two files as the scorer writes them: float16 embeddings, more arrays than drift needs."""
    reference = world.profile(training=50, held=20)
    np.savez(
        tmp_path / "reference.npz",
        queries_RD=reference.queries_RD.astype(np.float16),
        scores_RL=reference.scores_RL,
        domains_R=reference.domains_R,
        held_queries_HD=reference.held_queries_HD.astype(np.float16),
        held_scores_HL=reference.held_scores_HL,
        held_domains_H=reference.held_domains_H,
        neighbours=np.array(5),
    )
    (tmp_path / "roster.json").write_text(json.dumps({"llms": list(reference.roster)}), encoding="utf-8")
    return tmp_path


def test_it_reads_what_the_artifact_holds(folder) -> None:
    """Shapes, roster and names survive; embeddings become float32."""
    found = profile.read(folder)
    assert found.roster == ("small", "middle", "large")
    assert found.queries_RD.shape == (50, 32)
    assert found.queries_RD.dtype == np.float32
    assert found.held_scores_HL.shape == (20, 3)
    assert set(found.held_domains_H.tolist()) <= {"mathematics", "reading", "coding"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"held_queries_HD": None}, "without held_queries_HD"),
        ({"scores_RL": np.zeros((50, 2))}, "shapes that do not fit"),
        ({"domains_R": np.array(["x"] * 49)}, "shapes that do not fit"),
        ({"held_scores_HL": np.full((20, 3), np.nan)}, "not finite"),
        ({"held_queries_HD": np.zeros((20, 31))}, "held-out queries"),
        ({"domains_R": np.array([{"a": 1}] * 50, dtype=object)}, "no readable reference profile"),
    ],
)
def test_a_malformed_profile_is_refused(folder, change, message) -> None:
    """No report on arrays that do not fit, and no pickle is ever loaded."""
    path = folder / "reference.npz"
    with np.load(path) as arrays:
        content = {name: arrays[name] for name in arrays.files} | change
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
    with pytest.raises(ProfileRefused, match=message):
        profile.read(folder)


def test_a_missing_or_damaged_file_is_refused(folder) -> None:
    """The message names the folder and the next step."""
    (folder / "reference.npz").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(ProfileRefused, match="Publish the scorer version again"):
        profile.read(folder)
    (folder / "reference.npz").unlink()
    with pytest.raises(ProfileRefused, match="no readable reference profile"):
        profile.read(folder)
