"""Each grader reads an answer the way a careful person would, and never lets an answer hurt the run."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.reading.final_answer import final_answer
from mixture.reading.picks import picked
from mixture.reading.text import normalise
from pipelines.errors import GraderFailed
from pipelines.graders import choice, contains, exact, kinds, number, verifier
from pipelines.graders.query import Query

SHARED = Path(__file__).parents[3] / "shared" / "data"
ANY_TEXT = st.text(max_size=200)
SQL = {
    "name": "sql",
    "setup": "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z');",
    "query": "SELECT b FROM t WHERE a > 1",
}
CITIES = ("Paris", "Lyon", "New Lyon", "no")


def query(grader: str, reference: str, choices: tuple[str, ...] = ()) -> Query:
    return Query("q1", "?", grader, choices, reference)


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("B) Lyon", "B"),
        ("**B**", "B"),
        ("B. Lyon is right, (A) is not.", "B"),
        ("Answer: B", "B"),
        ("The answer is B", "B"),
        ("The correct answer is (B).", "B"),
        ("Option B", "B"),
        ("It is not (A) or (C).\nAnswer: (B)", "B"),
        ("(A) is tempting, (C) is wrong.\nB", "B"),
        ('{"reasoning": "...", "answer": "B"}', "B"),
        ("\\boxed{B}", "B"),
        ("lyon", "B"),
        ("Lyon.", "B"),
        ("I think it is Lyon", "B"),
        ("New Lyon", "C"),
        ("No, it does not.", "D"),
        ("A. Paris\nB. Lyon\nC. New Lyon\nD. no", None),
        ("A. Paris\nB. Lyon\n\nThe answer is B. Lyon", "B"),
        ("A. Paris\nB. Lyon\n\nB", "B"),
        ("A or B", None),
        ("Answer: (A) or (B)", None),
        ("A) Lyon", None),
        ("Paris or Lyon", None),
        ("A long story about nothing", None),
        ("I do", None),
        ("Z", None),
        ("", None),
    ],
)
def test_choice_reads_letter_or_text_and_refuses_two(answer: str, letter: str | None) -> None:
    """An option counts by its letter or its text however it is dressed; an answer that picks two options picks none."""
    assert picked(answer, CITIES, "ABCD") == letter


@given(answer=ANY_TEXT)
def test_choice_gives_at_most_one_letter_its_point(answer: str) -> None:
    """Whatever the answer, it is right for at most one reference letter."""
    assert sum(choice.grade(answer, query("choice", letter, CITIES)) for letter in "ABCD") in {0.0, 1.0}


@given(
    letter=st.sampled_from("ABCD"),
    frame=st.sampled_from(["{}", "({})", "{}.", "Answer: {}", "Hm, let us see.\nThe answer is ({}).", "**{}**"]),
)
def test_choice_reads_every_letter_in_every_frame(letter: str, frame: str) -> None:
    """No letter is read worse than another: A and I are words too."""
    assert choice.grade(frame.format(letter), query("choice", letter, CITIES)) == 1


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("42", "42"),
        ("So 6 * 7 = 42.", "42"),
        ("Answer: 42\nNote: 17 is not it.", "42"),
        ("Answer: 6 * 7 = 42", "42"),
        ("The answer is 42 because 40 + 2 makes it.", "42"),
        ("Answer:\n\n42 apples", "42"),
        ("$1,234.50", "1234.5"),
        ("1,234,567", "1234567"),
        ("-7", "-7"),
        ("−7 °C", "-7"),
        ("-$7", "-7"),
        ("$-7", "-7"),
        ("step-7", "7"),
        ("1/2", "0.5"),
        ("1 1/2", "1.5"),
        ("\\boxed{\\frac{3}{4}}", "0.75"),
        ("25%", "25"),
        ("25%", "0.25"),
        ("0.3333", "1/3"),
        ("6.02 x 10^23", "6.02e23"),
        ("1e3", "1000"),
        ("#### 18", "18"),
        ('{"answer": "$93"}', "93"),
        (".5", "0.5"),
        ("forty-two", "42"),
    ],
)
def test_number_reads_the_usual_notations(answer: str, reference: str) -> None:
    """Signs, separators, units, fractions, powers and marks of a final answer are understood."""
    assert number.grade(answer, query("number", reference)) == 1


@pytest.mark.parametrize(
    ("answer", "reference"),
    [("41", "42"), ("", "42"), ("forty-two", "2"), ("42, no: 43", "42"), ("1/0", "1"), ("0.34", "1/3"), ("2.5", "25"), ("4 2", "42")],
)
def test_number_is_not_generous(answer: str, reference: str) -> None:
    """Another number, no number, or the right one corrected away is wrong."""
    assert number.grade(answer, query("number", reference)) == 0


@given(value=st.integers(-(10**15), 10**15), around=st.sampled_from(["{}", "It is {}.", "Answer: {} euros", "= {}"]))
def test_number_reads_what_was_written(value: int, around: str) -> None:
    """Every whole number, with and without separators, is read back as itself and as no other."""
    for written in (str(value), f"{value:,}"):
        assert number.grade(around.format(written), query("number", str(value))) == 1
        assert number.grade(around.format(written), query("number", str(value + 1))) == 0


@given(answer=st.text(alphabet="0123456789.,/%$-+e^*x \n{}\\frac", max_size=300))
def test_number_survives_any_digits(answer: str) -> None:
    """No run of digits, signs and exponents makes the grader fail or take long."""
    assert number.grade(answer, query("number", "7")) in {0.0, 1.0}


def test_exact_forgives_form_not_content() -> None:
    """Case, spacing, quotes, fences and a full stop are form; words are content."""
    for answer in ("Hello World", " hello   world. ", '"hello world"', "```\nhello world\n```", "I would say so.\nAnswer: Hello World"):
        assert exact.grade(answer, query("exact", "hello world")) == 1
    for answer in ("hello", "hello worlds", "say hello world", 'It says "hello world" and "bye".', ""):
        assert exact.grade(answer, query("exact", "hello world")) == 0
    for answer in ('This code prints "hello world".', "The output is:\n```\nhello world\n```"):
        assert exact.grade(answer, query("exact", "hello world")) == 1


def test_exact_minds_case_where_the_query_asks_for_it() -> None:
    """The lower-case word is not what `upper()` prints."""
    upper = Query("q1", "What does print('silver'.upper()) print?", "exact", (), "SILVER")
    assert [exact.grade(text, upper) for text in ("SILVER", "Answer: SILVER", "silver")] == [1, 1, 0]


@given(text=ANY_TEXT)
def test_normalise_is_idempotent(text: str) -> None:
    """Normalising twice changes nothing, so equality does not depend on who normalised."""
    assert normalise(normalise(text)) == normalise(text)


@given(text=ANY_TEXT)
def test_a_marked_answer_is_one_line_of_the_text(text: str) -> None:
    """The final answer is always found in the answer itself."""
    marked = final_answer(text)
    assert marked is None or marked in text


def test_contains_wants_whole_words() -> None:
    """`Java` is not in `JavaScript`; any of several spellings will do; scripts without spaces are searched anywhere."""
    java = query("contains", json.dumps(["Java", "JDK"]))
    assert [contains.grade(text, java) for text in ("It is Java.", "the jdk", "JavaScript", "")] == [1, 1, 0, 0]
    assert contains.grade("Java it is not.\nAnswer: Python", java) == 0
    assert contains.grade("Well. " * 60 + "Java comes to mind.\nBut I cannot say.", java) == 0
    assert contains.grade("首都是北京市", query("contains", json.dumps(["北京"]))) == 1
    assert contains.grade("Run C++ here", query("contains", json.dumps(["C++"]))) == 1


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        ({"name": "words", "count": 3}, "one two three", "one two"),
        ({"name": "words", "at_least": 2, "at_most": 3}, "one two", "one two three four"),
        ({"name": "lines", "count": 2}, "a\n\nb", "a"),
        ({"name": "bullets", "count": 2}, "- a\n- b", "a\nb"),
        ({"name": "items", "count": 3}, "a, b, c", "a, b"),
        ({"name": "contains", "phrases": ["sea", "sun"]}, "Sun and sea", "sunny sea"),
        ({"name": "excludes", "phrases": ["sea"]}, "seal", "the sea"),
        ({"name": "without_letter", "letter": "e"}, "stop", "END"),
        ({"name": "matches", "pattern": "[A-Z]{2}\\d"}, "AB1", "AB12"),
        ({"name": "json_keys", "keys": ["a", "b"]}, '```json\n{"a": 1, "b": 2}\n```', '{"a": 1}'),
        ({"name": "json_equals", "value": [1, 2]}, "[1, 2]", "1, 2"),
        (SQL, "```sql\nSELECT b FROM t WHERE a > 1 ORDER BY b DESC;\n```", "SELECT b FROM t"),
        (SQL, "It is: SELECT t.b FROM t WHERE NOT a <= 1;", "DELETE FROM t WHERE a > 1"),
        (SQL, "select b from t where a in (2, 3)", "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n"),
        ({"name": "lower_case"}, "all small", "Not small"),
        ({"name": "upper_case"}, "LOUD", "Loud"),
        ({"name": "starts_with", "phrase": "Dear"}, "dear all", "all dear"),
        ({"name": "ends_with", "phrase": "Bye."}, "so long. Bye.", "Bye. So long"),
    ],
)
def test_verifier_checks_what_was_asked(check: dict[str, object], right: str, wrong: str) -> None:
    """Each check passes what follows the instruction and fails what does not, and silence follows none."""
    asked = query("verifier", json.dumps(check))
    assert (verifier.grade(right, asked), verifier.grade(wrong, asked)) == (1, 0)
    assert verifier.grade("", asked) == 0


def test_verifier_scores_the_share_of_checks() -> None:
    """Half of the instructions followed is half a point."""
    both = {"name": "all", "checks": [{"name": "lower_case"}, {"name": "words", "count": 2}]}
    assert verifier.grade("three small words", query("verifier", json.dumps(both))) == 0.5


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (query("choise", "A"), "No grader is called 'choise'. Did you mean choice"),
        (query("choice", "E", CITIES), "reference 'E' is none of the letters ABCD"),
        (query("number", "many"), "reference 'many' is not one number"),
        (query("exact", ""), "empty reference"),
        (query("contains", "Java"), "is not JSON"),
        (query("contains", '{"a": 1}'), "is not a JSON list"),
        (query("verifier", '{"name": "word"}'), "no check 'word'; known are words"),
        (query("verifier", '{"name": "words", "many": 3}'), "does not take"),
        (query("verifier", '{"name": "words"}'), "needs count, at_least or at_most"),
        (query("verifier", '{"name": "matches", "pattern": "("}'), "crashed"),
        (query("unit_tests", '{"prompt": "x"}'), "needs prompt, entry_point and test"),
    ],
)
def test_a_query_that_cannot_be_graded_gives_no_label(asked: Query, message: str) -> None:
    """A query or grader at fault leaves the answer unlabelled and says why; it is never a 0."""
    graded = kinds.grade(kinds.Task(asked, "B", 1.0))
    assert graded.score is None
    assert re.search(re.escape(message), graded.failure)


def test_an_endless_regular_expression_is_interrupted() -> None:
    """A grader that hangs is stopped, also inside the regular-expression engine."""
    asked = query("verifier", json.dumps({"name": "matches", "pattern": "(a+)+b"}))
    with pytest.raises(GraderFailed, match="hung"), kinds._at_most(0.2):
        verifier.grade("a" * 60, asked)


@pytest.mark.skipif(not (SHARED / "mmlu_pro").is_dir(), reason="needs ../shared/data/mmlu_pro")
def test_choice_agrees_with_published_grading() -> None:
    """On recorded answers of three LLMs our reading agrees with the benchmark's own (which guesses where it cannot read) on 98 %."""
    llms = ["Meta-Llama-3_1-8B-Instruct", "Phi-3-mini-4k-instruct", "Yi-34B"]
    outcomes = pd.read_parquet(SHARED / "mmlu_pro" / "outcomes.parquet", filters=[("llm", "in", llms)]).sample(900, random_state=0)
    queries = pd.read_parquet(SHARED / "mmlu_pro" / "queries.parquet").set_index("query_id")
    agreed = 0
    for row in outcomes.itertuples():
        asked = queries.loc[row.query_id]
        options = tuple(re.findall(r"(?m)^[A-J]\. (.*)$", asked["query"]))
        agreed += choice.grade(row.response or "", Query(row.query_id, asked["query"], "choice", options, asked["answer"])) == row.score
    assert agreed / len(outcomes) >= 0.98


@pytest.mark.skipif(not (SHARED / "zeroeval").is_dir(), reason="needs ../shared/data/zeroeval")
def test_number_agrees_with_published_grading() -> None:
    """On recorded answers of 55 LLMs to grade-school mathematics our reading agrees with the published one on 98.5 %."""
    queries = pd.read_parquet(SHARED / "zeroeval" / "queries.parquet").query("dataset == 'gsm'").set_index("query_id")
    outcomes = pd.read_parquet(SHARED / "zeroeval" / "outcomes.parquet")
    sample = outcomes[outcomes["query_id"].isin(queries.index)].sample(1500, random_state=0)
    agreed = sum(
        number.grade(row.response or "", query("number", str(queries.loc[row.query_id, "answer"]))) == row.score
        for row in sample.itertuples()
    )
    assert agreed / len(sample) >= 0.985
