"""What the demo keeps from its first scorer."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from local.errors import StepFailed
from local.held_back import HeldBack
from pipelines import tables
from pipelines.answer_store import AnswerStore, asked_with
from pipelines.dataset import RosterLLM
from pipelines.project import Project
from pipelines.query_selection import in_hash_order
from registry import pool as pools

DOMAINS = ("mathematics", "law", "sql")


def entry(name: str, port: int) -> dict[str, Any]:
    """A pool entry on a local server."""
    return {
        "name": name,
        "endpoint": {"base_url": f"http://127.0.0.1:{port}/v1", "served_name": "weights", "api_key_env": None},
        "price": {"input": 1, "output": 1},
        "max_training_queries": None,
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project of 12 queries in three domains and two LLMs on the same weights, each with an answer to each query."""
    project = Project(tmp_path)
    fixed = {**dict.fromkeys(tables.QUERIES.names, "x"), "choices": [], "reference": "yes", "grader": "exact"}
    rows = [
        fixed
        | {
            "query_id": f"q{number}",
            "text": f"text {number}",
            "choices": [],
            "domain": DOMAINS[number % 3],
            "reference": "yes",
            "grader": "exact",
        }
        for number in range(12)
    ]
    tables.write(project.queries, pd.DataFrame(rows), tables.QUERIES)
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "pool.yaml").write_text(yaml.safe_dump({"llms": {"direct": entry("D", 1), "steps": entry("S", 1)}}))
    llms = pools.load(tmp_path / "registry" / "pool.yaml")
    empty = {**dict.fromkeys(tables.ANSWERS.names), "sample": 0, "finish_reason": "stop"}
    for llm, text in (("direct", "yes"), ("steps", "no")):
        asked = [asked_with(llms.by_id(llm), row["text"]) for row in rows]
        answers = [empty | {"query_id": f"q{at}", "llm": llm, "text": text, "asked_with": hashed} for at, hashed in enumerate(asked)]
        tables.write(project.answers(llm), pd.DataFrame(answers), tables.ANSWERS)
    return tmp_path


def test_queries_of_some_domains_are_kept_back(home: Path) -> None:
    """They leave the pool and are there in hash order; doing it twice changes nothing."""
    held_back, project = HeldBack(home), Project(home)
    for _ in range(2):
        assert held_back.keep_queries({"law", "sql"}) == 8
        assert set(tables.read(project.queries, tables.QUERIES)["domain"]) == {"mathematics"}
    ids = [row["query_id"] for row in held_back.queries()]
    assert ids == in_hash_order(ids)
    assert {row["domain"] for row in held_back.queries()} == {"law", "sql"}


def test_queries_that_the_joiner_would_be_asked_while_somebody_waits_are_left_out(home: Path) -> None:
    """Those without a recorded answer of its; all stay where it has none at all."""
    held_back, project = HeldBack(home), Project(home)
    answers = tables.read(project.answers("steps"), tables.ANSWERS)
    tables.write(project.answers("steps"), answers[answers["query_id"] != "q3"], tables.ANSWERS)
    held_back.leave_out_unasked("steps")
    held_back.leave_out_unasked("nobody")
    assert set(tables.read(project.queries, tables.QUERIES)["query_id"]) == set(answers["query_id"]) - {"q3"}


def test_an_llm_is_kept_back_and_comes_as_one_that_joins(home: Path) -> None:
    """Out of the pool with its answers; the others are asked only what is recorded; its entry is on its server's present address."""
    held_back, project, pool_file = HeldBack(home), Project(home), home / "registry" / "pool.yaml"
    held_back.keep_answers()
    held_back.keep_queries({"law"})
    held_back.keep_llm("steps")
    llms = yaml.safe_load(pool_file.read_text())["llms"]
    assert set(llms) == {"direct"}
    assert llms["direct"]["max_training_queries"] == 8
    assert not project.answers("steps").exists()
    pool_file.write_text(pool_file.read_text().replace("127.0.0.1:1/", "127.0.0.1:2/"))
    joiner = held_back.joiner()
    assert (joiner["id"], joiner["trained"], joiner["endpoint"]["base_url"]) == ("steps", "row", "http://127.0.0.1:2/v1")
    assert joiner["max_training_queries"] == 8
    assert held_back.give_answers("nobody") == 0
    assert held_back.give_answers("steps") == len(tables.read(project.answers("steps"), tables.ANSWERS)) == 12
    with pytest.raises(StepFailed, match=r"The pool has no 'steps', which joins in the demo"):
        held_back.keep_llm("steps")


def test_what_nobody_was_trained_on_is_labelled_from_the_recorded_answers(home: Path) -> None:
    """Served queries are left out; labels are of each LLM's own answers."""
    held_back = HeldBack(home)
    held_back.keep_answers()
    held_back.keep_queries({"law", "sql"})
    roster = [RosterLLM(llm, llm, "active", 1, 1) for llm in ("direct", "steps", "nobody")]
    served = {row["query_id"] for row in held_back.queries()[:3]}
    data = held_back.unseen(served, roster)
    assert set(data.queries["query_id"]) == {row["query_id"] for row in held_back.queries()[3:]}
    assert pd.DataFrame(data.labels_QL).fillna(-1).drop_duplicates().to_numpy().tolist() == [[1.0, 0.0, -1.0]]


def test_answers_that_an_earlier_demos_stage_put_aside_are_kept_back_too(home: Path) -> None:
    """The stage wrote what the smaller query pool wants; a second demo still knows the answers to the queries it holds back."""
    held_back, project = HeldBack(home), Project(home)
    whole = tables.read(project.queries, tables.QUERIES)
    held_back.keep_answers()
    held_back.keep_queries({"law", "sql"})
    left = tables.read(project.queries, tables.QUERIES)
    llm = pools.load(home / "registry" / "pool.yaml").by_id("direct")
    AnswerStore(project, llm).write(dict(zip(left["query_id"], left["text"], strict=True)))
    assert len(tables.read(project.answers("direct"), tables.ANSWERS)) == len(left) == 4
    tables.write(project.queries, whole, tables.QUERIES)
    held_back.keep_answers()
    assert len(tables.read(held_back.folder / "answers" / "direct.parquet", tables.ANSWERS)) == 12
