"""Intervals as people read them, wherever they are shown: qualities in points (hundredths of a right answer), money in USD a request."""

NOT_TOLD = "not told"


def points(mean: float | None, low: float | None, high: float | None, *, signed: bool = False) -> str:
    """`71.2 (69.8 to 72.6)` of qualities in [0, 1]. signed: a difference."""
    return _interval(mean, low, high, 100, f"{'+' if signed else ''}.1f")


def usd(mean: float | None, low: float | None, high: float | None, *, signed: bool = False) -> str:
    """`0.000751 (0.000742 to 0.000760)`. signed: a difference."""
    return _interval(mean, low, high, 1, f"{'+' if signed else ''}.6f")


def _interval(mean: float | None, low: float | None, high: float | None, scale: float, form: str) -> str:
    if mean is None or low is None or high is None:
        return NOT_TOLD
    return f"{scale * mean:{form}} ({scale * low:{form}} to {scale * high:{form}})"
