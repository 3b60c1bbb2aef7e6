"""What retrainings bought is kept a job each, the newest first."""

import os
from pathlib import Path

from registry import gains


def test_the_newest_comes_first_and_what_is_no_gain_is_left_out(tmp_path: Path) -> None:
    """A job that is done again replaces its own; a file of another kind, or half written, is passed over."""
    assert gains.listed(tmp_path) == []
    for job, version in (("a", "2"), ("b", "3"), ("a", "4")):
        gains.keep(tmp_path, job, version, "1", [{"group": "tax"}])
    (tmp_path / gains.FOLDER / "c.json").write_text('{"job": "c"')
    (tmp_path / gains.FOLDER / "d.json").write_text("[]")
    assert [(told["job"], told["version"], told["groups"]) for told in gains.listed(tmp_path)] == [
        ("a", "4", [{"group": "tax"}]),
        ("b", "3", [{"group": "tax"}]),
    ]


def test_so_many_are_kept(tmp_path: Path) -> None:
    """The oldest go."""
    for number in range(gains.KEPT + 3):
        os.utime(gains.keep(tmp_path, f"job-{number}", "2", None, []), (number, number))
    gains.keep(tmp_path, "last", "2", None, [])
    kept = {told["job"] for told in gains.listed(tmp_path)}
    assert len(kept) == gains.KEPT
    assert "last" in kept
    assert "job-0" not in kept
