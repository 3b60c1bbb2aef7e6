"""A sum that grows by one number at a time."""

import math

from hypothesis import given
from hypothesis import strategies as st

from mixture.run.exact_sum import ExactSum

AMOUNTS = st.floats(-1e6, 1e6) | st.floats(-1e-9, 1e-9)


@given(st.lists(AMOUNTS, max_size=50))
def test_it_is_what_a_sum_of_all_numbers_is(numbers: list[float]) -> None:
    """To the last bit, at every step."""
    grown = ExactSum()
    for at, number in enumerate(numbers, start=1):
        grown.add(number)
        assert grown.value == math.fsum(numbers[:at])


@given(st.lists(AMOUNTS, max_size=50))
def test_what_is_taken_away_again_leaves_nothing(numbers: list[float]) -> None:
    """In whatever order it goes."""
    grown = ExactSum()
    for number in [*numbers, *(-number for number in sorted(numbers))]:
        grown.add(number)
    assert grown.value == 0


def test_it_holds_no_more_for_more_numbers() -> None:
    """Asking a million queries adds two million amounts."""
    grown = ExactSum()
    for at in range(100_000):
        grown.add(0.1 / (1 + at % 977))
    assert len(grown._partials) < 10
