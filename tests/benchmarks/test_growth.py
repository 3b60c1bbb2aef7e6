"""What the benchmark of growth prints, and what it reckons."""

import pytest

from benchmarks import growth


def told(own: float, workers: float) -> dict[str, float]:
    return {"own_s": own, "workers_s": workers, "own_mb": 100 * own, "workers_mb": 100 * workers, "wall_s": 1.0}


def test_a_million_is_reckoned_on_the_line_through_the_two_largest_sizes() -> None:
    """What a start costs is not multiplied; memory that shrank by chance is not reckoned below what was seen."""
    assert growth.reckoned({1_000: 50.0, 10_000: 3.0, 100_000: 12.0}) == pytest.approx(102.0)
    assert growth.reckoned({10_000: 12.0, 100_000: 11.0}) == 11.0


def test_what_was_not_measured_is_left_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is reckoned from one size."""
    growth.print_tables(
        {("ask", "local", 1_000): told(2.0, 0.0), ("ask", "local", 10_000): told(11.0, 9.0), ("ask", "ray", 1_000): told(1.0, 4.0)}
    )
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ask")]
    assert rows == [
        "| ask | local | 2 + 0 | 1.1 + 0.9 |  | 0.56 h in all |",
        "| ask | ray | 1 + 4 |  |  |  |",
        "| ask | local | 200 + 0 | 1,100 + 900 |  | 100,100 + 99,900 |",
        "| ask | ray | 100 + 400 |  |  |  |",
    ]
