"""A journal of rows survives the process that writes it."""

from pathlib import Path

import pytest

from pipelines.journal import Journal, rows


def test_rows_come_back_in_order_over_several_runs(tmp_path: Path) -> None:
    """A second run appends."""
    for texts in (["a", "b\nc"], ["ü"]):
        with Journal(tmp_path / "new" / "j.jsonl") as journal:
            for text in texts:
                journal.append({"text": text})
    assert [row["text"] for row in rows(tmp_path / "new" / "j.jsonl")] == ["a", "b\nc", "ü"]


@pytest.mark.parametrize("torn", [b'{"text": "c', b'{"text": "\xc3', b"[1, 2]"])
def test_a_torn_line_costs_itself_alone(tmp_path: Path, torn: bytes) -> None:
    """A process killed while it wrote, even within a character: the rows before count, and the next one is not swallowed."""
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"text": "a"}\n' + torn)
    with Journal(path) as journal:
        journal.append({"text": "b"})
    assert [row["text"] for row in rows(path)] == ["a", "b"]
    assert rows(tmp_path / "none.jsonl") == []
