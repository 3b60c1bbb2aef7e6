"""What keys and the platform may spend: the worst case of a request is held before it runs, and settled by what it cost.

The door is `Budgets`. Behind it is `SqliteBudgets`, a file shared by the workers of one host, or `SharedBudgets`, a database of several
hosts; both keep what they count through restarts and kill -9.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from filelock import FileLock

from monitoring.records.open_file import make_private
from registry.database import files
from registry.database.door import Connection, Database
from registry.database.shared import shared
from registry.database.sqlite import immediate
from registry.errors import DatabaseFailed
from serving.errors import BudgetSpent, BudgetsUnavailable
from serving.settings import ServingSettings

T = TypeVar("T")

Period = Literal["day", "month"]
PLATFORM = "platform"  # the scope of what all keys spend together; a key's own is its id
SAME_USD = 1e-9  # sums of floats differ by less
BUSY_S = 2.0  # another worker's transaction takes a tenth of a millisecond
FREED_SOON_S = 2  # what is held and not spent comes back as fast as answers do
SCHEMA = """CREATE TABLE IF NOT EXISTS spend (
    scope TEXT NOT NULL, "window" TEXT NOT NULL, spent_usd REAL NOT NULL DEFAULT 0, held_usd REAL NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0, last_used REAL, PRIMARY KEY (scope, "window"))"""


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


def make(settings: ServingSettings) -> Budgets:
    """Those of this host (`var/spend.db`), or of all hosts that share a database. Raises DatabaseFailed."""
    database = shared(settings)
    return SqliteBudgets(settings.spend_file) if database is None else SharedBudgets(database)


class SharedBudgets:
    """Of all hosts that share `database`: each statement waits in a thread, and requests of one key take turns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold(self, limits: Sequence[Limit], at_least: float, at_most: float, now: datetime) -> Hold:
        """As `Budgets` says."""
        return await self._do(lambda connection: _hold(connection, limits, at_least, at_most, now), {each.scope for each in limits})

    async def settle(self, hold: Hold, cost_usd: float, now: datetime) -> None:
        """As `Budgets` says."""
        await self._do(lambda connection: _settle(connection, hold, cost_usd, now), {scope for scope, _ in hold.windows})

    async def book(self, windows: Sequence[tuple[str, str]], spend: Spend) -> None:
        """As `Budgets` says."""
        await self._do(lambda connection: _book(connection, windows, spend), {scope for scope, _ in windows})

    async def tend(self) -> None:
        """As `Budgets` says: nothing."""

    async def close(self) -> None:
        """As `Budgets` says; the connections are the process's."""

    async def _do(self, what: Callable[[Connection], T], scopes: Collection[str]) -> T:
        def whole() -> T:
            with self._database.transaction(*(f"spend {scope}" for scope in scopes)) as connection:
                return what(connection)

        try:
            return await asyncio.to_thread(whole)
        except DatabaseFailed as exc:
            raise BudgetsUnavailable(f"Budgets cannot be counted: {exc.what}", next_step=exc.next_step) from exc


class SqliteBudgets:
    """Statements run in the event loop: each is a few dozen microseconds, for nothing waits for the disk (see `tend`)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def hold(self, limits: Sequence[Limit], at_least: float, at_most: float, now: datetime) -> Hold:
        """As `Budgets` says."""
        with self._transaction() as connection:
            return _hold(connection, limits, at_least, at_most, now)

    async def settle(self, hold: Hold, cost_usd: float, now: datetime) -> None:
        """As `Budgets` says."""
        with self._transaction() as connection:
            _settle(connection, hold, cost_usd, now)

    async def book(self, windows: Sequence[tuple[str, str]], spend: Spend) -> None:
        """As `Budgets` says."""
        with self._transaction() as connection:
            _book(connection, windows, spend)

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
            with immediate(connection):
                yield connection
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


def read(settings: ServingSettings, places: Sequence[tuple[str, str]]) -> list[Spend]:
    """What was spent in each of these windows; nothing where nobody spent yet. Raises BudgetsUnavailable."""
    if (database := shared(settings)) is not None:
        try:
            with database.reading() as connection:
                return [_read(connection, place) for place in places]
        except DatabaseFailed as exc:
            raise BudgetsUnavailable(f"Budgets cannot be read: {exc.what}", next_step=exc.next_step) from exc
    path = settings.spend_file
    if not path.is_file():
        return [Spend() for _ in places]
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as file:
            return [_read(file, place) for place in places]
    except sqlite3.Error as exc:
        raise BudgetsUnavailable(f"{path}: cannot be read ({exc}).", next_step="Free its lock, or try again.") from exc


def move(path: Path, database: Database) -> dict[str, int]:
    """Moves what a file's keys spent into the database that its host shares from now on; how many rows came. Raises DatabaseFailed."""
    return {"sums of spending": files.move(path, "spend", database, lock="spend", leave=("held_usd",))}  # nothing runs that holds


def _hold(connection: Connection, limits: Sequence[Limit], at_least: float, at_most: float, now: datetime) -> Hold:
    """As `Budgets.hold` says, in a transaction that no other request of these scopes interleaves."""
    counted = tuple(place for scope in dict.fromkeys(each.scope for each in limits) for place in windows(scope, now))
    usd = at_most
    for limit in limits:
        before = _read(connection, (limit.scope, window(limit.period, now)))
        left = limit.usd - before.spent_usd - before.held_usd
        if left + SAME_USD < at_least or left <= 0:
            raise _spent(limit, at_least, before.spent_usd, before.held_usd, now)
        usd = min(usd, left)
    for place in counted:
        connection.execute(
            'INSERT INTO spend (scope, "window", held_usd) VALUES (?, ?, ?)'
            ' ON CONFLICT (scope, "window") DO UPDATE SET held_usd = spend.held_usd + excluded.held_usd',
            (*place, usd),
        )
    return Hold(usd, counted)


def _settle(connection: Connection, hold: Hold, cost_usd: float, now: datetime) -> None:
    """As `Budgets.settle` says. Sums of floats may leave a trace less than nothing held."""
    for place in hold.windows:
        connection.execute(
            "UPDATE spend SET held_usd = CASE WHEN held_usd > ? THEN held_usd - ? ELSE 0 END, spent_usd = spent_usd + ?,"
            ' requests = requests + 1, last_used = ? WHERE scope = ? AND "window" = ?',
            (hold.usd, hold.usd, cost_usd, now.timestamp(), *place),
        )


def _book(connection: Connection, windows: Sequence[tuple[str, str]], spend: Spend) -> None:
    """As `Budgets.book` says."""
    for place in windows:
        connection.execute(
            'INSERT INTO spend (scope, "window", spent_usd, requests, last_used) VALUES (?, ?, ?, ?, ?)'
            ' ON CONFLICT (scope, "window") DO UPDATE SET spent_usd = spend.spent_usd + excluded.spent_usd,'
            " requests = spend.requests + excluded.requests, last_used = excluded.last_used",
            (*place, spend.spent_usd, spend.requests, spend.last_used),
        )


def _read(connection: Connection, place: tuple[str, str]) -> Spend:
    query = 'SELECT spent_usd, held_usd, requests, last_used FROM spend WHERE scope = ? AND "window" = ?'
    row = connection.execute(query, place).fetchone()
    return Spend() if row is None else Spend(*row)


def _spent(limit: Limit, at_least: float, spent: float, held: float, now: datetime) -> BudgetSpent:
    """The refusal: for good where no window has the room, until it ends where the money is spent, for a moment where it is only held."""
    gone = spent + at_least > limit.usd + SAME_USD
    what = (
        f"{limit.whose} may spend {limit.usd:g} USD a {limit.period}: {spent:.6g} are spent and {held:.6g} held for requests that run;"
        f" this one may cost {at_least:.6g}."
    )
    what = what[0].upper() + what[1:]
    if at_least > limit.usd + SAME_USD:
        return BudgetSpent(what, next_step=f"No {limit.period} has room for it: lower max_tokens or raise the budget.", retry_after_s=None)
    wait_s = ends_in_s(limit.period, now) if gone else FREED_SOON_S
    next_step = f"The next {limit.period} begins in {wait_s} s (UTC)." if gone else "Ask again in a moment, or ask for fewer max_tokens."
    return BudgetSpent(what, next_step=next_step, retry_after_s=wait_s)
