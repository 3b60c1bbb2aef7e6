"""Figures as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import words


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "–"),
        (0, "$0"),
        (12.3, "$12.30"),
        (0.5, "$0.50"),
        (0.0042, "$0.0042"),
        (1.3e-6, "$0.0000013"),
        (-0.25, "−$0.25"),
        (0.0999, "$0.100"),
        (1234.5, "$1,234.50"),
    ],
)
def test_money(amount: float | None, shown: str) -> None:
    """Cents where there are dollars, two digits of less than a dollar; what nobody knows is a dash."""
    assert words.usd(amount) == shown


@given(st.floats(1e-9, 1e6))
def test_money_is_never_shown_as_nothing(amount: float) -> None:
    """An amount that was spent reads as that amount, within its digits."""
    shown = float(words.usd(amount).removeprefix("$").replace(",", ""))
    assert math.isclose(shown, amount, rel_tol=0.06)


@pytest.mark.parametrize(("value", "shown"), [(0.0123, "12 ms"), (3.25, "3.2 s"), (185.0, "3 min 5 s"), (None, "–")])
def test_seconds(value: float | None, shown: str) -> None:
    """In the unit in which one thinks of it."""
    assert words.seconds(value) == shown


def test_things_are_counted_in_words() -> None:
    """Singular and plural."""
    assert [words.counted(1, "query"), words.counted(2, "query"), words.counted(3, "day"), words.counted(0, "LLM")] == [
        "1 query",
        "2 queries",
        "3 days",
        "0 LLMs",
    ]
    assert words.ago(100.0, now=100.0 + 3700) == "1 h ago"
