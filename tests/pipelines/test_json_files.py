"""What stages hand to each other as JSON."""

from pathlib import Path

import pytest

from pipelines import json_files
from pipelines.errors import PipelineError


def test_a_number_that_json_cannot_say_is_null(tmp_path: Path) -> None:
    """Wherever it stands; everything else comes back as it was."""
    json_files.write(tmp_path / "a.json", {"loss": float("nan"), "epochs": [{"training": float("inf"), "epoch": 0}, (0.5, 1)], "name": "x"})
    assert json_files.read(tmp_path / "a.json", "train") == {
        "loss": None,
        "epochs": [{"training": None, "epoch": 0}, [0.5, 1]],
        "name": "x",
    }


@pytest.mark.parametrize(("text", "reason"), [(None, "cannot be read"), ("{", "cannot be read"), ("[1]", "a list, not an object")])
def test_a_file_that_a_stage_cannot_have_written_names_the_stage(tmp_path: Path, text: str | None, reason: str) -> None:
    """Missing, cut off or of another kind: the message says which stage writes it."""
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    with pytest.raises(PipelineError, match=rf"a\.json: {reason}.*`dvc repro train`"):
        json_files.read(tmp_path / "a.json", "train")
