"""Says on standard error how far something long has come."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

FIRST_S, EVERY_S = 5.0, 10.0
STEP = 500  # items between two looks at the clock
Item = TypeVar("Item")


def told(items: Iterable[Item], what: str, *, step: int = STEP) -> Iterator[Item]:
    """The items; after some seconds a line like `spend.jsonl: 120,000 rows so far`, and again every few. what: `spend.jsonl: {} rows`."""
    due = time.monotonic() + FIRST_S
    for number, item in enumerate(items, start=1):
        yield item
        if number % step == 0 and time.monotonic() >= due:
            print(f"{what.format(f'{number:,}')} so far", file=sys.stderr, flush=True)
            due = time.monotonic() + EVERY_S
