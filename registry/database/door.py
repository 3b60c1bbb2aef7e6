"""What a store asks of its database, whichever it is. Statements are SQL that SQLite and PostgreSQL both read, with `?` for values."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = tuple[Any, ...]


class Result(Protocol):
    """What came of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """The next row, None after the last."""

    def fetchall(self) -> list[Any]:
        """All rows."""


class Connection(Protocol):
    """One transaction's, or one reader's."""

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Result:
        """Runs one statement."""


class Database(Protocol):
    """Safe from any thread. What its driver raises comes out as `DatabaseFailed`, and a transaction that it was raised in left nothing."""

    @property
    def name(self) -> str:
        """For people; no password stands in it."""

    def transaction(self, *locks: str) -> AbstractContextManager[Connection]:
        """All its statements or none, and nobody who names one of `locks` in between. What is committed survives `kill -9`."""

    def reading(self) -> AbstractContextManager[Connection]:
        """For statements that change nothing."""
