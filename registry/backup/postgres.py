"""A PostgreSQL database as one file, by PostgreSQL's own programs, which are in the package `postgresql-client`."""

import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from registry import child_process
from registry.errors import BackupFailed


def dump(url: str, file: Path) -> None:
    """Writes the database, as of one moment, into `file`. Raises BackupFailed."""
    _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={file}")


def restore(url: str, file: Path) -> None:
    """Fills the empty database at `url` with what `dump` wrote: all of it, or nothing. Raises BackupFailed."""
    _run("pg_restore", url, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", str(file))


def tables(url: str) -> int:
    """How many tables the database has. Raises BackupFailed where it cannot be reached."""
    said = _run("psql", url, "--no-align", "--tuples-only", "-c", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    return int(said)


def without_password(url: str) -> tuple[str, str]:
    """`url` as PostgreSQL's programs read it, and the password that was in it: everybody on a machine sees command lines."""
    parts = urlsplit(url)
    login, _, place = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    return urlunsplit(("postgresql", f"{user}@{place}" if user else place, parts.path, parts.query, "")), unquote(password)


def _run(name: str, url: str, *arguments: str) -> str:
    program = shutil.which(name)
    if program is None:
        raise BackupFailed(f"{name} is not installed.", next_step="apt-get install postgresql-client, not older than the server.")
    place, password = without_password(url)
    environment = child_process.environment(**({"PGPASSWORD": password} if password else {}), PGCONNECT_TIMEOUT="10")
    ended = subprocess.run(
        [program, f"--dbname={place}", *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        raise BackupFailed(f"{name} failed: {' '.join(ended.stderr.split())}", next_step="What was written so far is no backup.")
    return ended.stdout
