"""What the console says of a shadow's choices."""

from typing import Any

from console.beside import _by_exploration
from monitoring.policies.off_policy import Value
from monitoring.policies.policy_value import Row
from monitoring.policies.shadow_value import ShadowValue


def valued(**changed: Any) -> dict[str, Any]:
    """As the server has it, of two versions whose difference is known."""

    def value(mean: float, half: float = 0.1) -> Value:
        return Value(100, 40, 40.0, 0.2, 0.0, mean, mean - half, mean + half)

    ours, theirs = (Row("", None, value(at), value(at / 1e3, 1e-4), value(at - 0.5), value(0.0)) for at in (0.5, 0.75))
    return ShadowValue("5", "7", 0.0, 100, 40, 12, {}, ours, theirs).as_dict() | changed


def test_it_stands_beside_the_champions() -> None:
    """Quality and money of both with intervals, and on what they rest."""
    assert _by_exploration(valued()) == (
        "quality in points 75.0 (65.0 to 85.0), version 5's 50.0 (40.0 to 60.0); less that one +25.0 (+15.0 to +35.0);"
        " $0.00075 a request ($0.00065 to $0.00085). From 100 requests, 12 drawn, 40 audited."
    )


def test_what_cannot_be_told_says_why() -> None:
    """In the words of the estimate."""
    assert _by_exploration(valued(why="Too few outcomes.")) == "Too few outcomes."
