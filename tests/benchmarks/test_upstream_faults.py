"""The fault matrix counts what is wrong, and a few of its faults leave nothing to count."""

from dataclasses import replace

import pytest

from benchmarks import upstream_faults
from benchmarks.upstream_faults import Cell, counts, table
from benchmarks.upstream_world import FAULTS

GOOD = Cell("ok", "routemoa", "first", False, 200, "complete", None, "two", 0.1, True, 0.001)


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({}, []),
        ({"took_s": 3.6}, ["late"]),
        ({"took_s": 3.6, "control_s": 0.2}, []),
        ({"took_s": 9.0, "control_s": 5.0}, ["late"]),
        ({"fault": "http-503"}, []),
        ({"fault": "http-503", "llm": "one"}, ["looks complete though the LLM failed"]),
        ({"fault": "http-503", "bad": "all"}, ["looks complete though the LLM failed"]),
        ({"fault": "content-empty", "bad": "all", "model": "one"}, []),
        ({"ended": "error", "status": 500, "code": "internal_error"}, ["our own fault"]),
        ({"recorded": False, "cost_usd": None}, ["without a record"]),
        ({"cost_usd": -1.0}, ["costs less than nothing"]),
    ],
)
def test_what_is_wrong_is_counted(changed, wrong) -> None:
    """Each rule by itself; an empty answer of an LLM that was named is its answer, and what a control has to wait is no lateness."""
    cell = replace(GOOD, **changed)
    assert list(cell.wrongs(FAULTS[cell.fault])) == wrong
    assert counts([cell])["wrong"] == dict.fromkeys(wrong, 1)


def test_requests_that_nobody_answered_though_others_stood_by_are_named() -> None:
    """Only where the first alone has the fault."""
    failed = replace(GOOD, fault="http-503", ended="error", status=502, code="no_answer")
    assert len(counts([failed])["unanswered though others stood by"]) == 1
    assert counts([replace(failed, bad="all")])["unanswered though others stood by"] == []


@pytest.mark.long
def test_a_few_faults_through_real_servers() -> None:
    """Nothing late, lost or half, and whoever stands by answers."""
    cells = upstream_faults.measure(["ok", "connect-refused", "connect-hangs", "hang-before-headers", "http-503", "error-event-midway"])
    found = counts(cells)
    assert (found["requests"], found["wrong"]) == (60, {})
    assert {each.split(",")[0] for each in found["unanswered though others stood by"]} <= {"error-event-midway"}  # after its first words
    assert table(cells).count("\n") == 8
