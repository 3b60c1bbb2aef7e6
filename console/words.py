"""Figures as people read them: money, seconds, shares, moments."""

import math
import time
from datetime import UTC, datetime


def usd(amount: float | None) -> str:
    """`$12.30`, `$0.0042`, `$0.0000013`: two digits of what is less than a dollar; a dash where nobody knows."""
    if amount is None:
        return "–"
    if amount == 0:
        return "$0"
    sign, size = ("−" if amount < 0 else ""), abs(amount)
    if size >= 1:
        return f"{sign}${size:,.2f}"
    digits = 1 - math.floor(math.log10(size))
    return f"{sign}${size:.{digits}f}"


def per_million(rate: float | None) -> str:
    """A price: USD per million tokens."""
    return "unknown" if rate is None else f"${rate:g}"


def seconds(value: float | None) -> str:
    """`0.42 s`, `3 min 5 s`; a dash where nobody knows."""
    if value is None:
        return "–"
    if value < 1:
        return f"{1000 * value:.0f} ms"
    return f"{value:.1f} s" if value < 60 else f"{value // 60:.0f} min {value % 60:.0f} s"


def share(value: float | None) -> str:
    """`12 %`; a dash where nobody knows."""
    return "–" if value is None else f"{100 * value:.0f} %" if value >= 0.1 or value == 0 else f"{100 * value:.1f} %"


def score(value: float | None) -> str:
    """A quality in [0, 1] with two digits."""
    return "–" if value is None else f"{value:.2f}"


def gain(value: float | None, digits: int = 2) -> str:
    """A difference of qualities with its sign."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", "−")


def count(value: float | None) -> str:
    """`12,345`."""
    return "–" if value is None else f"{value:,.0f}"


def moment(at: float | None) -> str:
    """`2026-11-30 14:05 UTC`."""
    return "–" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def ago(at: float | None, now: float | None = None) -> str:
    """`3 min ago`."""
    if at is None:
        return "–"
    past = max(0.0, (time.time() if now is None else now) - at)
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if past >= size:
            return f"{past // size:.0f} {unit} ago"
    return "just now" if past < 10 else f"{past:.0f} s ago"


def counted(number: int, what: str) -> str:
    """`1 query`, `3 queries`."""
    if number == 1:
        return f"1 {what}"
    return f"{number:,} {what[:-1]}ies" if what.endswith("y") and what[-2] not in "aeiou" else f"{number:,} {what}s"
