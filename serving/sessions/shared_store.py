"""Sessions of all hosts that share a database, behind the door `Sessions`: a conversation's next request may reach any of them."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from registry.database.door import Connection, Database
from registry.database.shared import shared
from registry.errors import DatabaseFailed
from serving.errors import SessionsUnavailable
from serving.sessions.kept_session import KeptSession, read
from serving.sessions.store import Sessions, SqliteSessions
from serving.settings import ServingSettings

KEEP = """INSERT INTO sessions (key, until, kept) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET until = excluded.until, kept = excluded.kept"""


def make(settings: ServingSettings) -> Sessions:
    """Those of this host (`var/sessions.db`), or of all hosts that share a database. Raises DatabaseFailed."""
    keep_s, most = settings.sessions.keep_s, settings.sessions.most
    if (database := shared(settings)) is not None:
        return SharedSessions(database, keep_s=keep_s, most=most)
    return SqliteSessions(settings.sessions_file, keep_s=keep_s, most=most)


class SharedSessions:
    """As `SqliteSessions`; each look-up and each write waits in a thread."""

    def __init__(self, database: Database, *, keep_s: float, most: int, clock: Callable[[], float] = time.time) -> None:
        self._database, self._keep_s, self._most, self._clock = database, keep_s, most, clock

    async def find(self, keys: Sequence[str]) -> KeptSession | None:
        """As `Sessions` says."""
        return await asyncio.to_thread(self._find, keys)

    async def keep(self, keys: Sequence[str], session: KeptSession) -> None:
        """As `Sessions` says."""
        await asyncio.to_thread(self._keep, keys, session)

    async def tend(self) -> None:
        """Removes what expired and what is too much."""
        with suppress(SessionsUnavailable):
            await asyncio.to_thread(self._tend)

    async def close(self) -> None:
        """As `Sessions` says; the connections are the process's."""

    def _find(self, keys: Sequence[str]) -> KeptSession | None:
        query = f"SELECT key, kept FROM sessions WHERE key IN ({', '.join('?' * len(keys))}) AND until > ?"  # noqa: S608  only marks
        with _failing(), self._database.reading() as connection:
            kept = dict(connection.execute(query, (*keys, self._clock())).fetchall())
        return next((read(kept[key]) for key in keys if key in kept), None)

    def _keep(self, keys: Sequence[str], session: KeptSession) -> None:
        row = (self._clock() + self._keep_s, session.as_json())
        with self._writing() as connection:
            for key in sorted(keys):  # in one order: two requests of a session never wait for each other in a circle
                connection.execute(KEEP, (key, *row))

    def _tend(self) -> None:
        with self._writing() as connection:
            connection.execute("DELETE FROM sessions WHERE until <= ?", (self._clock(),))
            (rows,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
            if rows > self._most:
                oldest = "SELECT key FROM sessions ORDER BY until LIMIT ?"
                connection.execute(f"DELETE FROM sessions WHERE key IN ({oldest})", (rows - self._most,))  # noqa: S608  all text is ours

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with _failing(), self._database.transaction() as connection:
            yield connection


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except DatabaseFailed as exc:
        raise SessionsUnavailable(f"Sessions cannot be read: {exc.what}", next_step=exc.next_step) from exc
