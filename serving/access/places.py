"""Places for what takes long: as many as the operator allows, and of those a share at most for one key."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serving.errors import Overloaded


class Places:
    """`most` places for requests that are `what`; one key takes at most `key_share` of them. changed: called with how many are taken."""

    def __init__(self, what: str, most: int, *, key_share: float, changed: Callable[[int], None] = lambda _: None) -> None:
        self._what, self._most, self._changed = what, most, changed
        self._most_of_a_key = math.ceil(most * key_share)
        self._taken = Counter[str]()

    @property
    def taken(self) -> int:
        """How many, by all keys."""
        return self._taken.total()

    @contextmanager
    def one(self, key: str) -> Iterator[None]:
        """A place for the key called `key`. Raises Overloaded."""
        if self.taken >= self._most:
            raise Overloaded(f"{self.taken} requests are {self._what}, as many as this server takes.", next_step="Try again shortly.")
        if self._taken[key] >= self._most_of_a_key:
            raise Overloaded(f"{self._taken[key]} requests of this key are {self._what}, its share.", next_step="Try again shortly.")
        self._take(key, 1)
        try:
            yield
        finally:
            self._take(key, -1)

    def _take(self, key: str, change: int) -> None:
        self._taken[key] += change
        if not self._taken[key]:
            del self._taken[key]
        self._changed(self.taken)
