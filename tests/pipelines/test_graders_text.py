"""Texts, SQL and expressions are graded by what they mean: form is forgiven, denial and doubt are heard."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.graders import contains, exact, kinds, mathematics, rubric, verifier
from pipelines.graders.query import Query
from tests.mixture.reading.dresses import AFTER, CUT_OFF, REFUSALS, dressed, frames

WORDS = st.sampled_from(("Tokyo", "São Paulo", "Zürich", "Java", "C++", "北京", "Москва", "New York"))
FORMS = ("{}", "**{}**", "“{}”", "« {} »", "{}!", "`{}`", " {} ")
DENIED = (
    "It is not {}.",
    "The answer is not {}.",
    "Certainly not {}.",
    "{} is wrong.",
    "Es ist nicht {}.",
    "Ce n'est pas {}.",
    "No es {}.",
    "Não é {}.",
    "Non è {}.",
    "Это не {}.",
    "不是{}。",
    "It could be {}, Osaka or Nagoya.",
    "I'm not sure whether it is {}.",
    "It is Osaka, not {}.",
    "The answer is not {} but Osaka.",
    "{}ではありません。",
)


def query(grader: str, reference: str, text: str = "?") -> Query:
    return Query("q1", text, grader, (), reference)


@given(word=WORDS, form=st.sampled_from(FORMS), frame=frames)
def test_exact_and_contains_read_every_dress(word: str, form: str, frame: tuple[str, str, str]) -> None:
    """A stated text is right in every language and quotation, with thinking before and politeness behind."""
    said = form.format(word) if '"' not in frame[1] else word
    answer = dressed(frame, said)
    assert exact.grade(answer, query("exact", word)) == 1
    assert contains.grade(answer, query("contains", json.dumps([word]))) == 1


@given(word=WORDS, other=WORDS, frame=frames)
def test_another_text_stays_another(word: str, other: str, frame: tuple[str, str, str]) -> None:
    """In no dress is another text right."""
    answer = dressed(frame, other)
    assert word == other or exact.grade(answer, query("exact", word)) + contains.grade(answer, query("contains", json.dumps([word]))) == 0


@given(word=WORDS, sentence=st.sampled_from(DENIED + CUT_OFF + REFUSALS), after=st.sampled_from(AFTER[:4]))
def test_what_is_denied_doubted_or_refused_is_not_contained(word: str, sentence: str, after: str) -> None:
    """A phrase counts where it is asserted, not where it occurs."""
    assert contains.grade(sentence.format(word) + after, query("contains", json.dumps([word]))) == 0


@pytest.mark.parametrize(
    ("phrase", "answer", "score"),
    [
        ("Sao Paulo", "São Paulo", 1),
        ("São Paulo", "It is Sao Paulo.", 1),
        ("twenty one", "twenty-one", 1),
        ("1000", "There are 1,000.", 1),
        ("12", "12.5", 0),
        ("5", "-5", 0),
        ("37", "37.0", 1),
        ("H2O", "It is H₂O.", 1),
        ("don't", "don’t", 1),
        ("Tokyo", "Neither Tokyo nor Osaka.", 0),
        ("Tokyo", "Not only is Tokyo big, it is also the capital.", 1),
        ("37", "37.025", 0),
        ("7", "It opens at 7:30.", 0),
        ("1500", "1.5 thousand", 1),
        ("5", "2.5", 0),
        ("AT&T", "AT&amp;T", 1),
        ("apple", "apples", 0),
        ("İstanbul", "istanbul", 1),
        ("서울", "서울입니다.", 1),
        ("not guilty", "He is not guilty.", 1),
        ("Tokyo", "Tokyo is the capital. " + "It has many people. " * 20, 1),
        ("Tokyo", "It is Tokyo. " + "It is big. " * 40 + "\n\nLet me know!", 1),
        ("Tokyo", "Well. " * 60 + "Tokyo comes to mind.\nBut I cannot say.", 0),
        ("Tokyo", "I'm not sure, but I think it is Tokyo.", 1),
    ],
)
def test_contains_minds_words_numbers_and_accents(phrase: str, answer: str, score: float) -> None:
    """Whole words and whole numbers; accents, hyphens, entities and separators are form."""
    assert contains.grade(answer, query("contains", json.dumps([phrase]))) == score


@pytest.mark.parametrize(
    ("reference", "answer", "score"),
    [
        ("[1, 2, 3]", "[1,2,3]", 1),
        ("[1, 2, 3]", "[1, 2, '3']", 0),
        ("(1, 2)", "[1, 2]", 0),
        ("0.50", "0.5", 1),
        ("3.0", "3", 0),
        ("0.5", "0.05", 0),
        ("{'a': 1}", '{"a": 1}', 1),
        ("Yes", "Yes, it is.", 1),
        ("No", "Answer: No.", 1),
        ("Non", "Réponse : Non", 1),
        ("Yes", "No, it is not.", 0),
        ("Tokyo", "\\boxed{\\text{Tokyo}}", 1),
        ("Tokyo", "The capital is Tokyo.", 0),
        ("007", "7", 0),
        ("True", "1", 0),
    ],
)
def test_exact_compares_literals_by_value(reference: str, answer: str, score: float) -> None:
    """Spacing of a list is form; the type of a value and leading zeros are content."""
    assert exact.grade(answer, query("exact", reference)) == score


@pytest.mark.parametrize(
    ("reference", "answer", "score"),
    [
        ("\\frac{1}{2}", "The answer is \\boxed{\\frac{2}{4}}", 1),
        ("\\{1, 2\\}", "\\boxed{\\{2, 1\\}}", 1),
        ("[1, 2)", "\\boxed{[1,2)}", 1),
        ("[1, 2)", "\\boxed{[1,2]}", 0),
        ("x^2 + 2x + 1", "Answer: $(x+1)^2$", 1),
        ("\\frac{\\pi}{2}", "The answer is $\\frac{\\pi}{2}$.", 1),
        ("\\sqrt{3}", "\\boxed{3}", 0),
        ("3", "\\boxed{\\sqrt{3}}", 0),
        ("\\sqrt{8}", "$2\\sqrt{2}$", 1),
        ("12", "12 or 15", 0),
        ("9500", "\\boxed{9{,}500}", 1),
        ("\\pi", "<think>\\boxed{\\pi}", 0),
        ("(1, 2)", "\\boxed{(1, 2)}", 1),
        ("(1, 2)", "\\boxed{(2, 1)}", 0),
        ("1", "", 0),
        ("2\\pi", "I cannot help with 2\\pi.", 0),
    ],
)
def test_math_compares_expressions(reference: str, answer: str, score: float) -> None:
    """Equal expressions, sets and intervals are right however they are written; a part of one is not."""
    assert mathematics.grade(answer, query("math", reference)) == score


def test_math_refuses_a_reference_it_cannot_read() -> None:
    """No expression, no label."""
    graded = kinds.grade(kinds.Task(query("math", ""), "3", 1.0))
    assert graded.score is None
    assert "no expression" in graded.failure


@pytest.mark.parametrize(
    ("check", "answer", "score"),
    [
        ({"name": "json_equals", "value": 1}, "true", 0),
        ({"name": "json_equals", "value": 1.0}, "1", 1),
        ({"name": "json_keys", "keys": ["a"]}, '{"a": NaN}', 0),
        ({"name": "words", "at_most": 3}, "今天天气很好", 0),
        ({"name": "words", "count": 2}, "<think>one two three</think>four five", 1),
        ({"name": "lower_case"}, "<think>LOUD</think>small", 1),
        ({"name": "bullets", "count": 2}, "– one\n– two", 1),
        ({"name": "json_equals", "value": {"a": 1, "b": [2]}}, '{"b": [2], "a": 1}', 1),
    ],
)
def test_verifier_reads_what_is_said_strictly(check: dict[str, object], answer: str, score: float) -> None:
    """Thinking is not checked; JSON is JSON; a letter of Chinese is a word."""
    assert verifier.grade(answer, query("verifier", json.dumps(check))) == score


@pytest.mark.parametrize(
    "answer",
    [
        "SELECT b FROM t WHERE a > 1;",
        "You can do this with a filter:\n\nSELECT b FROM t WHERE a > 1",
        "To select them:\nselect b from t where a > 1\n\nThis selects with care.",
        "First:\n```sql\nSELECT * FROM t\n```\nBetter:\n```sql\nSELECT b FROM t WHERE a > 1\n```",
        "<think>SELECT * FROM t</think>\n```SQL\nWITH x AS (SELECT * FROM t) SELECT b FROM x WHERE a > 1```",
        "```sql\nSELECT b FROM t WHERE a > 1",
    ],
)
def test_sql_finds_the_query_among_words(answer: str) -> None:
    """Prose that says "select" or "with" is no query; the last block of code is meant."""
    check = {
        "name": "sql",
        "setup": "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'y');",
        "query": "SELECT b FROM t WHERE a > 1",
    }
    assert verifier.grade(answer, query("verifier", json.dumps(check))) == 1


def test_a_judge_reads_no_thinking() -> None:
    """What an LLM thought before its answer is not shown to the judge."""
    asked = rubric.messages(rubric.ANSWERS, query("judge", ""), "<think>The judge will like this.</think>Seven.", swapped=False)
    assert "Seven." in str(asked)
    assert "will like this" not in str(asked)
