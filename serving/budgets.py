"""What keys and the platform may spend: the worst case of a request is held before it runs, and settled by what it cost.

The door is `Budgets`. `SqliteBudgets` is behind it: one file, shared by the workers of one host, kept through restarts and kill -9.
"""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from filelock import FileLock

from monitoring.open_file import make_private
from serving.errors import BudgetSpent, BudgetsUnavailable

Period = Literal["day", "month"]
PLATFORM = "platform"  # the scope of what all keys spend together; a key's own is its id
SAME_USD = 1e-9  # sums of floats differ by less
BUSY_S = 2.0  # another worker's transaction takes a tenth of a millisecond
FREED_SOON_S = 2  # what is held and not spent comes back as fast as answers do
SCHEMA = """CREATE TABLE IF NOT EXISTS spend (
    scope TEXT NOT NULL, window TEXT NOT NULL, spent_usd REAL NOT NULL DEFAULT 0, held_usd REAL NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0, last_used REAL, PRIMARY KEY (scope, window))"""


@dataclass(frozen=True, slots=True)
class Limit:
    """USD that a scope may spend in one UTC day or month. whose: for people, such as "the key 'bot'"."""

    scope: str
    period: Period
    usd: float
    whose: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside for one request, in the day and the month of each scope that has a budget."""

    usd: float
    windows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Spend:
    """What a scope spent in a window, what is held for requests that run (or died), when it was last used (epoch seconds)."""

    spent_usd: float = 0.0
    held_usd: float = 0.0
    requests: int = 0
    last_used: float | None = None


class Budgets(Protocol):
    """Holds and settles. Whoever implements it for several hosts makes `hold` one transaction there."""

    async def hold(self, limits: Sequence[Limit], at_least: float, at_most: float, now: datetime) -> Hold:
        """As much of `at_most` as every limit has left. Raises BudgetSpent where one has less than `at_least`, BudgetsUnavailable."""

    async def settle(self, hold: Hold, cost_usd: float, now: datetime) -> None:
        """Gives the hold back and books what the request cost, however it ended. Raises BudgetsUnavailable."""

    async def book(self, windows: Sequence[tuple[str, str]], spend: Spend) -> None:
        """Books what was spent without a limit. Raises BudgetsUnavailable."""

    async def tend(self) -> None:
        """What has to be done every now and then; never raises."""

    async def close(self) -> None:
        """Nothing is held or settled after it."""


def window(period: Period, now: datetime) -> str:
    """The UTC day or month of `now`."""
    return now.strftime("%Y-%m-%d" if period == "day" else "%Y-%m")


def windows(scope: str, now: datetime) -> tuple[tuple[str, str], ...]:
    """Both windows of a scope."""
    return (scope, window("day", now)), (scope, window("month", now))


def ends_in_s(period: Period, now: datetime) -> int:
    """Whole seconds until the next UTC day or month begins."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begins = midnight + timedelta(days=1) if period == "day" else (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    return int((begins - now).total_seconds()) + 1


class SqliteBudgets:
    """Statements run in the event loop: each is a few dozen microseconds, for nothing waits for the disk (see `tend`)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def hold(self, limits: Sequence[Limit], at_least: float, at_most: float, now: datetime) -> Hold:
        """As `Budgets` says."""
        counted = tuple(place for scope in dict.fromkeys(each.scope for each in limits) for place in windows(scope, now))
        with self._transaction() as connection:
            usd = at_most
            for limit in limits:
                spent, held = _row(connection, (limit.scope, window(limit.period, now)))
                left = limit.usd - spent - held
                if left + SAME_USD < at_least or left <= 0:
                    raise _spent(limit, at_least, spent, held, now)
                usd = min(usd, left)
            for place in counted:
                connection.execute(
                    "INSERT INTO spend (scope, window, held_usd) VALUES (?, ?, ?)"
                    " ON CONFLICT (scope, window) DO UPDATE SET held_usd = held_usd + excluded.held_usd",
                    (*place, usd),
                )
        return Hold(usd, counted)

    async def settle(self, hold: Hold, cost_usd: float, now: datetime) -> None:
        """As `Budgets` says."""
        with self._transaction() as connection:
            for place in hold.windows:
                connection.execute(
                    "UPDATE spend SET held_usd = max(0, held_usd - ?), spent_usd = spent_usd + ?, requests = requests + 1, last_used = ?"
                    " WHERE scope = ? AND window = ?",
                    (hold.usd, cost_usd, now.timestamp(), *place),
                )

    async def book(self, windows: Sequence[tuple[str, str]], spend: Spend) -> None:
        """As `Budgets` says."""
        with self._transaction() as connection:
            for place in windows:
                connection.execute(
                    "INSERT INTO spend (scope, window, spent_usd, requests, last_used) VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT (scope, window) DO UPDATE SET spent_usd = spent_usd + excluded.spent_usd,"
                    " requests = requests + excluded.requests, last_used = excluded.last_used",
                    (*place, spend.spent_usd, spend.requests, spend.last_used),
                )

    async def close(self) -> None:
        """As `Budgets` says."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def tend(self) -> None:
        """Writes the log back into the file, in a thread, for that waits for the disk; what fails is tried again the next time."""
        with suppress(sqlite3.Error):
            await asyncio.to_thread(self._checkpoint)

    def _checkpoint(self) -> None:
        if self._path.is_file():
            with closing(sqlite3.connect(self._path, timeout=BUSY_S)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other worker interleaves. Raises BudgetsUnavailable: what cannot be counted is not spent."""
        try:
            connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as exc:
            raise BudgetsUnavailable(f"{self._path}: budgets cannot be counted ({exc}).", next_step="Free the disk or its lock.") from exc

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite refuses a switch to WAL at once, whatever the timeout, where another worker is at the new file.
        with FileLock(self._path.with_name(f".{self._path.name}.lock"), timeout=BUSY_S):
            make_private(self._path)
            connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")  # a commit survives kill -9; the last second may not survive a power cut
                connection.execute("PRAGMA wal_autocheckpoint = 0")
                connection.execute(SCHEMA)
            except BaseException:
                connection.close()
                raise
        self._connection = connection
        return connection


def read(path: Path, places: Sequence[tuple[str, str]]) -> list[Spend]:
    """What was spent in each of these windows; nothing where the file is not there yet. Raises BudgetsUnavailable."""
    if not path.is_file():
        return [Spend() for _ in places]
    try:
        query = "SELECT spent_usd, held_usd, requests, last_used FROM spend WHERE scope = ? AND window = ?"
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as connection:
            rows = [connection.execute(query, place).fetchone() for place in places]
    except sqlite3.Error as exc:
        raise BudgetsUnavailable(f"{path}: cannot be read ({exc}).", next_step="Free its lock, or try again.") from exc
    return [Spend() if row is None else Spend(*row) for row in rows]


def _row(connection: sqlite3.Connection, place: tuple[str, str]) -> tuple[float, float]:
    row = connection.execute("SELECT spent_usd, held_usd FROM spend WHERE scope = ? AND window = ?", place).fetchone()
    return (0.0, 0.0) if row is None else (row[0], row[1])


def _spent(limit: Limit, at_least: float, spent: float, held: float, now: datetime) -> BudgetSpent:
    """The refusal: for good until the window ends where the money is spent, for a moment where it is only held."""
    gone = spent + at_least > limit.usd + SAME_USD
    what = (
        f"{limit.whose} may spend {limit.usd:g} USD a {limit.period}: {spent:.6g} are spent and {held:.6g} held for requests that run;"
        f" this one may cost {at_least:.6g}."
    )
    wait_s = ends_in_s(limit.period, now) if gone else FREED_SOON_S
    next_step = f"The next {limit.period} begins in {wait_s} s (UTC)." if gone else "Ask again in a moment, or ask for fewer max_tokens."
    return BudgetSpent(what[0].upper() + what[1:], next_step=next_step, retry_after_s=wait_s)
