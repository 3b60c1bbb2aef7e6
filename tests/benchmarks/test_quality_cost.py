"""The README's picture is drawn from the tables that stand in the results pages."""

import pytest

from benchmarks import quality_cost

PAGE = """<!-- a -->
In domain:

| system | quality | USD, 10,000 queries |
|---|---|---|
| ours | 0.5 [0.4, 0.6] | 1 |

Together:

| system | quality | USD, 10,000 queries |
|---|---|---|
| ours | 0.581 [0.561, 0.600] | 8.35 |
| oracle (told the labels) | 0.845 [0.831, 0.859] |  |
<!-- /a -->
"""


def test_a_point_is_a_row_with_a_cost() -> None:
    """Of the table that follows the named text; the oracle costs nothing that could be drawn."""
    (ours,) = quality_cost.rows(PAGE, "a", "Together:")
    assert (ours.system, ours.quality, ours.low, ours.high, ours.usd) == ("ours", 0.581, 0.561, 0.6, 8.35)


@pytest.mark.parametrize("title", quality_cost.TABLES)
def test_the_pages_have_the_tables_that_are_drawn(title: str) -> None:
    """Ours and best single stand in each, with an interval around the mean."""
    page, marker, after = quality_cost.TABLES[title]
    points = {each.system: each for each in quality_cost.rows((quality_cost.RESULTS / page).read_text(), marker, after)}
    assert {"ours", "best single"} <= points.keys()
    assert all(each.low <= each.quality <= each.high for each in points.values())
