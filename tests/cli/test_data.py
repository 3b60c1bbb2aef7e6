"""`routemoa import` and `routemoa harvest`: the user's own queries and answers, and served ones, into the project."""

from pathlib import Path

import pytest

from monitoring.records.reference import Reference
from pipelines import project_lock, tables
from pipelines.errors import RetrainRefused
from pipelines.project import Project
from registry import pool
from registry.jobs import Jobs
from tests.cli.command_line import output, refusal, usage_error
from tests.pipelines.served import serve

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


def test_a_harvest_says_what_it_would_bring_and_cost_before_it_takes_anything(home: Path) -> None:
    """Without --yes, and no terminal to ask on, nothing changes; with it what was priced is taken in, and what is next is printed."""
    where = Project(home)
    serve(where.records, *(f"What is {at} + 1?" for at in range(3)), outcome=1.0, reference=Reference("number", "7"), domain="sums")
    serve(where.records, "Which wine goes with fish?")
    printed = output("harvest")
    assert "4 records, 4 with text: 3 new queries (sums 3), 3 new labels. Left out: 1 that nothing would grade." in printed
    rows = {cells[0]: cells for line in printed.splitlines() if len(cells := [cell.strip() for cell in line.split("│")[1:-1]]) == 6}
    assert rows["smollm2-135m"][1:4] == ["answers", "3", "78"]  # 14 characters and its system text of 56, in two messages: 26 tokens each
    assert rows["smollm2-135m"][4:] == ["144", "0.0000"]  # no answer yet: as many as it may write, 48 each
    assert rows["all"][2] == str(3 * len([llm for llm in pool.load(home / "registry" / "pool.yaml").active if llm.endpoint]))
    assert "Nothing was taken in; routemoa harvest --yes does." in printed
    assert not where.data.exists()
    assert "2 more are left for later" in output("harvest", "--limit", "1")
    printed = output("harvest", "--yes")
    assert "Taken in. Next: routemoa retrain" in printed
    assert set(tables.read(where.queries, tables.QUERIES)["grader"]) == {"number"}
    assert "Taken in" not in output("harvest", "--yes")
    assert Jobs.in_file(where.var / "jobs.db").list() == []  # no job: whoever harvests decides when to retrain
    assert "Invalid value for '--limit'" in usage_error("harvest", "--limit", "-1")


def test_a_harvest_waits_for_a_retraining(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data that stages are reading are not changed under them; looking is allowed."""
    where = Project(home)
    serve(where.records, "What is 6 + 1?", outcome=1.0, reference=Reference("number", "7"))
    monkeypatch.setattr(project_lock, "WAIT_S", 0.1)
    with project_lock.alone(where):
        assert "1 new queries" in output("harvest")
        assert "Another retraining" in refusal(RetrainRefused, "harvest", "--yes").what
    assert not where.data.exists()
