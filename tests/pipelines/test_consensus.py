"""What nothing grades gets a reference where the pool agrees; what was bought stays, however asking ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from monitoring.records.store import RecordStore
from pipelines import journal, query_pool, tables
from pipelines.consensus import by_consensus
from pipelines.project import Project
from registry.jobs import Jobs
from tests.pipelines.endpoint import Endpoint, running
from tests.pipelines.served import serve
from tests.pipelines.test_ask_all import entry

ROOT = Path(__file__).parents[2]
ROW = dict.fromkeys(tables.QUERIES.names, "x") | {"choices": [], "grader": "judge", "licence": "not for publication"}
FAMILIES = {"a": "one", "b": "two", "c": "three", "again": "one"}


@pytest.mark.parametrize(
    ("answers", "reference"),
    [
        ({"a": "The answer is 42.", "b": "42", "c": "41"}, ("number", "42")),
        ({"a": "Oslo", "b": "oslo.", "c": "I cannot say."}, ("exact", "oslo")),
        ({"a": "42", "b": "41", "c": "40"}, None),
        ({"a": "42", "again": "42", "b": "41"}, None),  # the same weights repeat themselves
        ({"a": "42", "b": "42", "c": "41", "again": "41"}, None),  # half is not more than half
        ({"a": "A long story about a river that runs to the sea.", "b": "Another one, of hills."}, None),
        ({}, None),
    ],
)
def test_a_reference_needs_agreement_of_different_weights(answers: dict[str, str], reference: tuple[str, str] | None) -> None:
    """More than half of the readable answers, and two LLMs that are not the same; the row says how it came to it."""
    agreed = by_consensus(ROW, answers, FAMILIES, timeout_s=10)
    assert (None if agreed is None else (agreed["grader"], agreed["reference"])) == reference
    if agreed is not None:
        assert agreed["licence"] == "not for publication; reference by consensus"


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[tuple[Project, Endpoint, Endpoint, str]]:
    """A project with six served queries that nothing grades, a job for five of them, and two LLMs that agree on all but one."""
    made = Project(tmp_path)
    with running() as one, running() as other:
        params = YAML().load(ROOT / "params.yaml")
        params["answer"]["retries"] = 0
        YAML().dump(params, tmp_path / "params.yaml")
        (tmp_path / "registry").mkdir()
        YAML().dump({"llms": {"one": _entry(one, "small"), "other": _entry(other, "large")}}, tmp_path / "registry" / "pool.yaml")
        query_pool.write([ROW | {"query_id": "q-1", "text": "What is one and one?"}], made.queries)
        texts = [f"How much is {at} and one?" for at in range(6)]
        serve(made.records, *texts)
        for at, text in enumerate(texts):
            one.knows[text], other.knows[text] = f"The answer is {at + 1}.", str(at + 1 if at else 99)
        members = [record.id for record in RecordStore(made.records).scan(0, 2000)][:5]
        job = Jobs.in_file(tmp_path / "var" / "jobs.db").submit("retrain", {"groups": [{"name": "sums", "members": members}]})
        yield made, one, other, job.id


def _entry(endpoint: Endpoint, served_name: str) -> dict[str, Any]:
    changed = entry(endpoint.url)
    return {**changed, "endpoint": {**changed["endpoint"], "served_name": served_name}}


def start(project: Project, job: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ROUTEMOA_HOME": str(project.home)}
    command = [sys.executable, "-m", "pipelines.consensus", "--job", job]
    return subprocess.Popen(command, cwd=project.home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_groups_queries_are_asked_and_taken_in_where_the_pool_agrees(asked: tuple[Project, Endpoint, Endpoint, str]) -> None:
    """Four of five get a reference; the sixth query is no business of this job; a second run asks nobody again."""
    project, one, other, job = asked
    said, _ = start(project, job).communicate(timeout=120)
    assert "consensus: 4 of 5 queries that nothing else grades got a reference." in said
    rows = tables.read(project.harvested, tables.QUERIES)
    assert sorted(zip(rows["text"], rows["reference"], strict=True)) == [(f"How much is {at} and one?", str(at + 1)) for at in range(1, 5)]
    assert set(rows["grader"]) == {"number"}
    assert (one.asked.total(), other.asked.total()) == (5, 5)
    said, _ = start(project, job).communicate(timeout=120)
    assert "consensus: 0 of 1 queries" in said
    assert (one.asked.total(), other.asked.total()) == (5, 5)


def test_a_cancelled_round_loses_nothing_bought(asked: tuple[Project, Endpoint, Endpoint, str]) -> None:
    """Ended in the middle, the answers that came are kept, and the next round asks for the others alone."""
    project, one, other, job = asked
    other.delay_s = 0.3
    process = start(project, job)
    give_up = time.monotonic() + 60
    while len(journal.rows(project.journal("one"))) < 5:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode != 0
    kept = len(journal.rows(project.journal("other")))
    other.delay_s = 0.0
    before = other.asked.total()
    said, _ = start(project, job).communicate(timeout=120)
    assert "consensus: 4 of 5" in said
    assert one.asked.total() == 5
    assert other.asked.total() - before == 5 - kept
