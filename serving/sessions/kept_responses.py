"""What later requests refer to by `previous_response_id`: the items of each response and of its input, for a while, for the key that asked.

They lie in a worker's memory, in a file that workers of a host share, or in the database that hosts share (`responses_place`).
`store: false` keeps nothing of a request.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import orjson

from registry.database.door import Connection
from registry.errors import DatabaseFailed
from serving.errors import PreviousResponseUnknown, ResponsesUnavailable

LONGEST = 2_000  # responses that go on from one another
KEY_SHARE = 0.5  # of all that is kept, what one key may take
LOCK = "responses"  # one writer at a time: what is dropped for room may be any key's
PAST = """WITH RECURSIVE past (id, previous, items, llm, step) AS (
    SELECT id, previous, items, llm, 1 FROM kept_responses WHERE key = ? AND id = ?
    UNION ALL SELECT before.id, before.previous, before.items, before.llm, past.step + 1
        FROM past JOIN kept_responses AS before ON before.key = ? AND before.id = past.previous WHERE past.step < ?)
    SELECT id, previous, items, llm FROM past ORDER BY step"""
KEEP = """INSERT INTO kept_responses (key, id, previous, items, llm, used) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key, id) DO UPDATE SET
    previous = excluded.previous, items = excluded.items, llm = excluded.llm, used = excluded.used"""
T = TypeVar("T")


class Place(Protocol):
    """Where they lie. Safe from any thread."""

    def transaction(self, *locks: str) -> AbstractContextManager[Connection]:
        """As `registry.database.door.Database` says."""

    def close(self) -> None:
        """What was in memory is gone."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One response. items: those that its request brought, then its output. llm: whose endpoint keeps it too, under the same id."""

    id: str
    previous: str | None
    items: Sequence[Mapping[str, Any]]
    llm: str | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """A conversation up to a response, and the LLM whose endpoint keeps it, too."""

    items: tuple[Mapping[str, Any], ...] = ()
    llm: str | None = None


class KeptResponses:
    """keep_s: seconds after the last use; 0 keeps nothing. most_bytes: of all that is kept.

    Beyond them the longest unused go first, a key's own where it takes more than its share.
    """

    def __init__(self, place: Place, keep_s: float, most_bytes: int, now: Callable[[], float] = time.time) -> None:
        self._place, self._keep_s, self._most_bytes, self._now = place, keep_s, most_bytes, now

    async def past(self, key: str, response_id: str) -> Past:
        """The conversation up to a response of this key. Raises PreviousResponseUnknown, ResponsesUnavailable."""
        return await self._run(lambda connection: self._past(connection, key, response_id))

    async def keep(self, key: str, kept: Kept) -> None:
        """Keeps a response of this key. Raises ResponsesUnavailable."""
        if self._keep_s > 0:
            await self._run(lambda connection: self._keep(connection, key, kept))

    async def forget(self, key: str, response_id: str) -> bool:
        """Whether there was such a response of this key. Those that went on from it cannot be gone on from any more."""
        return await self._run(lambda connection: _forget(connection, key, response_id))

    def close(self) -> None:
        """What was in memory is gone."""
        self._place.close()

    async def _run(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.to_thread(self._worked, work)

    def _worked(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._place.transaction(LOCK) as connection:
                return work(connection)
        except DatabaseFailed as exc:
            what = f"Kept responses cannot be reached: {exc.what}"
            raise ResponsesUnavailable(what, next_step="Send the whole conversation as input.") from exc

    def _past(self, connection: Connection, key: str, response_id: str) -> Past:
        self._expire(connection)
        found = connection.execute(PAST, (key, response_id, key, LONGEST)).fetchall()
        if not found or (found[-1][1] is not None and len(found) < LONGEST):
            raise PreviousResponseUnknown(
                f"Previous response with id {response_id!r} not found: it is unknown, of another key, or no longer kept.",
                next_step=(
                    f"Send the whole conversation as input. Responses are kept for {self._keep_s:g} s after their last use, unless "
                    "`store` is false; several workers share them with ROUTEMOA_KEEP_RESPONSES=disk."
                ),
                param="previous_response_id",
            )
        marks = ", ".join("?" * len(found))
        used = f"UPDATE kept_responses SET used = ? WHERE key = ? AND id IN ({marks})"  # noqa: S608  only marks
        connection.execute(used, (self._now(), key, *(each[0] for each in found)))
        pieces = [orjson.loads(items) for _, _, items, _ in reversed(found)]
        return Past(tuple(item for piece in pieces for item in piece), found[0][3])

    def _keep(self, connection: Connection, key: str, kept: Kept) -> None:
        connection.execute(KEEP, (key, kept.id, kept.previous, orjson.dumps(list(kept.items)), kept.llm, self._now()))
        self._expire(connection)
        _drop(connection, "WHERE key = ?", (key,), int(self._most_bytes * KEY_SHARE))
        _drop(connection, "", (), self._most_bytes)

    def _expire(self, connection: Connection) -> None:
        connection.execute("DELETE FROM kept_responses WHERE used < ?", (self._now() - self._keep_s,))


def _drop(connection: Connection, where: str, which: tuple[str, ...], most_bytes: int) -> None:
    """Drops the longest unused rows until the rest has at most `most_bytes`."""
    size = connection.execute(f"SELECT coalesce(sum(length(items)), 0) FROM kept_responses {where}", which).fetchone()[0]  # noqa: S608 - ours
    while size > most_bytes:
        oldest = f"SELECT key, id, length(items) FROM kept_responses {where} ORDER BY used, id LIMIT 1"  # noqa: S608
        key, response_id, bytes_ = connection.execute(oldest, which).fetchone()
        _forget(connection, key, response_id)
        size -= bytes_


def _forget(connection: Connection, key: str, response_id: str) -> bool:
    return connection.execute("DELETE FROM kept_responses WHERE key = ? AND id = ?", (key, response_id)).rowcount > 0
