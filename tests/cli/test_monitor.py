"""`routemoa verdict` and `routemoa report` on real records and a real reference profile."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitoring.errors import NothingActive, RecordRefused, ReportFailed
from monitoring.records import Record, RecordStore
from registry.jobs import Jobs
from tests.cli.command_line import output, refusal, usage_error
from tests.monitoring.conftest import World


@pytest.fixture
def serving(home: Path) -> Path:
    """The project after scorer version 1 was published."""
    reference, folder = World().profile(), home / "var" / "scorers" / "1"
    folder.mkdir(parents=True)
    names = ("queries_RD", "scores_RL", "domains_R", "held_queries_HD", "held_scores_HL", "held_domains_H")
    arrays = {name: getattr(reference, name) for name in names}
    np.savez(folder / "reference.npz", **arrays)
    (folder / "roster.json").write_text(json.dumps({"llms": list(reference.roster)}))
    (folder.parent / "current.json").write_text(json.dumps({"version": "1", "folder": "1", "published_at": "now"}))
    return home


def keep(home: Path, records: list[Record]) -> None:
    """Appends `records` as the server does."""

    async def append() -> None:
        store = RecordStore(home / "var" / "records.db")
        await asyncio.gather(*(store.append(record) for record in records))
        await store.close()

    asyncio.run(append())


@pytest.mark.parametrize("command", ["verdict", "report"])
def test_before_a_scorer_serves_there_is_no_verdict(home: Path, command: str) -> None:
    """The error says how one comes to serve."""
    assert "Promote a version" in refusal(NothingActive, command).next_step


def test_a_verdict_is_printed_with_its_reasons_and_changes_nothing(serving: Path) -> None:
    """Novel traffic: the verdict is retrain, the domain is named, and no job or report comes of asking."""
    assert "too-little-data" in output("verdict")
    keep(serving, World().records(60, novel=1.0))
    printed = output("verdict")
    assert printed.startswith("retrain  scorer version 1")
    assert "law" in printed
    assert not (serving / "var" / "reports").exists()
    assert not Jobs(serving / "var" / "jobs.db").list()


def test_a_report_names_the_pages_it_drew(serving: Path) -> None:
    """Without traffic there is nothing to draw; with it the printed paths exist; no job is started."""
    assert "Send queries" in refusal(ReportFailed, "report").next_step
    keep(serving, World().records(30))
    pages = [Path(line.strip()) for line in output("report").splitlines() if line.endswith(".html")]
    assert pages
    assert all("Verdict" in page.read_text() for page in pages[:1])
    assert not Jobs(serving / "var" / "jobs.db").list()


def test_drawn_answers_are_listed_and_graded(serving: Path) -> None:
    """What was drawn waits with its query until it is graded; a grade needs a score, and a decision that exists."""
    assert "No drawn answer waits" in output("audits")
    records = [replace(record, text=f"What is a [clause] in case {record.id}?") for record in World().records(300)]
    keep(serving, records)
    waiting = [line.split()[1] for line in output("audits").splitlines() if "r-" in line]
    assert 1 <= len(waiting) <= 20
    assert "What is a [clause] in case" in output("audits")
    assert "a score from 0" in usage_error("audits", waiting[0])
    assert f"{waiting[0]}: 1, kept as an audit." in output("audits", waiting[0], "1")
    assert waiting[0] not in output("audits")
    assert "`routemoa audits` lists" in refusal(RecordRefused, "audits", "nobody", "0.5").next_step
