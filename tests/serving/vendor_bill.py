"""An independent biller: a vendor's own counts at its list prices, in exact arithmetic; nothing of the product's is used."""

from collections.abc import Iterable
from decimal import Decimal

from vendor_world import PRICES


def bill(counted: Iterable[tuple[str, int, int, int, int]]) -> Decimal:
    """USD for calls: the LLM, tokens read, of them cached, tokens written, of them thought."""
    total = Decimal(0)
    for name, read, cached, written, thought in counted:
        price = {kind: Decimal(str(usd)) for kind, usd in PRICES.get(name, PRICES["native"]).items()}
        total += (read - cached) * price["input"] + cached * price["cache_read"]
        total += (written - thought) * price["output"] + thought * price.get("reasoning", price["output"])
    return total / 1_000_000
