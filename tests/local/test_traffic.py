"""The demo's visitor against a real server."""

from pathlib import Path
from typing import Any

import pytest

from local.errors import StepFailed
from local.traffic import Visitor, read
from pipelines import tables


def query(text: str, reference: str, grader: str = "contains") -> dict[str, Any]:
    """A row of the query pool."""
    fixed = dict.fromkeys(tables.QUERIES.names, "x")
    return {**fixed, "query_id": text, "text": text, "reference": reference, "grader": grader, "choices": [], "domain": "arithmetic"}


def test_answers_are_graded_and_reported_in_order(visitor: Visitor) -> None:
    """Each query's answer is graded by its own grader, the score is the decision's outcome, and the domain travels with it."""
    response = visitor.ask(query("2 + 2?", ""), virtual_model="echo", max_tokens=8)
    assert response is not None
    text = response["choices"][0]["message"]["content"]
    asked = [query("2 + 2?", f'["{text[:5]}"]'), query("3 + 3?", '["never in there"]'), query("4 + 4?", "", "no-such-grader")]
    served = visitor.ask_all(asked, virtual_model="echo", max_tokens=8, title="a test")
    assert [one.score for one in served] == [1.0, 0.0, None]
    assert {one.llm for one in served} == {"echo"}
    assert all(one.cost_usd > 0 for one in served)
    kept = [visitor.request("GET", f"/v1/decisions/{one.decision}") for one in served]
    assert [decision["outcome"] and decision["outcome"]["score"] for decision in kept] == [1.0, 0.0, None]
    assert {decision["domain"] for decision in kept} == {"arithmetic"}


def test_an_audit_brings_the_right_answer(visitor: Visitor) -> None:
    """The first `audited` ones are reported as audits, the others by the user."""
    asked = [query("2 + 2?", '["four"]'), query("3 + 3?", '["six"]')]
    served = visitor.ask_all(asked, virtual_model="echo", max_tokens=8, title="a test", audited=1)
    outcomes = [visitor.request("GET", f"/v1/decisions/{one.decision}")["outcome"] for one in served]
    assert [outcome["source"] for outcome in outcomes] == ["audit", "user"]


def test_what_was_served_before_is_not_asked_again(visitor: Visitor, tmp_path: Path) -> None:
    """An interrupted act goes on: decisions of before stay, in the order of the queries."""
    kept, asked = tmp_path / "act.jsonl", [query(f"{number}?", '["x"]') for number in range(3)]
    first = visitor.ask_all(asked[1:2], virtual_model="echo", max_tokens=8, title="a test", kept=kept)
    served = visitor.ask_all(asked, virtual_model="echo", max_tokens=8, title="a test", kept=kept)
    assert served[1] == first[0]
    assert [one.query_id for one in served] == ["0?", "1?", "2?"]
    assert {one.query_id for one in read(kept)} == {"0?", "1?", "2?"}


def test_an_answer_that_does_not_come_in_time_is_a_row(visitor: Visitor) -> None:
    """The demo goes on: late, without a grade or a cost."""
    hasty = Visitor(visitor.url, visitor.api_key, patience=1e-6)
    [served] = hasty.ask_all([query("2 + 2?", '["x"]')], virtual_model="echo", max_tokens=8, title="a test")
    assert (served.late, served.score, served.cost_usd) == (True, None, 0.0)


def test_an_answer_of_the_server_that_is_no_success_ends_the_step(visitor: Visitor) -> None:
    """The error has the request, the status and what the server answered."""
    with pytest.raises(StepFailed, match=r"^GET /v1/decisions/nobody answered 404: .*decision_not_found"):
        visitor.request("GET", "/v1/decisions/nobody")
    with pytest.raises(StepFailed, match=r"answered 401"):
        Visitor(visitor.url, "rm-wrong").ask(query("2 + 2?", ""), virtual_model="echo", max_tokens=8)
