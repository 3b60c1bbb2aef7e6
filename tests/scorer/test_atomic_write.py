"""Files appear whole or not at all."""

import os

import pytest

from scorer.atomic_write import replacing


def test_the_new_file_takes_the_place_of_the_old_at_the_end(tmp_path):
    path = tmp_path / "folder" / "file.json"
    for text in ("one", "two"):
        before = path.read_text() if path.exists() else None
        with replacing(path) as partial:
            partial.write_text(text)
            assert (path.read_text() if path.exists() else None) == before
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_durable_file_is_on_the_disk_before_it_takes_the_place(tmp_path, monkeypatch):
    """The new content is flushed while the old file is still there; a file that need not survive a power cut is not waited for."""
    path = tmp_path / "file.json"
    path.write_text("old")
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda _: flushed.append(path.read_text()))
    with replacing(path, durable=True) as partial:
        partial.write_text("new")
    assert (flushed, path.read_text()) == (["old"], "new")
    with replacing(path) as partial:
        partial.write_text("newer")
    assert len(flushed) == 1


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")

    def fill() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fill()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_before_anything_is_written_is_the_error_seen(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "file"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
