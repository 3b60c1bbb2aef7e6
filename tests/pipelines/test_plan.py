"""A retraining says beforehand what it is for, what it takes in, whom it asks, for how many USD and what is expected."""

import asyncio
import json
from pathlib import Path

import pytest

from monitoring.audits.group_actions import Chosen
from monitoring.records.reference import Reference
from monitoring.records.store import RecordStore
from pipelines import harvest, params, plan
from pipelines.project import Project
from registry import pool, retraining_plan
from registry.settings import Settings
from tests.cli.command_line import output
from tests.pipelines.endpoint import Endpoint
from tests.pipelines.test_consensus import asked  # noqa: F401 - a fixture

Asked = tuple[Project, Endpoint, Endpoint, str]


def test_a_plan_counts_calls_and_money_and_asks_nobody(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Of the five queries of a group one is graded by a reference, four wait for consensus; two LLMs are asked all of them."""
    project, one, other, _ = asked
    store = RecordStore(project.records)
    records = store.scan(0, 2000)[:5]

    async def audit() -> None:
        await store.report_outcome(records[0].id, 0.0, "audit", Reference("number", "1"))
        await store.close()

    asyncio.run(audit())
    parsed = params.load(project.params)
    found = harvest.look(project, parsed.label)
    made = plan.make(
        project, pool.load(Settings(home=project.home).pool_file), parsed, found, [Chosen("sums", tuple(each.id for each in records))]
    )
    assert (len(made.harvest.new), made.pending, made.missing) == (1, 4, {"one": 5, "other": 5})
    assert made.usd == pytest.approx(sum(bill.usd for bill in made.bills))
    assert made.usd > 0
    (cause,) = made.causes
    assert (cause.answers, cause.audited, cause.outcome) == (5, 1, 0.0)
    assert cause.expected == pytest.approx(10 * 0.5 / 11)
    said = "\n".join(made.lines())
    for part in (
        "sums: 5 answers, promised 0.50, 1 audited at 0.00",
        "Takes in: 6 records",
        "where these agree: 4",
        "Asks: one 5, other 5.",
        "USD",
    ):
        assert part in said
    assert one.asked.total() == other.asked.total() == 0
    monkeypatch.setenv("ROUTEMOA_HOME", str(project.home))
    printed = output("retrain", "--plan", "--harvest")
    assert "Takes in: 6 records, 6 with text: 1 new queries" in printed
    assert "Left out: 5 that nothing would grade" in printed


def test_a_server_reads_the_plan_of_a_named_group(asked: Asked) -> None:  # noqa: F811
    """From a process of its own: the same figures as JSON; a group that is none has no plan."""
    project, _, _, _ = asked
    store = RecordStore(project.records)
    members = tuple(each.id for each in store.scan(0, 2000)[:5])
    look = {"groups": [{"id": "0", "name": "unknown 1", "members": members}]}
    (project.var / "reports").mkdir()
    (project.var / "reports" / "latest.json").write_text(json.dumps(look))
    told = retraining_plan.told(project.home, ["unknown 1"]).plan
    assert told is not None
    assert (told["new"], told["pending"], told["missing"]) == (0, 5, {"one": 5, "other": 5})
    assert told["usd"] > 0
    assert any("unknown 1: 5 answers, promised 0.50, none audited" in line for line in told["lines"])
    assert [(cause["name"], cause["answers"], cause["expected"]) for cause in told["causes"]] == [("unknown 1", 5, 0.5)]
    assert sum(told["usd_by_llm"].values()) == pytest.approx(told["usd"])
    refused = retraining_plan.told(project.home, ["nothing"])
    assert refused.plan is None
    assert "No group of unknown queries is called 'nothing'." in (refused.why_not or "")


def test_a_host_that_does_not_train_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where a plan is told: a server in a container has no project, or has it without what trains."""
    assert retraining_plan.told(tmp_path).why_not == retraining_plan.NOT_HERE
    (tmp_path / "params.yaml").touch()
    monkeypatch.setattr("registry.extras._installed", lambda required: required.name != "dvc")
    told = retraining_plan.told(tmp_path)
    assert told.plan is None
    assert told.why_not == "This host trains nothing: Not installed: dvc. `routemoa retrain --plan` tells it where the worker is."
