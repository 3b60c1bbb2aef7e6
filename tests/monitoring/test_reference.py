"""A reference is one that its grader can check answers by."""

import pytest

from monitoring.errors import ReferenceRefused
from monitoring.records.reference import GRADERS, Reference, check
from pipelines.graders import kinds
from pipelines.graders.kinds import Task
from pipelines.graders.query import Query

RIGHT = {
    Reference("exact", "Oslo"): "Oslo",
    Reference("number", "1,234.5"): "It is 1234.5.",
    Reference("math", "\\frac{1}{2}"): "$0.5$",
    Reference("contains", '["Oslo", "Kristiania"]'): "It was called Kristiania.",
    Reference("choice", "b", ("Bergen", "Oslo")): "B",
}


@pytest.mark.parametrize(("reference", "answer"), RIGHT.items(), ids=lambda each: getattr(each, "grader", ""))
def test_what_is_accepted_grades_a_right_answer(reference: Reference, answer: str) -> None:
    """Every grader named here is one of those that grade, and gives a right answer 1 and another 0 by an accepted reference."""
    check(reference)
    query = Query("q", "Which?", reference.grader, reference.choices, reference.text)
    assert kinds.grade(Task(query, answer, 10)).score == 1.0
    assert kinds.grade(Task(query, "Trondheim", 10)).score == 0.0


def test_no_grader_runs_code_of_a_reference() -> None:
    """Whoever may report outcomes may not have code run: unit_tests and verifier are left out, all others are here."""
    assert {*GRADERS, "unit_tests", "verifier"} == {*kinds.GRADERS}
    assert {reference.grader for reference in RIGHT} == {*GRADERS}


@pytest.mark.parametrize(
    ("reference", "field", "message"),
    [
        (Reference("choise", "B", ("a", "b")), "grader", r"'choise'\. Did you mean choice"),
        (Reference("unit_tests", "{}"), "grader", "Known are|Did you mean"),
        (Reference("judge", "x"), "grader", "choice, number, math, exact, contains"),
        (Reference("choice", "B"), "choices", "Grader 'choice' needs the query's options; choices holds 0"),
        (Reference("choice", "C", ("a", "b")), "reference", "none of the letters AB"),
        (Reference("choice", "Oslo", ("Bergen", "Oslo")), "reference", "none of the letters AB"),
        (Reference("exact", "Oslo", ("Bergen", "Oslo")), "choices", "'exact' reads no choices"),
        (Reference("exact", " . "), "reference", "is empty"),
        (Reference("math", ""), "reference", "is empty"),
        (Reference("number", "12 or 15"), "reference", "not one number"),
        (Reference("number", "(" * 4000), "reference", "not one number"),
        (Reference("contains", "Oslo"), "reference", "not a JSON list of phrases"),
        (Reference("contains", "[]"), "reference", "not a JSON list of phrases"),
        (Reference("contains", "[" * 4000), "reference", "not a JSON list of phrases"),
    ],
)
def test_what_no_grader_could_use_is_refused(reference: Reference, field: str, message: str) -> None:
    """The error names the field that is wrong, and what would be right."""
    with pytest.raises(ReferenceRefused, match=message) as refused:
        check(reference)
    assert refused.value.field == field
