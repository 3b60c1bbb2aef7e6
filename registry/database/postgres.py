"""PostgreSQL, shared by all hosts that name it (`ROUTEMOA_DATABASE_URL`). Its driver is imported when the first one is opened."""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import structlog

from registry import extras
from registry.database.door import Connection, Result
from registry.errors import DatabaseFailed

if TYPE_CHECKING:
    from psycopg import Connection as Psycopg

CONNECT_S = 5
STATEMENT_S = 30  # a statement of ours takes milliseconds; an import of records a second
SILENT_S = 6  # after which a connection that the network swallowed is given up
OPTIONS = (  # of every session; the last ones let the server miss a host that is gone, and give its locks to another
    f"-c statement_timeout={STATEMENT_S}s -c synchronous_commit=on"
    " -c tcp_keepalives_idle=3 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3"
    " -c tcp_user_timeout=6s"  # while a word is on its way no keep-alive is sent, and Linux gives up after 15 minutes
)
CONNECTIONS = 8  # of one process
log = structlog.get_logger()


@cache
def opened(url: str) -> "Postgres":
    """One for each process, with its tables brought up to date. Raises DatabaseFailed, ExtraMissing."""
    return Postgres(url)


class Postgres:
    """A pool of connections. Raises DatabaseFailed where it cannot be reached, or a newer platform laid out its tables."""

    def __init__(self, url: str) -> None:
        extras.need("postgres")
        import psycopg
        from sqlalchemy import create_engine
        from sqlalchemy.exc import ArgumentError, SQLAlchemyError

        self._errors = (psycopg.Error, SQLAlchemyError)
        try:
            self._engine = create_engine(
                _with_driver(url),
                pool_size=CONNECTIONS,
                max_overflow=0,
                pool_timeout=CONNECT_S,
                pool_pre_ping=True,
                connect_args={
                    "connect_timeout": CONNECT_S,
                    "options": OPTIONS,
                    "keepalives_idle": SILENT_S // 2,
                    "keepalives_interval": 1,
                    "keepalives_count": 3,
                    "tcp_user_timeout": SILENT_S * 1000,
                    "application_name": "routemoa",
                },
            )
        except ArgumentError as exc:
            what = "ROUTEMOA_DATABASE_URL is no address of a database."  # not repeated: it may hold a password
            raise DatabaseFailed(what, next_step="Write postgresql://USER:PASSWORD@HOST/DATABASE.") from exc
        self._ready = False
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Host and database."""
        return f"PostgreSQL {self._engine.url.host}:{self._engine.url.port or 5432}/{self._engine.url.database}"

    @contextmanager
    def transaction(self, *locks: str) -> Iterator[Connection]:
        """As `Database` says. Locks are PostgreSQL's advisory ones, in one order for all."""
        with self._connected() as connection:
            for number in sorted(map(lock_number, locks)):
                connection.execute("SELECT pg_advisory_xact_lock(?)", (number,))
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """As `Database` says."""
        with self._connected() as connection:
            yield connection

    def lead(self, name: str) -> "PostgresLead":
        """Whoever holds `name` is the one of all hosts."""
        return PostgresLead(self, name)

    def upgrade(self) -> None:
        """Lays out its tables, or brings them up to date, once for each process; one of several at a time."""
        with self._lock:
            if not self._ready:
                from registry.database import migrate

                with self._failing():
                    migrate.upgrade(self._engine, self.name)
                self._ready = True

    @contextmanager
    def _connected(self) -> Iterator["_Statements"]:
        self.upgrade()
        with self._failing():
            pooled = self._engine.raw_connection()
            try:
                yield _Statements(cast("Psycopg", pooled.driver_connection))
                pooled.commit()
            except BaseException:
                if pooled.driver_connection is not None and pooled.driver_connection.closed:
                    pooled.invalidate()  # nothing to roll back there, and none to reuse
                else:
                    pooled.rollback()
                raise
            finally:
                pooled.close()  # back into the pool

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except self._errors as exc:
            words = " ".join(str(exc).split())
            raise DatabaseFailed(f"{self.name}: {words}.", next_step="See whether it runs and takes us; then try again.") from exc


class _Statements:
    """A connection that reads our statements."""

    def __init__(self, connection: "Psycopg") -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Result:
        """Runs one. PostgreSQL's text has no NUL."""
        taken = [each.replace("\x00", "�") if isinstance(each, str) else each for each in values]
        return self._connection.execute(statement.replace("%", "%%").replace("?", "%s"), taken)


class PostgresLead:
    """A lock that PostgreSQL gives back when its holder's connection ends."""

    def __init__(self, database: Postgres, name: str) -> None:
        self._database, self._name, self._number = database, name, lock_number(f"lead {name}")
        self._held: Psycopg | None = None
        self._said: bool | None = None

    def holds(self) -> bool:
        """As `registry.database.lead.Lead` says."""
        with self._database._failing():
            try:
                if self._held is not None:
                    self._held.execute("SELECT 1")
                    return True
                self._database.upgrade()
                pooled = self._database._engine.raw_connection()
                connection = cast("Psycopg", pooled.driver_connection)
                pooled.detach()
                connection.autocommit = True
                row = connection.execute("SELECT pg_try_advisory_lock(%s)", (self._number,)).fetchone()
            except BaseException:
                self.leave()
                raise
            taken = row is not None and bool(row[0])
            if taken:
                self._held = connection
            else:
                connection.close()
            self._say(taken)
            return taken

    def leave(self) -> None:
        """As `Lead` says."""
        held, self._held, self._said = self._held, None, None
        if held is not None:
            held.close()

    def _say(self, taken: bool) -> None:
        if taken is not self._said:
            self._said = taken
            log.info("lead_taken" if taken else "lead_waits", of=self._name)


def lock_number(name: str) -> int:
    """Of an advisory lock: 64 bits with their sign."""
    return int.from_bytes(hashlib.blake2b(f"routemoa {name}".encode(), digest_size=8).digest(), signed=True)


def _with_driver(url: str) -> str:
    """`url` with the driver that we have. Raises ArgumentError for another database's."""
    from sqlalchemy.exc import ArgumentError

    scheme, _, rest = url.partition("://")
    if scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise ArgumentError(scheme)
    return f"postgresql+psycopg://{rest}"
