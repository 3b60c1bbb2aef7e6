"""Amounts of money of a log, which may be of a handful of calls or of a month: no amount reads as nothing that is something."""

import math


def usd(amount: float) -> str:
    """`1,204.5000`, `0.0103`, `0.000051`: four digits behind the point, or as many as show two that count. Without a sign of a currency."""
    digits = 1 - math.floor(math.log10(abs(amount))) if amount and math.isfinite(amount) else 0
    return f"{amount:,.{max(digits, 4)}f}"
