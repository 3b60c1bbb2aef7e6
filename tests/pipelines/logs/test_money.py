"""Amounts of a log."""

import pytest

from pipelines.logs.money import usd


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
