"""A PostgreSQL of a project's own: made by `initdb` in its folder, run as a user that is not root, gone with the platform."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError, ProcessFailed
from local.processes import Processes
from registry import child_process
from registry.errors import ChildFailed

USER = "postgres"  # of this machine; the server refuses to run as root
OWNER = "routemoa"  # of the databases
START_S = 120.0


@dataclass(frozen=True, slots=True)
class Postgres:
    """folder: its data and its password, which a later start finds again."""

    folder: Path
    port: int

    def url(self, database: str) -> str:
        """A database of it, as operators write it; the password is in it."""
        return f"postgresql://{OWNER}:{self._password()}@127.0.0.1:{self.port}/{database}"

    def start(self, processes: Processes, *databases: str) -> None:
        """Returns when it answers and has `databases`. Raises LocalError, ProcessFailed."""
        if not (self.folder / "data" / "PG_VERSION").exists():
            self._make()
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", f"port={self.port}")
        command = [program("postgres"), "-D", str(self.folder / "data"), *(word for each in settings for word in ("-c", each))]
        processes.start("postgres", [*as_user(), *command], ended_by=signal.SIGINT)  # which does not wait for its clients
        self._wait(processes)
        there = self._run("psql", "--no-align", "--tuples-only", "-c", "SELECT datname FROM pg_database", "postgres").split()
        for name in databases:
            if name not in there:
                self._run("createdb", name)

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(24))
        if os.geteuid() == 0:
            _let_in(self.folder)
            for path in (self.folder, password):
                shutil.chown(path, USER)
        options = ("--auth=scram-sha-256", f"--pwfile={password}", f"--username={OWNER}", "--encoding=UTF8", "--locale=C")
        command = [*as_user(), program("initdb"), "-D", str(self.folder / "data"), *options]
        try:
            child_process.output(command, cwd=Path("/"))
        except ChildFailed as exc:
            shutil.rmtree(self.folder / "data", ignore_errors=True)
            raise LocalError(f"PostgreSQL could not be made in {self.folder}: {exc.what}", next_step="What it said is above.") from exc

    def _wait(self, processes: Processes) -> None:
        give_up = time.monotonic() + START_S
        while time.monotonic() < give_up:
            processes.check("postgres")
            if subprocess.run([program("pg_isready"), *self._where()], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise ProcessFailed(f"PostgreSQL did not answer within {START_S:.0f} s.", next_step=f"Its log is {processes.log('postgres')}.")

    def _run(self, name: str, *arguments: str) -> str:
        environment = child_process.environment(PGPASSWORD=self._password())
        command = [program(name), *self._where(), "--username", OWNER, *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise LocalError(f"{name} failed: {ended.stderr.strip()}", next_step="See whether its server runs.")
        return ended.stdout

    def _where(self) -> list[str]:
        return ["--host=127.0.0.1", f"--port={self.port}"]

    def _password(self) -> str:
        return (self.folder / "password").read_text()


def as_user() -> list[str]:
    """What stands before a command that must not run as root; it ends with whoever started it, as the others do."""
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "--pdeathsig=INT"] if os.geteuid() == 0 else []


def program(name: str) -> str:
    """The newest one that is installed, also where Debian keeps it off the PATH. Raises LocalError."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which(name)
    if found is None:
        raise LocalError(f"PostgreSQL's {name} is not installed.", next_step="apt-get install postgresql, or your system's package of it.")
    return found


def _let_in(folder: Path) -> None:
    """Raises LocalError where USER may not enter the folders above `folder`."""
    entered = subprocess.run([*as_user(), "test", "-x", str(folder.parent)], capture_output=True, check=False)
    if entered.returncode != 0:
        raise LocalError(
            f"PostgreSQL runs as the user {USER}, who may not enter {folder.parent}.",
            next_step="Name a folder that everybody may enter with --at, such as one in /srv; or run this as another user than root.",
        )
