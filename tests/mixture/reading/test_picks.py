"""Picks are read in ten languages and every usual dress: no wrong option is read as right, no right one as wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.reading.picks import picked
from tests.cpu import at_most
from tests.mixture.reading.dresses import AFTER, CUT_OFF, REFUSALS, dressed, frames

CITIES = ("Paris", "London", "Rome", "Berlin")
LETTER = st.sampled_from("ABCD")
DRESSES = (
    "{0}",
    "({0})",
    "{0}) {1}",
    "{0}. {1}",
    "**{0}**",
    "\\boxed{{{0}}}",
    "\\boxed{{\\text{{{0}}}}}",
    "\\boxed{{\\textbf{{({0})}}\\ \\text{{{1}}}}}",
    "${0}$",
    "{1}",
    "({0}) {1}",
    "{0}: {1}",
    "option {0}",
    "[{0}]",
    "“{1}”",
)
SENTENCES = (
    "{0}",
    "{0}.",
    "({0})",
    "{0}) {1}",
    "{0}. {1}\n\nIt is the largest.",
    "**{0}. {1}**\n\nThis is the answer because it is large.",
    "I choose {0}",
    "I would pick {0} — a safe choice.",
    "Therefore {0} is correct.",
    "Only option {0} is correct.",
    "Option {0}",
    "✅ {0}",
    "The answer is {0} because the others are not capitals.",
    "It is {1}.",
    "{1}",
    "Die Antwort ist {0}, weil es so ist.",
    "Ich wähle {0}.",
    "Je choisis {0}.",
    "Elijo la opción {0}.",
    "Escolho a alternativa {0}.",
    "Scelgo {0}.",
    "Я выбираю {0}.",
    "选项{0}正确。",
    "因此选{0}",
    "故选{0}。",
    "{0}が正解です。",
    "{0}가 정답입니다.",
    "{0} ist richtig.",
    "{0} est correcte.",
    "{0} es correcta.",
    "{0} верно.",
    "(A) and (B) come to mind.\nAnswer: {0}",
    "I considered others, which are incorrect. Final answer: {0}.",
    "The answer is not clear at first. The answer is ({0}).",
    "<answer>{0}</answer>",
    '{{"answer": "{0}", "explanation": "A and B are wrong"}}',
)
NO_PICKS = (
    "{0} or {1}",
    "The answer is {0} or {1}.",
    "{0}, {1}",
    "({0}) and ({1})",
    "The answer is not {0}.",
    "It cannot be ({0}).",
    "{0} is wrong.",
    "({0}) is incorrect.",
    "Answer: {0}/{1}",
    "Die Antwort ist {0} oder {1}.",
    "La réponse est {0} ou {1}.",
    "La respuesta es {0} o {1}.",
    "答案是{0}或{1}。",
    "答案不是{0}。",
    "Die Antwort ist nicht {0}.",
    "La respuesta no es {0}.",
    "La réponse n'est pas {0}.",
    "Ответ не {0}.",
    "Option {0} is not correct.",
    "A. Paris\nB. London\nC. Rome\nD. Berlin",
    "A good question!",
    "I see.",
)


@given(letter=LETTER, dress=st.sampled_from(DRESSES), frame=frames)
def test_a_stated_pick_is_read_in_every_dress(letter: str, dress: str, frame: tuple[str, str, str]) -> None:
    """By letter, with its text or by its text alone, boxed, tagged, in ten languages: the option that is stated, and no other."""
    said = dress.format(letter, CITIES["ABCD".index(letter)])
    if '"' in frame[1]:
        said = said.replace("\\", "\\\\")
    assert picked(dressed(frame, said), CITIES, "ABCD") == letter


@given(letter=LETTER, sentence=st.sampled_from(SENTENCES), after=st.sampled_from(AFTER[:4]))
def test_a_sentence_that_picks_is_read(letter: str, sentence: str, after: str) -> None:
    """A pick need not end its sentence, nor say "answer"."""
    city = CITIES["ABCD".index(letter)]
    assert picked(sentence.format(letter, city) + after, CITIES, "ABCD") == letter


@given(letters=st.permutations("ABCD"), sentence=st.sampled_from(NO_PICKS))
def test_two_picks_or_a_denied_one_are_none(letters: list[str], sentence: str) -> None:
    """Alternatives, denials and lists pick nothing."""
    assert picked(sentence.format(*letters), CITIES, "ABCD") is None


@given(letter=LETTER, text=st.sampled_from(CUT_OFF + REFUSALS[1:]))
def test_what_is_thought_or_refused_picks_nothing(letter: str, text: str) -> None:
    """An answer cut off while thinking and a refusal pick nothing."""
    assert picked(text.format(letter), CITIES, "ABCD") is None


@pytest.mark.parametrize(
    ("answer", "choices", "letter"),
    [
        ("2", ("1", "2", "3", "4"), "B"),
        ("2.5", ("2", "5", "2.5", "25"), "C"),
        ("The answer is 20 m/s", ("10 m/s", "20 m/s", "30 m/s"), "B"),
        ("-1", ("1", "-1", "0"), "B"),
        ("The answer is $\\frac{1}{2}$", ("$\\frac{1}{3}$", "$\\frac{1}{2}$"), "B"),
        ("Answer: 1,000", ("100", "1000"), "B"),
        ("No, yes would be wrong.", ("yes", "no"), "B"),
        ("The third option.", CITIES, "C"),
        ("Die zweite Option", CITIES, "B"),
        ("La tercera opción", CITIES, "C"),
        ("第二个选项", CITIES, "B"),
        ("Option 4", CITIES, "D"),
        ("A. Paris - no\nB. London - no\nC. Rome - yes\nD. Berlin - no", CITIES, "C"),
        ("A) Paris ✗\nB) London ✓\nC) Rome ✗", CITIES, "B"),
        ("It is not Paris but Rome.", CITIES, "C"),
        ("It could be Paris or Rome.", CITIES, None),
        ("С", CITIES, None),
        ("Ｃ", CITIES, "C"),
        ("E", CITIES, None),
        ("New York City", ("New York", "New York City", "York"), "B"),
        ("B vitamins", ("A vitamins", "B vitamins"), "B"),
        ("Answer: A good dog", ("A bad dog", "A good dog"), "B"),
        ("b", CITIES, "B"),
        ("", CITIES, None),
    ],
)
def test_picks_by_place_value_and_text(answer: str, choices: tuple[str, ...], letter: str | None) -> None:
    """Numbers by value, options by place, the longer of two texts, verdicts on a list; a look-alike letter is none."""
    assert picked(answer, choices, "ABCDEFGH"[: len(choices)]) == letter


@pytest.mark.parametrize(
    "text",
    [
        "A) " * 5_000,
        "answer is " * 1_600,
        "\\boxed{" * 2_300,
        "(" * 16_000,
        "not A " * 3_000,
        "A or B " * 3_000,
        "A. x\n" * 4_000,
        "第" * 9_000,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    """The time grows with the text, not with its square."""
    with at_most(0.5):
        picked(text, CITIES, "ABCD")
