"""When answers say the same."""

import pytest

from mixture.choose.final_answers import agree, groups, short_answer
from tests.cpu import at_most


@pytest.mark.parametrize(
    ("text", "short"),
    [("42", "42"), (" **42.** ", "42"), ("1,234.50", "1234.5"), ("$42", "42"), ("Paris", "paris"), ("The Nile", "nile"),
     ("6 x 7 is 42.\nAnswer: 42", "42"), ("We add.\n\n**Answer:** B", "b"), ("The answer is (C).", "c"),
     ("Final answer: \\boxed{7}", "7"), ("Answer: 1\nNo, wait.\nAnswer: 2", "2"), ("42.0", "42"), ("It is Paris. Answer: Paris.", "paris"),
     ("Answer: No.", "no"), ("40 %", "40%"), ("0 22 * * 1", "0 22 * * 1"),
     ("-0.5", "-0.5"), ("Answer: -5", "-5"), ("We compare the two.\nTherefore, the correct answer is (B) since it is larger.", "b"),
     ("We add.\nFinal Answer: The answer is (H).", "h"), ("It is not A, so the answer is ... C. Paris\nis its name.", "c"),
     ("The answer depends on\nwhat is asked.\n#### Answer = 3", "3"), ("C. One of many in a long list.\n\nThe answer is D.", "d"),
     ("C. Natural law does not apply without reason.", "?c"), ("D) " + "very " * 20 + "long", "?d"),
     ("(B) Both of them, for the reasons below.\n\nIt has two parts: one, and two.", "?b")],
)  # fmt: skip
def test_short_answers_have_one_form(text: str, short: str) -> None:
    """Case, marks, articles, number formats and the step-by-step style do not make answers differ."""
    assert short_answer(text) == short


@pytest.mark.parametrize(
    "text",
    ["", "  \n ", "First line.\nSecond line.", "x" * 65, "...", "A. First you take the lid off.\nB. Then you stir.",
     "A: How are you today, my dear friend?", "The answer is:\n```sql\nSELECT a\nFROM t\n```",
     "It follows from the law.\nC. Paris is the one.",
     "D.H. Lawrence wrote a few novels and many letters."],
)  # fmt: skip
def test_prose_has_no_short_answer(text: str) -> None:
    """Longer texts are not compared word by word."""
    assert short_answer(text) is None


@pytest.mark.parametrize("text", [". " * 8_000, "-" * 16_000, "answer" + "*" * 16_000, "answer is " * 1_600, "\\boxed{" * 2_300])
def test_no_text_takes_long_to_compare(text: str) -> None:
    """The time grows with the text, not with its square: comparing holds up every other request."""
    with at_most(0.5):
        short_answer(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-5", "−5"),
        ("1,000", "1000"),
        ("1,000", "1 000"),
        ("Answer: 1000", "答案是1,000。"),
        ("\\boxed{\\frac12}", "0.5"),
        ("Die Antwort ist C.", "(C)"),
        ("La respuesta es París.", "París"),
        ("<think>The answer is 5.</think>\n\n7", "The answer is 7."),
        ("<answer>B</answer>", "Answer: B"),
        ("25%", "25 percent"),
        ("The answer is B because A is small.", "B"),
        ("答えはParisです。", "Paris"),
        ("The answer is 4.\n\nLet me know if my answer is clear!", "4"),
        ("The answer is 4.\n\nQuestion: and 5?\nAnswer: 5", "4"),
        ("Answer: 1/3", "\\boxed{\\dfrac{1}{3}}"),
        ("1.50", "1,5"),
    ],
)
def test_the_same_answer_agrees_however_it_is_written(one: str, other: str) -> None:
    """Agreement reads as the graders do: signs, separators, languages, boxes, thinking and politeness are form."""
    assert agree({"a": one, "b": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5", "-5"),
        ("20 cm", "20 m"),
        ("3 apples", "3 pears"),
        ("\\boxed{\\sqrt{3}}", "\\boxed{3}"),
        ("12 or 15", "15"),
        ("25%", "25"),
        ("B. B. King", "B. Dylan"),
        ("I cannot help.", "I cannot help."),
        ("The answer is not B.", "B"),
        ("<think>The answer is 5.", "5"),
        ("1.234", "1,234"),
        ("10^6", "10"),
        ("2 + 2", "4"),
    ],
)
def test_different_answers_do_not_agree(one: str, other: str) -> None:
    """A part is not the whole, a unit counts, and a refusal agrees with nobody."""
    assert not agree({"a": one, "b": other})


def test_numbers_are_compared_by_all_their_digits() -> None:
    """Long numbers that differ in one digit differ; zeros that say nothing do not count."""
    assert short_answer("12345678901234567890") != short_answer("12345678901234567891")
    assert short_answer("1,000,000,000,000.00") == short_answer("+1000000000000") == "1000000000000"
    assert short_answer("-0.0") == short_answer("0") == "0"
    assert short_answer("0.3333333333333") != short_answer("0.3333333333334")


def test_a_bare_letter_groups_with_the_choice_it_names() -> None:
    """'B. Paris' and 'B' are one answer; without a bare letter nothing is cut from an answer."""
    assert groups({"x": "B", "y": "B. Paris", "z": "C. Rome"}) == {"b": ("x", "y"), "c": ("z",)}
    assert groups({"x": "B", "y": "C. Rome", "z": "C) Rome, in Italy"}) == {"b": ("x",), "c": ("y", "z")}
    assert groups({"x": "B. Paris", "y": "C. Rome"}) == {"b. paris": ("x",), "c. rome": ("y",)}
    assert groups({"x": "B", "y": "A: yes", "z": "A: no"}) == {"b": ("x",), "a: yes": ("y",), "a: no": ("z",)}
    assert groups(
        {"x": "B", "y": "B. The largest city that France has.\nIt is on the Seine.", "z": "It is Paris, of course, as we know."}
    ) == {"b": ("x", "y")}
    essays = {"x": "J. K. Rowling wrote the seven novels of the series.", "y": "I. Introduction\nIt began in 1914.\nII. Causes\nMany."}
    assert groups(essays) == {}
    assert groups({"x": "B. B. King", "y": "B. Dylan"}) == {"b. b. king": ("x",), "b. dylan": ("y",)}


def test_an_answer_in_prose_prevents_agreement() -> None:
    """All answers have to say the same, not only those that are short."""
    assert not agree({"a": "42", "b": "42", "c": "It is\na long story."})
