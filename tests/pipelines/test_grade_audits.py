"""Machines grade what was drawn: code where there is a reference, else a judge within its budget; people's grades stay as they are."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mixture.client.openai import OpenAIClient
from mixture.llm import LLM
from mixture.price import Price
from monitoring.audits.audit_queue import AuditQueue
from monitoring.audits.machine_grading import MachineGrading
from monitoring.records.record import AUDIT, Draw
from monitoring.records.reference import Reference
from monitoring.records.store import RecordStore
from pipelines import query_pool, tables
from pipelines.grade_audits import Graded, Round, _worst_case_usd
from pipelines.graders.query import Query
from pipelines.params import Label
from pipelines.project import Project
from registry.settings import Settings
from tests.monitoring.conftest import MakeRecord, make_record  # noqa: F401 - a fixture
from tests.pipelines.test_label import JudgeServer, judging  # noqa: F401 - a fixture

LABEL = Label(timeout_s=10, judge="the-judge", reward_model=None, reliability={})
Served = tuple[Project, RecordStore]


@pytest.fixture
def served(tmp_path: Path, make_record: MakeRecord) -> Served:  # noqa: F811
    """Drawn answers: one to a query of the pool, one whose reference was reported, two that only an opinion can grade, one undrawn."""
    project = Project(tmp_path)
    row = dict.fromkeys(tables.QUERIES.names, "x") | {"query_id": "q-1", "text": "What is one and one?", "choices": []}
    query_pool.write([row | {"grader": "number", "reference": "2"}], project.queries)
    store = RecordStore(project.records)
    answers = {
        "of-pool": ("What is one and one?", "2"),
        "reported": ("Name the capital.", "Bergen"),
        "open-1": ("Write a line.", "a line"),
        "open-2": ("Write more.", "long long line"),
        "undrawn": ("What is one and one?", "3"),
    }
    made = [make_record(each, text=query, decision={"text": answer, "score": 0.5}) for each, (query, answer) in answers.items()]

    async def keep() -> None:
        for record in made:
            await store.append(record)
        await store.report_outcome("reported", 0.5, "user", Reference("exact", "Oslo"))

    asyncio.run(keep())
    store.decide_draws([Draw(each, 0.5, each != "undrawn") for each in answers])
    return project, store


def grade(served: Served, judge: LLM | None, usd: float = 1.0) -> Graded:
    project, _ = served

    async def once() -> Graded:
        async with OpenAIClient() as client:
            return await Round(project, RecordStore(project.records), LABEL, usd).grade(judge, client)

    return asyncio.run(once())


def test_code_grades_what_has_a_reference_and_the_judge_the_rest(served: Served, judging: tuple[JudgeServer, LLM]) -> None:  # noqa: F811
    """A reference of the pool or a report makes an audit; of others the judge has an opinion, once; an undrawn answer is left alone."""
    _, store = served
    assert "2 drawn answers graded by code, 2 opinions given" in str(grade(served, judging[1]))
    records = {record.id: record.outcome for record in store.scan(0, 2000)}
    assert (records["of-pool"].score, records["of-pool"].source, records["of-pool"].reported_by) == (1.0, AUDIT, "grader:number")
    assert (records["reported"].score, records["reported"].reference) == (0.0, Reference("exact", "Oslo"))
    assert records["open-1"] is None
    assert records["undrawn"] is None
    queue = AuditQueue(store)
    (opinion,) = queue.opinions("open-1")
    assert (opinion.grader, opinion.score) == ("judge:the-judge", pytest.approx(0.9))
    assert opinion.cost_usd > 0
    assert queue.opinions("open-2")[0].score == pytest.approx(0.2)
    assert queue.count() == 2  # people still grade those
    asked = judging[0].asked
    grade(served, judging[1])
    assert judging[0].asked == asked


def test_the_judge_stays_within_the_days_budget(served: Served, judging: tuple[JudgeServer, LLM]) -> None:  # noqa: F811
    """What a verdict may cost at most has to fit in what is left; the rest waits; a price that nobody knows is never paid."""
    dear = replace(judging[1], price=Price(100, 100))
    assert grade(served, dear, usd=0.0).left == 2
    assert judging[0].asked == 0
    one = _worst_case_usd(dear, Query("q", "Write a line.", "judge"), "long long line")  # more than the worst of either
    done = grade(served, dear, usd=one + 0.0001)
    assert (done.opinions, done.left) == (1, 1), done
    assert 0 < done.usd < one


def test_no_llm_judges_itself(served: Served, judging: tuple[JudgeServer, LLM]) -> None:  # noqa: F811
    """Its own answers wait for people."""
    same = replace(judging[1], id="large")  # which answered all of them
    assert grade(served, same).opinions == 0


def test_the_monitor_starts_a_round_after_a_draw_and_once_a_day(tmp_path: Path) -> None:
    """None where nothing was drawn, none beside one that runs; a failing one is logged and the next still starts."""
    now, log = [0.0], tmp_path / "rounds"
    command = (sys.executable, "-c", f"open({str(log)!r}, 'a').write('x'); raise SystemExit(1)")
    with MachineGrading(Settings(home=tmp_path), clock=lambda: now[0], command=command) as grading:

        def noted(drawn: int) -> int:
            grading.note(drawn)
            if grading._thread is not None:
                grading._thread.join()
            return len(log.read_text())

        assert [noted(0), noted(0), noted(3), noted(0)] == [1, 1, 2, 2]
        now[0] = 90_000.0
        assert noted(0) == 3
