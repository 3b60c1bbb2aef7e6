"""Who is signed in: the keys, in this process's memory alone, found by the signed cookie of a browser."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

IDLE_S = 12 * 3600.0  # after which a session is over
MOST = 1_000  # sessions; the one that is idle longest ends first

Theme = Literal["auto", "light", "dark"]


@dataclass
class Session:
    """One signed-in browser. used_at: seconds by the monotonic clock."""

    key: str = field(repr=False)
    used_at: float
    theme: Theme = "auto"


class Sessions:
    """By the id in a browser's signed cookie. Nothing is written to disk: a restart signs everybody out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_id: dict[str, Session] = {}

    def begin(self, browser: str, key: str) -> None:
        """Signs a browser in with `key`."""
        self._drop_old()
        self._by_id[browser] = Session(key, self._clock())

    def of(self, browser: str) -> Session | None:
        """The session of a browser, None where it is not signed in (any more)."""
        self._drop_old()
        session = self._by_id.get(browser)
        if session is not None:
            session.used_at = self._clock()
        return session

    def end(self, browser: str) -> None:
        """Signs a browser out."""
        self._by_id.pop(browser, None)

    def _drop_old(self) -> None:
        oldest = self._clock() - IDLE_S
        kept = sorted((each for each in self._by_id.items() if each[1].used_at > oldest), key=lambda each: -each[1].used_at)
        self._by_id = dict(kept[:MOST])
