"""Records in PostgreSQL, for all hosts that share it. Commits of all writers come one after the other, so `number` says who was first."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from monitoring.errors import RecordsRefused
from monitoring.records.record_place import Notice, PlaceFailed, Statement, ValueRefused
from registry.database.door import Connection
from registry.errors import DatabaseFailed

if TYPE_CHECKING:
    from registry.database.postgres import Postgres

LOCK = "records"


class RecordTables:
    """As `RecordPlace` says."""

    next_step = "See whether the database runs and takes us; then try again."

    def __init__(self, database: "Postgres") -> None:
        self._database = database

    @property
    def name(self) -> str:
        """Host and database."""
        return self._database.name

    def require(self) -> None:
        """As `RecordPlace` says: a database that is away may come back, one that a newer platform laid out will not do."""
        try:
            self._database.upgrade()
        except DatabaseFailed as exc:
            raise RecordsRefused(f"Records cannot be kept: {exc.what}", next_step=exc.next_step) from exc

    def commit(self, statements: Sequence[Statement], notice: Notice) -> list[bool]:  # noqa: ARG002  nobody moves a database
        """As `RecordPlace` says."""
        try:
            with self.writing() as connection:
                return [connection.execute(statement, values).rowcount > 0 for statement, values in statements]
        except (ValueError, OverflowError) as exc:  # text that is no Unicode, a number beyond its column
            raise ValueRefused(str(exc)) from exc

    def probe(self, notice: Notice) -> None:  # noqa: ARG002
        """As `RecordPlace` says."""
        with self.writing() as connection:
            connection.execute("UPDATE forgotten SET records = records WHERE scorer_version = ''")

    def leave(self) -> None:
        """As `RecordPlace` says; the connections are the process's."""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """As `RecordPlace` says."""
        with _failing(), self._database.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """As `RecordPlace` says."""
        with _failing(), self._database.transaction(LOCK) as connection:
            yield connection


@contextmanager
def _failing() -> Iterator[None]:
    """A fault of a value is told apart from one of the server."""
    try:
        yield
    except DatabaseFailed as exc:
        import psycopg

        kind = ValueRefused if isinstance(exc.__cause__, psycopg.DataError | psycopg.IntegrityError) else PlaceFailed
        raise kind(exc.what) from exc
