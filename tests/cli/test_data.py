"""`routemoa import`: the user's own queries and answers, into the project that the command is for."""

from pathlib import Path

import pytest

from pipelines import tables
from registry import pool
from tests.cli.command_line import output

QUERIES = "query,reference,grader\nWhat is 6 * 7?,42,number\nWhat is 1 + 1?,2,number\n"
ANSWERS = "query,llm,score\nWhat is 6 * 7?,Acme Chat,1.0\nWhat is 1 + 1?,Acme Chat,0.0\n"


def test_files_come_into_the_project_not_the_current_folder(home: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ROUTEMOA_HOME, tables and pool entry land there; file names are the current folder's; what is next is printed."""
    monkeypatch.setenv("ROUTEMOA_HOME", str(home))
    (nowhere / "queries.csv").write_text(QUERIES)
    (nowhere / "answers.csv").write_text(ANSWERS)
    (nowhere / "prices.yaml").write_text("Acme Chat: {input: 1, output: 2}\n")
    options = ("--queries", "queries.csv", "--answers", "answers.csv", "--name", "mine")
    assert "2 new queries" in output("import", *options)
    assert "Next: routemoa up" in output("import", *options, "--add-llms", "--prices", "prices.yaml")
    assert len(tables.read(home / "data" / "queries.parquet", tables.QUERIES)) == 2
    assert len(tables.read(home / "data" / "recorded" / "acme-chat.labels.parquet", tables.LABELS)) == 2
    assert pool.load(home / "registry" / "pool.yaml").by_id("acme-chat").endpoint is None
    assert sorted(path.name for path in nowhere.iterdir()) == ["answers.csv", "prices.yaml", "queries.csv"]
