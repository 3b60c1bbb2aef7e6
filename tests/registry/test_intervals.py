"""How intervals are written, in the terminal and in the console alike."""

from registry import intervals


def test_one_form_for_all() -> None:
    """Qualities in points, money in USD, a sign where it is a difference; nothing is made up where it is not told."""
    assert intervals.points(0.7124, 0.698, 0.726) == "71.2 (69.8 to 72.6)"
    assert intervals.points(-0.01, -0.031, 0.011, signed=True) == "-1.0 (-3.1 to +1.1)"
    assert intervals.usd(0.000751, 0.000742, 0.00076) == "0.000751 (0.000742 to 0.000760)"
    assert intervals.usd(0.0, -0.5, 0.5, signed=True) == "+0.000000 (-0.500000 to +0.500000)"
    assert intervals.points(0.5, None, None) == intervals.points(None, 0.1, 0.2) == "not told"
