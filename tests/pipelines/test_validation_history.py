"""Validations outlive the next one."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.validation import history


def test_a_failed_validation_stays_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is kept with its report and Data Docs and listed, the newest first, until there are too many."""
    monkeypatch.setattr(history, "KEPT", 2)
    report, past, began = tmp_path / "report", tmp_path / "past", datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
    (report / "data_docs").mkdir(parents=True)
    (report / "data_docs" / "index.html").write_text("docs")
    for at in range(3):
        content = {"critical": at, "warnings": 7, "rows": {"queries": 1200, "labels": 3}}
        (report / "report.json").write_text(json.dumps(content))
        history.keep(report, past, began + timedelta(seconds=at))
    assert sorted(path.name for path in past.iterdir()) == ["2026-11-30T12-00-01", "2026-11-30T12-00-02", "index.html"]
    assert (past / "2026-11-30T12-00-01" / "data_docs" / "index.html").read_text() == "docs"
    page = (past / "index.html").read_text()
    assert page.index("12-00-02") < page.index("12-00-01")
    assert "<td>2</td><td>7</td><td>1,200</td><td>3</td>" in page
