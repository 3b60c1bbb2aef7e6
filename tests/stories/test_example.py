"""One example whole, on real LLMs: imported, asked, trained, served, audited, and its savings in the ledger."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import commands
from local import example

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(1800)]


def test_the_help_desk_says_what_it_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The page's command; then the ledger of its project says what the last act said, of audited answers."""
    example.run("support", source=ROOT, at=tmp_path / "project", stay_up=False)
    printed = capfd.readouterr().out
    assert "saved $" in printed
    assert "against always support-" in printed
    monkeypatch.setenv("ROUTEMOA_HOME", str(tmp_path / "project"))
    told = json.loads(CliRunner().invoke(commands, ["savings", "--by", "domain", "--json"]).output)
    rows = {row["name"]: row for row in told["rows"]}
    assert set(rows) <= {"routing", "policy", "extraction", "tone", "translation"}
    assert told["total"]["requests"] == sum(row["requests"] for row in rows.values()) > 5
    assert f"saved ${told['total']['saved_usd']:.6f}" in printed
    assert told["total"]["quality"]["audits"] + told["total"]["quality"]["baseline_audits"] > 0
