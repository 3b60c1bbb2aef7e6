"""What was measured goes into the document as it is, or the command to measure it is named."""

from pathlib import Path

import pytest

from benchmarks import write_results
from pipelines.errors import TableRefused

DOCUMENT = "# Title\n\n<!-- a-set -->\nold\n<!-- /a-set -->\n\nProse with 1 % stays.\n"


def test_a_block_holds_what_was_measured(tmp_path: Path) -> None:
    """Table and picture replace the block, and nothing else changes; doing it again changes nothing."""
    (tmp_path / "built" / "a-set").mkdir(parents=True)
    (tmp_path / "built" / "a-set" / "table.md").write_text("| \\1 |\n")
    (tmp_path / "built" / "a-set" / "curve.svg").write_text("<svg/>")
    document = tmp_path / "scorer.md"
    document.write_text(DOCUMENT)
    for _ in range(2):
        assert write_results.write(document, tmp_path / "built") == ["a-set"]
        picture = "![Quality against cost: a-set](scorer-a-set.svg)"
        assert document.read_text() == DOCUMENT.replace("old\n", f"| \\1 |\n\n{picture}\n")
    assert (tmp_path / "scorer-a-set.svg").read_text() == "<svg/>"


def test_a_set_that_was_not_measured_is_named(tmp_path: Path) -> None:
    """No document is written with a block that is empty or old."""
    document = tmp_path / "scorer.md"
    document.write_text(DOCUMENT)
    with pytest.raises(TableRefused, match=r"a-set/table.md: not there.*--out"):
        write_results.write(document, tmp_path / "built")
    assert document.read_text() == DOCUMENT


def test_only_the_named_blocks_are_rewritten(tmp_path: Path) -> None:
    """What was not measured again stays as it stands; a name that is no block is refused with those that are."""
    (tmp_path / "built" / "b-set").mkdir(parents=True)
    (tmp_path / "built" / "b-set" / "table.md").write_text("new\n")
    document = tmp_path / "scorer.md"
    document.write_text(DOCUMENT + DOCUMENT.replace("a-set", "b-set"))
    assert write_results.write(document, tmp_path / "built", "b-set") == ["b-set"]
    assert document.read_text() == DOCUMENT + DOCUMENT.replace("a-set", "b-set").replace("old", "new")
    with pytest.raises(TableRefused, match=r"no block called c-set.*a-set, b-set"):
        write_results.write(document, tmp_path / "built", "c-set")
