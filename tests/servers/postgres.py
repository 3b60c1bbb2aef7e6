"""A real PostgreSQL server for tests: `with running() as postgres` (its own data, its own port, gone afterwards)."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from local.errors import LocalError
from local.processes import free_ports
from local.team.postgres import USER, program

# connections: of every database that a test of this process opened; pools keep theirs until it ends
SETTINGS = "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=300"


@dataclass(frozen=True)
class Postgres:
    """A server. fsync is off: a test's own machine does not lose power; what kills the process alone loses nothing."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Its first database, as SQLAlchemy names it."""
        return self.database("postgres")

    def database(self, name: str) -> str:
        """Another database of it, as SQLAlchemy names it."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"

    def create(self, name: str) -> str:
        """A new, empty database; its URL."""
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.database(name)

    def create_for_tests(self) -> str:
        """A new, empty database as an operator names it."""
        return self.create(f"test-{uuid.uuid4().hex}").replace("+psycopg", "")

    def control(self, *arguments: str) -> None:
        """`pg_ctl` on its data: start, or stop in one of its modes."""
        command = [_program("pg_ctl"), "-D", str(self.folder), "-w", "-t", "120", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **_as_nobody_special())

    def start(self) -> None:
        """Returns when it answers."""
        options = " ".join(f"-c {each}" for each in SETTINGS)
        self.control("-l", str(self.folder / "log"), "-o", f"-p {self.port} {options}", "start")

    def kill(self) -> None:
        """Ends it without a goodbye: its next start recovers."""
        self.control("-m", "immediate", "stop")


@contextmanager
def running() -> Iterator[Postgres]:
    """A server with nothing in it. Skips the test, visibly, where PostgreSQL is not installed."""
    initdb = _program("initdb")
    with tempfile.TemporaryDirectory(prefix="routemoa-postgres-", ignore_cleanup_errors=True) as place:
        if os.geteuid() == 0:
            shutil.chown(place, USER)
        folder = Path(place) / "data"
        command = [initdb, "-D", str(folder), "-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **_as_nobody_special())
        server = Postgres(folder, next(free_ports(5600)))
        server.start()
        try:
            yield server
        finally:
            server.kill()


def _as_nobody_special() -> dict[str, str]:
    return {"user": USER, "group": USER, "cwd": "/"} if os.geteuid() == 0 else {}


def _program(name: str) -> str:
    """The newest one that is installed; skips where there is none."""
    try:
        return program(name)
    except LocalError as exc:
        pytest.skip(f"{exc.what} {exc.next_step}")
