"""A sum of floats that grows by one number at a time, and is what `math.fsum` says of all of them (Shewchuk 1997, "Adaptive precision
floating-point arithmetic and fast robust geometric predicates", theorem 10).
"""

import math
from collections.abc import Iterable


class ExactSum:
    """Exact in any order, in time and memory that do not grow with how many numbers were added."""

    __slots__ = ("_partials",)

    def __init__(self, numbers: Iterable[float] = ()) -> None:
        self._partials: list[float] = []  # whose exact sum is that of all numbers; no two share a bit's place
        for number in numbers:
            self.add(number)

    def add(self, number: float) -> None:
        """One more number; to take one away, add its negative."""
        kept = 0
        for each in self._partials:
            large, small = (number, each) if abs(number) >= abs(each) else (each, number)
            number = large + small
            if rounded_off := small - (number - large):
                self._partials[kept] = rounded_off
                kept += 1
        self._partials[kept:] = [number]

    @property
    def value(self) -> float:
        """The sum, rounded once."""
        return math.fsum(self._partials)
