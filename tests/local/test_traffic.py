"""The demo's visitor against a real server."""

from typing import Any

import pytest

from local.errors import StepFailed
from local.traffic import Visitor
from pipelines import tables


def query(text: str, reference: str, grader: str = "contains") -> dict[str, Any]:
    """A row of the query pool."""
    fixed = dict.fromkeys(tables.QUERIES.names, "x")
    return {**fixed, "query_id": text, "text": text, "reference": reference, "grader": grader, "choices": [], "domain": "arithmetic"}


def test_answers_are_graded_and_reported_in_order(visitor: Visitor) -> None:
    """Each query's answer is graded by its own grader, the score is the decision's outcome, and the domain travels with it."""
    text = visitor.ask(query("2 + 2?", ""), virtual_model="echo", max_tokens=8)["choices"][0]["message"]["content"]
    asked = [query("2 + 2?", f'["{text[:5]}"]'), query("3 + 3?", '["never in there"]'), query("4 + 4?", "", "no-such-grader")]
    served = visitor.ask_all(asked, virtual_model="echo", max_tokens=8, title="a test")
    assert [one.score for one in served] == [1.0, 0.0, None]
    assert {one.llm for one in served} == {"echo"}
    assert all(one.cost_usd > 0 for one in served)
    kept = [visitor.request("GET", f"/v1/decisions/{one.decision}") for one in served]
    assert [decision["outcome"] and decision["outcome"]["score"] for decision in kept] == [1.0, 0.0, None]
    assert {decision["domain"] for decision in kept} == {"arithmetic"}


def test_an_answer_of_the_server_that_is_no_success_ends_the_step(visitor: Visitor) -> None:
    """The error has the request, the status and what the server answered."""
    with pytest.raises(StepFailed, match=r"^GET /v1/decisions/nobody answered 404: .*decision_not_found"):
        visitor.request("GET", "/v1/decisions/nobody")
    with pytest.raises(StepFailed, match=r"answered 401"):
        Visitor(visitor.url, "rm-wrong").ask(query("2 + 2?", ""), virtual_model="echo", max_tokens=8)
