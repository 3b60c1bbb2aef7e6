"""What a vendor would bill for calls, reckoned from the calls alone and apart from the product: caches, parts of usage, rates."""

import json
from decimal import Decimal
from typing import Any

from caching_upstream import KEPT_S, LEAST, tokens_of


def bill(calls: list[tuple[str, float, list[dict[str, Any]], int]], rates: dict[str, dict[str, float]]) -> Decimal:
    """USD of all calls. rates: USD per million tokens by served name, as the pool file has them."""
    seen: list[tuple[str, float, list[str]]] = []
    total = Decimal(0)
    for name, at_s, messages, output in calls:
        lines = [json.dumps(each) for each in messages]
        shared = 0
        for earlier, earlier_s, known in seen:
            if earlier == name and at_s - earlier_s < KEPT_S and lines[: len(known)] == known:
                shared = max(shared, len(known))
        sizes = [tokens_of(each) for each in messages]
        cached = sum(sizes[:shared])
        cached = cached if cached >= LEAST else 0
        fresh = sum(sizes) - cached
        rate = {kind: Decimal(str(usd)) for kind, usd in rates[name].items() if isinstance(usd, int | float)}
        of_fresh = rate.get("cache_write", rate["input"]) if name.startswith("writes") else rate["input"]
        total += cached * rate.get("cache_read", rate["input"]) + fresh * of_fresh + output * rate["output"]
        seen.append((name, at_s, lines))
    return total / Decimal(1_000_000)
