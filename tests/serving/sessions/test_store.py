"""Sessions outlive their worker, expire, and are bounded."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.database import postgres
from serving.errors import SessionsUnavailable
from serving.sessions.kept_session import Cached, KeptSession
from serving.sessions.shared_store import SharedSessions
from serving.sessions.store import Sessions, SqliteSessions

Open = Callable[..., Sessions]
KEPT = KeptSession("s", "a", {"a": Cached("hash", 2000, 300.0)}, "1", {"a": 0.5}, "p", 3, 2, spent_usd=0.25)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def opened(tmp_path: Path, either_url: str) -> Open:
    """Opens them: in a file, and in PostgreSQL."""

    def open_with(clock: Clock, *, keep_s: float = 9, most: int = 9) -> Sessions:
        if either_url:
            return SharedSessions(postgres.opened(either_url), keep_s=keep_s, most=most, clock=clock)
        return SqliteSessions(tmp_path / "sessions.db", keep_s=keep_s, most=most, clock=clock)

    return open_with


def test_what_one_worker_keeps_another_finds(opened: Open) -> None:
    """Under every key, as it was; the first key that is there counts."""

    async def story() -> None:
        one, other = opened(Clock()), opened(Clock())
        await one.keep(["k1", "k2"], KEPT)
        assert await other.find(["none", "k2"]) == KEPT
        await other.keep(["k3"], KeptSession("t"))
        assert (await one.find(["k3", "k1"])).id == "t"
        assert await one.find(["none"]) is None
        await one.close()
        await other.close()

    asyncio.run(story())


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Nobody else on the machine reads who talks to whom."""
    asyncio.run(SqliteSessions(tmp_path / "sessions.db", keep_s=9, most=9).keep(["k"], KEPT))
    assert (tmp_path / "sessions.db").stat().st_mode & 0o777 == 0o600


def test_sessions_expire(opened: Open) -> None:
    """After keep_s they are not found, and the next tending removes them: they stay away though the clock goes back."""
    clock = Clock()

    async def story() -> None:
        sessions = opened(clock)
        await sessions.keep(["k"], KEPT)
        clock.now = 8.9
        assert await sessions.find(["k"]) == KEPT
        clock.now = 9.0
        assert await sessions.find(["k"]) is None
        await sessions.tend()
        clock.now = 0.0
        assert await sessions.find(["k"]) is None
        await sessions.close()

    asyncio.run(story())


def test_there_are_never_more_than_most(opened: Open) -> None:
    """Those that would expire first go first."""
    clock = Clock()

    async def story() -> None:
        sessions = opened(clock, keep_s=1000, most=20)
        for at in range(100):
            clock.now = float(at)
            await sessions.keep([f"k{at}"], KEPT)
        await sessions.tend()
        assert [at for at in range(100) if await sessions.find([f"k{at}"]) == KEPT] == [*range(80, 100)]
        await sessions.close()

    asyncio.run(story())


def test_what_another_version_wrote_is_no_session(tmp_path: Path) -> None:
    """It is as if there were none, and is written anew."""

    async def story() -> None:
        sessions = SqliteSessions(tmp_path / "sessions.db", keep_s=9, most=9, clock=Clock())
        await sessions.keep(["k"], KEPT)
        with sqlite3.connect(tmp_path / "sessions.db") as connection:
            connection.execute("UPDATE sessions SET kept = '{\"surprise\": 1}'")
        connection.close()
        assert await sessions.find(["k"]) is None
        await sessions.keep(["k"], KEPT)
        assert await sessions.find(["k"]) == KEPT
        await sessions.close()

    asyncio.run(story())


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    """With the path."""
    (tmp_path / "sessions.db").write_bytes(b"no database at all, but long enough to be one" * 50)
    sessions = SqliteSessions(tmp_path / "sessions.db", keep_s=9, most=9)
    with pytest.raises(SessionsUnavailable, match=r"sessions\.db: sessions cannot be read"):
        asyncio.run(sessions.find(["k"]))
    asyncio.run(sessions.tend())
