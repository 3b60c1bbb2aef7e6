"""Amounts of a log."""

import pytest

from pipelines.logs.money import dollars, usd


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0.0, "0.0000"),
        (0.0103, "0.0103"),
        (1204.5, "1,204.5000"),
        (0.00005123, "0.000051"),
        (0.0000009, "0.00000090"),
        (-0.00002, "-0.000020"),
    ],
)
def test_an_amount_is_nothing_only_where_it_is(amount: float, shown: str) -> None:
    """Four digits behind the point, more where they would all be 0."""
    assert usd(amount) == shown


@pytest.mark.parametrize(
    ("amount", "shown"), [(0.0, "$0.00"), (13.6409, "$13.64"), (1234.56, "$1,234.56"), (0.0103, "$0.0103"), (-2.0, "-$2.00")]
)
def test_dollars_have_cents(amount: float, shown: str) -> None:
    """From one on; below, as many digits as tell it from nothing."""
    assert dollars(amount) == shown
