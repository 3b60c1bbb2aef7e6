"""The cache of embeddings: parts that are only added to."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipelines import vector_cache
from scorer.types import Floats


class Lengths:
    """Embeds a text as its length, two at a time; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: list[str]) -> Iterator[tuple[Sequence[int], Floats]]:
        for start in range(0, len(texts), 2):
            some = texts[start : start + 2]
            self.asked += some
            yield range(start, start + len(some)), np.array([[len(text), 1] for text in some], dtype=np.float32)

    def of(self, folder: Path, *texts: str) -> list[float]:
        return vector_cache.vectors(folder, texts, self, "test")[:, 0].tolist()


def test_a_text_is_embedded_once(tmp_path: Path) -> None:
    """Whatever it stands beside, in whatever order; what is written is never written again."""
    lengths, folder = Lengths(), tmp_path / "fp32"
    assert lengths.of(folder, "a", "bb", "a") == [1, 2, 1]
    first = {part: part.stat() for part in folder.iterdir()}
    assert lengths.of(folder, "ccc", "bb", "dddd", "a") == [3, 2, 4, 1]
    assert lengths.asked == ["a", "bb", "ccc", "dddd"]
    assert len(list(folder.iterdir())) == 2
    assert all(part.stat().st_mtime_ns == before.st_mtime_ns for part, before in first.items())


def test_a_spoiled_part_is_made_again(tmp_path: Path) -> None:
    """A part nobody can read is as good as none, and the others are read."""
    lengths, folder = Lengths(), tmp_path / "fp32"
    lengths.of(folder, "a")
    (folder / "0000.npz").write_bytes(b"PK\x03\x04 not really")
    assert lengths.of(folder, "a", "bb") == [1, 2]
    assert lengths.asked == ["a", "bb"]


def test_the_one_file_of_versions_before_is_read(tmp_path: Path) -> None:
    """Nothing that it holds is embedded again, and it stays as it is."""
    import hashlib

    lengths, folder = Lengths(), tmp_path / "fp32"
    keys_N32 = np.array([list(hashlib.sha256(text).digest()) for text in (b"a", b"bb")], dtype=np.uint8)
    np.savez(tmp_path / "fp32.npz", keys_N32=keys_N32, vectors_ND=np.array([[1, 1], [2, 1]], dtype=np.float32))
    before = (tmp_path / "fp32.npz").read_bytes()
    assert lengths.of(folder, "bb", "ccc", "a") == [2, 3, 1]
    assert lengths.asked == ["ccc"]
    assert (tmp_path / "fp32.npz").read_bytes() == before


def test_a_killed_run_keeps_what_it_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are written on the way; the next run embeds the rest alone."""
    monkeypatch.setattr(vector_cache, "MOST_IN_PART", 2)
    lengths, folder, texts = Lengths(), tmp_path / "fp32", ["a", "bb", "ccc", "dddd", "eeeee"]

    def dies(missing: list[str]) -> Iterator[tuple[Sequence[int], Floats]]:
        for count, batch in enumerate(Lengths()(missing)):
            if count == 2:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        vector_cache.vectors(folder, texts, dies, "test")
    assert lengths.of(folder, *texts) == [1, 2, 3, 4, 5]
    assert lengths.asked == ["eeeee"]


def test_nothing_gives_nothing(tmp_path: Path) -> None:
    """No text, no vector, no file."""
    assert vector_cache.vectors(tmp_path / "fp32", [], Lengths(), "test").shape[0] == 0
    assert not (tmp_path / "fp32").exists()


def test_texts_that_are_there_more_than_once_all_get_their_vector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever they stand, in one array and without a second."""
    monkeypatch.setattr(vector_cache, "MOST_IN_PART", 4)
    dice = np.random.default_rng(0)
    for count in (1, 4, 5, 23):
        texts = ["a" * int(length) for length in dice.integers(1, 10, size=count)]
        assert Lengths().of(tmp_path / str(count), *texts) == [len(text) for text in texts]
