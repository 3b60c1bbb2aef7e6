"""Numbers are read whole or not at all, in ten languages and every usual notation: no wrong one is right, no right one wrong."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.reading.numeric import number_of, read
from tests.cpu import at_most
from tests.mixture.reading.dresses import BEFORE, CUT_OFF, REFUSALS, dressed, frames

WHOLE = (
    "{}",
    "${}$",
    "\\boxed{{{}}}",
    "**{}**",
    "{} apples",
    "{} cm^2",
    "{} km/h",
    "{} €",
    "≈ {}",
    "{}.",
    "{}°",
    "{}\\text{{ cm}}",
)
NUMBERS = st.integers(0, 10**9)


def notations(value: int) -> list[str]:
    """One whole number as people and LaTeX write it."""
    grouped = f"{value:,}"
    plain = [str(value), grouped, f"{value}.0", f"{value},00", f"{value * 2}/2", f"\\frac{{{value * 3}}}{{3}}", f"{value}^1"]
    if value >= 1000:
        plain += [grouped.replace(",", mark) for mark in (" ", "'", "’", "_", "{,}", "\\,", ",\\!", " ", " ")]
        plain += [grouped.replace(",", ".") + ",0"] + ([grouped.replace(",", ".")] if value >= 10**6 else [])
    if value and value % 1000 == 0:
        plain += [
            f"{value // 1000}k",
            f"{value // 1000} thousand",
            f"{value // 1000} \\times 10^3",
            f"{value // 1000} x 10^3",
            f"{value // 1000} × 10³",
            f"{value // 1000}e3",
        ]
    return [*plain, str(value).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))]


def negative(value: int) -> list[str]:
    """One negative number."""
    return [f"-{value}", f"−{value}", f"minus {value}", f"negative {value}", f"–{value}", f"-${value}", f"$-{value}$"]


@given(value=NUMBERS | st.integers(1, 999).map(lambda n: n * 1000), frame=frames, data=st.data())
def test_a_number_is_read_in_every_dress(value: int, frame: tuple[str, str, str], data: st.DataObject) -> None:
    """Language, notation, thinking before and politeness behind do not change what is read."""
    notation = data.draw(st.sampled_from(notations(value)))
    said = data.draw(st.sampled_from(WHOLE)).format(notation)
    if said.count("$") == 2 or '"' in frame[1]:
        said = notation
    if "\\" in said and '"' in frame[1]:
        said = str(value)
    number = number_of(dressed(frame, said))
    assert number is not None
    assert Fraction(value) in number.readings


@given(value=st.integers(1, 10**6), frame=frames, data=st.data())
def test_a_negative_number_is_negative(value: int, frame: tuple[str, str, str], data: st.DataObject) -> None:
    """No sign is lost, however it is written."""
    said = data.draw(st.sampled_from(negative(value)))
    number = number_of(dressed(frame, said))
    assert number is not None
    assert number.readings == (Fraction(-value),)


TRAPS = (
    "\\sqrt{{{}}}",
    "{}^{{{}}}",
    "{}\\pi",
    "2\\pi + {}",
    "x + {}",
    "{}x",
    "{} + x",
    "{} or {}",
    "[{}, {}]",
    "({}, {})",
    "\\{{{}, {}\\}}",
    "{}:{}7",
    "x > {}",
    "x \\leq {}",
    "\\pm {}",
    "not {}",
    "{}.{}.{}",
    "2024-11-{}",
    "{}, {}, {}",
    "\\log {}x",
    "{} and {}",
)


@given(value=st.integers(3, 40), other=st.integers(50, 99), trap=st.sampled_from(TRAPS), frame=frames)
def test_no_part_of_an_expression_is_the_whole(value: int, other: int, trap: str, frame: tuple[str, str, str]) -> None:
    """A root, a power, a sum with a variable, a range, a list, an alternative: none of their parts is the answer."""
    said = trap.format(*([value, other, other + 1][: trap.count("{}")]))
    if '"' in frame[1]:
        said = said.replace("\\", "\\\\")
    for text in (dressed(frame, said), *([f"\\boxed{{{said}}}", said] if "not" not in said else [])):
        number = number_of(text)
        assert number is None or not {Fraction(value), Fraction(other), Fraction(other + 1)} & set(number.readings), text


@given(value=NUMBERS, wrong=NUMBERS, frame=frames, data=st.data())
def test_another_number_stays_another(value: int, wrong: int, frame: tuple[str, str, str], data: st.DataObject) -> None:
    """In no dress is a wrong number read as the right one."""
    number = number_of(dressed(frame, data.draw(st.sampled_from(notations(wrong)))))
    assert wrong == value or number is None or Fraction(value) not in number.readings


@given(value=st.integers(2, 999), text=st.sampled_from(CUT_OFF + REFUSALS))
def test_what_is_thought_or_refused_is_no_answer(value: int, text: str) -> None:
    """An answer cut off while thinking and a refusal give no number, whatever numbers they hold."""
    assert number_of(text.format(value)) is None


@given(value=st.integers(0, 10**6), before=st.sampled_from(BEFORE))
def test_an_unmarked_number_is_the_last_that_is_asserted(value: int, before: str) -> None:
    """Without a marker the last number that the answer asserts counts, not one of a closing line."""
    for said in (
        f"{value}",
        f"There are {value} of them.",
        f"2 + 3 = {value}",
        f"It is {value}, altogether.\n\nLet me know if you need 2 more!",
    ):
        number = number_of(before + said)
        assert number is not None
        assert number.readings == (Fraction(value),)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("\\frac12", "1/2"),
        ("-\\frac{1}{2}", "-1/2"),
        ("1 1/2", "3/2"),
        ("2½", "5/2"),
        ("2\\frac{1}{2}", "5/2"),
        ("3,14", "3.14"),
        ("1.234,5", "1234.5"),
        ("1,234.5", "1234.5"),
        ("12,34,567", "1234567"),
        ("0,123", "0.123"),
        ("2^{10}", "1024"),
        ("10⁶", "1000000"),
        ("6.02e23", "6.02e23"),
        ("1.2 million", "1200000"),
        ("3 Millionen", "3000000"),
        ("5万", "50000"),
        ("\\sqrt{16}", "4"),
        ("(2+3)*4", None),
        ("863 + 148", None),
        ("20 / 100 * 360", None),
        ("2(3)", None),
        ("5 + 3 = 8", "8"),
        ("seven", "7"),
        ("zwölf", "12"),
        ("sept", "7"),
        ("sieben Äpfel", "7"),
        ("forty-two", "42"),
        ("x = 12", "12"),
        ("3rd", "3"),
        ("20 cm²", "20"),
        ("5 kg", "5"),
        ("R$ 15", "15"),
        ("4!", "24"),
        ("101_2", "101"),
        ("00", "0"),
        ("5x", None),
        ("12 or 15", None),
        ("3 apples and 4 pears", None),
        ("v1.2.3", None),
        ("π", None),
        ("", None),
        ("many", None),
        ("1/0", None),
        ("9" * 5000, None),
        ("2^(10^9)", None),
        ("9^9^9^9", None),
    ],
)
def test_reading_all_of_a_text(text: str, value: str | None) -> None:
    """`read` takes a text that is one number, and no other."""
    number = read(text)
    assert (number.readings if number else None) == (None if value is None else (Fraction(value),))


def test_percent_times_and_units() -> None:
    """A percentage is read both ways; a time of day is text; a unit is kept by its symbol."""
    for text in ("25%", "25 %", "25\\%", "25 percent", "25 per cent", "25 Prozent", "25 por ciento", "25 процентов"):
        assert read(text).readings == (Fraction(25), Fraction(1, 4))  # type: ignore[union-attr]
    assert read("09:05").readings == ("9:05",)  # type: ignore[union-attr]
    assert [read(text).unit for text in ("3 km", "3 kilometers", "3 km/h", "3 cm^2", "3 apples")] == ["km", "km", "km/h", "cm^2", ""]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    [
        "5 " * 8_000,
        "1," * 8_000,
        "x+" * 8_000,
        "(" * 16_000,
        "answer is " * 1_600,
        "answer" + "*" * 16_000,
        "\\boxed{" * 2_300,
        "-" * 16_000,
        "^" * 16_000,
        "\\frac" * 3_000,
        "<think>" * 2_000,
        "not " * 4_000,
        "{" * 16_000,
        "Question: " * 1_600,
        ". " * 8_000,
        "1 1/2 " * 3_000,
        "2^" * 8_000,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    """The time grows with the text, not with its square: a serving worker reads answers too."""
    with at_most(10):  # a tenth of a second is usual; the square of these lengths would be minutes
        number_of(text)


@pytest.mark.parametrize("text", ["答えは1e3です。", "답은 1e3입니다.", "1e3"])
def test_an_exponent_ends_where_another_script_begins(text: str) -> None:
    """No space stands between number and words there."""
    number = number_of(text)
    assert number is not None
    assert Fraction(1000) in number.readings
