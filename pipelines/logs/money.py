"""Amounts of money of a log, which may be of a handful of calls or of a month: no amount reads as nothing that is something."""

import math


def usd(amount: float) -> str:
    """`1,204.5000`, `0.0103`, `0.000051`: four digits behind the point, or as many as show two that count. Without a sign of a currency."""
    digits = 1 - math.floor(math.log10(abs(amount))) if amount and math.isfinite(amount) else 0
    return f"{amount:,.{max(digits, 4)}f}"


def dollars(amount: float) -> str:
    """`$1,204.50`, `$0.0103`, `-$0.000051`: from a dollar on with cents, below as many digits as `usd` has; `$0.00` is nothing at all."""
    size = abs(amount)
    return f"{'-' if amount < 0 else ''}${f'{size:,.2f}' if size >= 1 or not size else usd(size)}"
