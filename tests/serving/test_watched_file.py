"""A file that is followed: what is there for a moment while something else writes is never in force."""

import asyncio
from pathlib import Path

import pytest

from serving.worker import watched_file
from serving.worker.watched_file import Watched


def test_what_is_there_for_a_moment_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC puts the committed pool in its place while it saves an experiment: neither that nor its loss is followed, what stays is."""
    path, read = tmp_path / "pool.yaml", []
    watched = Watched(path, Path.read_text, swapped=lambda new, _: read.append(new), refused=read.append, settle_s=2.0)

    def looked(at_s: float, text: str | None) -> str | None:
        """In force after a look at that time, before which the file was replaced by one with this text, or deleted."""
        path.unlink(missing_ok=True)
        if text is not None:
            (tmp_path / "new").write_text(text)
            (tmp_path / "new").replace(path)
        monkeypatch.setattr(watched_file.time, "monotonic", lambda: at_s)
        asyncio.run(watched.look())
        return watched.value

    path.write_text("nine LLMs")
    asyncio.run(watched.refresh())
    for at_s, text in ((10.0, "five LLMs"), (10.5, "nine LLMs"), (11.0, None), (11.5, "all ten LLMs")):
        assert looked(at_s, text) == "nine LLMs"
    for at_s, value in ((13.0, "nine LLMs"), (13.5, "all ten LLMs")):
        monkeypatch.setattr(watched_file.time, "monotonic", lambda at_s=at_s: at_s)
        asyncio.run(watched.look())
        assert watched.value == value
    assert read == ["nine LLMs", "all ten LLMs"]
