"""Requests and tokens that a key may send a minute, counted by the library `limits`: in this worker's memory, or in Redis."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from limits import RateLimitItemPerMinute
from limits.aio.storage import Storage
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from serving.errors import RateExceeded, RatesUnavailable

Kind = Literal["requests", "tokens"]
MEMORY = "memory://"
WINDOW_S = RateLimitItemPerMinute(1).get_expiry()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a key stands with one of its rates. reset_s: seconds until its minute is over."""

    kind: Kind
    limit: int
    remaining: int
    reset_s: float

    def headers(self) -> Mapping[str, str]:
        """As OpenAI's clients know them."""
        return {
            f"x-ratelimit-limit-{self.kind}": str(self.limit),
            f"x-ratelimit-remaining-{self.kind}": str(self.remaining),
            f"x-ratelimit-reset-{self.kind}": f"{self.reset_s:.3g}s" if self.reset_s >= 1 else f"{math.ceil(1000 * self.reset_s)}ms",
        }


class Rates:
    """A minute begins with a key's first request. Raises RatesUnavailable where the address is of no storage.

    url: `memory://` for this worker's memory, `redis://HOST:PORT/DB` for one count among all workers and hosts.
    """

    def __init__(self, url: str = MEMORY) -> None:
        options = {} if url == MEMORY else {"implementation": "redispy", "wrap_exceptions": True}
        try:
            storage = storage_from_string(f"async+{url}", **options)  # type: ignore[arg-type]
        except (ConfigurationError, ValueError) as exc:
            raise RatesUnavailable(
                f"ROUTEMOA_LIMITS_URL: rates cannot be counted there ({exc}).",
                next_step="Give memory:// or redis://HOST:PORT/DB; Redis needs `pip install 'routemoa[redis]'`.",
            ) from exc
        if not isinstance(storage, Storage):
            raise RatesUnavailable("ROUTEMOA_LIMITS_URL: this storage counts in no event loop.", next_step="Give memory:// or redis://...")
        self._storage = storage

    async def take(self, key: str, kind: Kind, limit: int, amount: int = 1) -> Standing:
        """Counts `amount`, in a fixed window. Raises RateExceeded, then counting nothing; RatesUnavailable."""
        place = _place(key, kind, limit)
        try:
            counted = await self._storage.incr(place, WINDOW_S, amount=amount)
            reset_s = max(0.0, await self._storage.get_expiry(place) - time.time())
            if counted > limit:
                await self._add(place, -amount)
        except StorageError as exc:
            raise _unavailable(exc) from exc
        if counted > limit:
            raise _exceeded(Standing(kind, limit, max(0, limit - counted + amount), reset_s), amount)
        return Standing(kind, limit, limit - counted, reset_s)

    async def correct(self, key: str, kind: Kind, limit: int, difference: int) -> None:
        """Counts what a request took more, or less, than was counted for it: beyond the limit, too."""
        try:
            await self._add(_place(key, kind, limit), difference)
        except StorageError as exc:
            raise _unavailable(exc) from exc

    async def _add(self, place: str, amount: int) -> None:
        if amount and await self._storage.get(place) + amount > 0:  # a count that begins anew below nothing would be a gift
            await self._storage.incr(place, WINDOW_S, amount=amount)


@lru_cache(maxsize=4096)
def _place(key: str, kind: Kind, limit: int) -> str:
    return RateLimitItemPerMinute(limit).key_for(key, kind)


def _exceeded(standing: Standing, amount: int) -> RateExceeded:
    wait_s = max(1, math.ceil(standing.reset_s))
    if amount > standing.limit:
        what, next_step = f"This request takes about {amount} {standing.kind}", "Ask for less: no minute has room for it."
    else:
        what, next_step = f"This minute has {standing.remaining} {standing.kind} left", f"Ask again in {wait_s} s."
    what = f"{what}; this key may send {standing.limit} {standing.kind} a minute."
    return RateExceeded(what, next_step=next_step, kind=standing.kind, retry_after_s=wait_s, headers=standing.headers())


def _unavailable(exc: StorageError) -> RatesUnavailable:
    return RatesUnavailable(f"The count of requests cannot be reached ({exc}).", next_step="Start Redis, or set ROUTEMOA_LIMITS_URL.")
