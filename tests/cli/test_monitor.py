"""`routemoa verdict` and `routemoa report` on real records and a real reference profile."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitoring.errors import GroupUnknown, NothingActive, RecordRefused, ReportFailed
from monitoring.records.store import Record, RecordStore
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
    assert not Jobs.in_file(serving / "var" / "jobs.db").list()


def test_a_report_names_the_pages_it_drew(serving: Path) -> None:
    """Without traffic there is nothing to draw; with it the printed paths exist; no job is started."""
    assert "Send queries" in refusal(ReportFailed, "report").next_step
    keep(serving, World().records(30))
    pages = [Path(line.strip()) for line in output("report").splitlines() if line.endswith(".html")]
    assert pages
    assert all("Verdict" in page.read_text() for page in pages[:1])
    assert not Jobs.in_file(serving / "var" / "jobs.db").list()


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


def test_answers_whose_texts_are_not_kept_are_not_offered(serving: Path) -> None:
    """The queue says how many there are and what to set, and shows none of them to grade."""
    keep(serving, World().records(300))
    for command in ("audits", "grade"):
        said = output(command)
        assert "drawn answers cannot be shown, for texts are not kept: set ROUTEMOA_STORE_TEXT=true" in said
        assert "r-" not in said
    assert "0 graded, 0 wait." in said


def test_grading_without_a_terminal_says_so(serving: Path) -> None:
    """As over ssh or in CI: the command that reports one grade is named, exit code 2, no traceback."""
    keep(serving, [replace(record, text="What is a clause?") for record in World().records(300)])
    command = [sys.executable, "-m", "cli.main", "grade", "--limit", "2"]
    done = subprocess.run(
        command,
        env={**os.environ, "ROUTEMOA_HOME": str(serving)},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 2, done.stderr
    assert "needs a terminal; without one, report by `routemoa audits DECISION 1`" in done.stderr
    assert "Traceback" not in done.stderr


def test_answers_are_graded_one_after_the_other_with_a_key_each(serving: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """J is right, f is wrong, a digit is tenths, s skips for this grader, q stops; other keys do nothing."""
    records = [
        replace(record, text="What is a clause?", decision={"text": "A part of a contract.", "score": 0.5})
        for record in World().records(300)
    ]
    keep(serving, records)
    before = int(output("audits").split(" of ")[-1].split(".")[0])
    assert before > 6
    said = output("grade", keys="jxf7sq")
    assert "A part of a contract." in said
    assert f"3 graded, {before - 3} wait." in said
    (store,) = [RecordStore(serving / "var" / "records.db")]
    graded = sorted(record.outcome.score for record in store.scan(0, 2e12) if record.outcome is not None)
    assert graded == [0.0, 0.7, 1.0]
    assert "2 graded" in output("grade", "--limit", "2", keys="jj")
    said = output("quality")
    assert said.splitlines()[1].split()[1] == "domain"
    assert "all" in said
    assert "5" in said
    assert "newest" not in said
    monkeypatch.setattr("monitoring.quality.served_answers.MOST", 299)
    assert "Of the newest 299 answers of these 3650 days alone." in output("quality", "--days", "3650")


def test_groups_are_listed_named_audited_and_left(serving: Path) -> None:
    """From the monitor's last look: each with figures and examples; named it is a domain; jobs know its decisions."""
    assert "No group of unknown queries" in output("groups")
    keep(serving, [replace(record, text=f"Which clause of law {record.id}?", domain=None) for record in World().records(60, novel=0.5)])
    output("report")
    listed = output("groups")
    assert "unknown 1 (nearest:" in listed
    assert "nearest training queries:" in listed
    assert "Which clause of law" in listed
    assert "is law from now on" in output("groups", "name", "unknown 1", "law")
    assert "named: law" in output("groups")
    assert "4 answers of law wait for a grade: routemoa grade" in output("groups", "audit", "law", "--count", "4")
    assert "Job retrain-" in output("groups", "retrain", "law")
    assert "Job harvest-" in output("groups", "harvest", "law")
    assert Jobs.in_file(serving / "var" / "jobs.db").list()[0].arguments["groups"][0]["name"] == "law"
    assert "law" in output("verdict")
    assert "is left as it is" in output("groups", "leave", "law")
    assert "is no domain any more" in output("groups", "forget", "law")
    assert "routemoa groups" in refusal(GroupUnknown, "groups", "forget", "law").next_step
