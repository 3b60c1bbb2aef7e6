"""API keys of all hosts that share a database. Each host keeps a copy in a file: that is in force while the database is away."""

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from registry.database.door import Connection, Database
from registry.database.shared import shared
from registry.errors import DatabaseFailed
from serving.access import keys
from serving.errors import KeysRefused
from serving.settings import ServingSettings


def store(settings: ServingSettings) -> keys.KeyStore:
    """Where this host's keys are made and revoked. Raises KeysRefused."""
    database = shared(settings)
    return keys.KeyFileStore(settings.keys_file) if database is None else SharedKeys(database, settings.keys_file)


def refresh(settings: ServingSettings) -> None:
    """Brings this host's copy up to date where it shares a database. Raises KeysRefused: then it stays in force as it is."""
    kept = store(settings)
    if isinstance(kept, SharedKeys):
        kept.refresh()


class SharedKeys:
    """copy: this host's file."""

    def __init__(self, database: Database, copy: Path) -> None:
        self._database, self._copy = database, copy

    def change(self, change: Callable[[keys.Entries], keys.Entries]) -> None:
        """As `KeyStore` says; other hosts follow within their poll interval."""
        try:
            with self._database.transaction("keys") as connection:
                before = _read(connection)
                after = change(before)
                for gone in {entry.name for entry in before} - {entry.name for entry in after}:
                    connection.execute("DELETE FROM keys WHERE name = ?", (gone,))
                for entry in after[len(before) :] if after[: len(before)] == before else ():
                    connection.execute("INSERT INTO keys (name, entry) VALUES (?, ?)", (entry.name, entry.model_dump_json()))
        except DatabaseFailed as exc:
            raise KeysRefused(f"Keys cannot be changed: {exc.what}", next_step=exc.next_step) from exc
        self._keep(after)

    def refresh(self) -> None:
        """Brings this host's copy up to date. Raises KeysRefused: then it stays as it is, and in force."""
        try:
            with self._database.reading() as connection:
                entries = _read(connection)
        except DatabaseFailed as exc:
            raise KeysRefused(f"Keys are not followed: {exc.what}", next_step=exc.next_step) from exc
        self._keep(entries)

    def _keep(self, entries: keys.Entries) -> None:
        self._copy.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._copy.with_suffix(".lock")):  # a server's follower, and whoever makes a key there
            if not self._copy.exists() or keys.read(self._copy).entries != entries:
                keys.write(self._copy, entries)


def move(path: Path, database: Database) -> dict[str, int]:
    """Moves a keys.json into the database that its host shares from now on; how many came. Raises DatabaseFailed, KeysRefused.

    A name that another host gave to another key is followed by the first of this one's hash.
    """
    came = 0
    with database.transaction("keys") as connection:
        there = _read(connection)
        names, hashes = {entry.name for entry in there}, {entry.sha256 for entry in there}
        for entry in keys.read(path).entries:
            if entry.sha256 not in hashes:
                name = f"{entry.name[:57]}-{entry.sha256[:6]}" if entry.name in names else entry.name
                renamed = entry.model_copy(update={"name": name})
                connection.execute("INSERT INTO keys (name, entry) VALUES (?, ?)", (name, renamed.model_dump_json()))
                came += 1
    return {"keys": came}


def _read(connection: Connection) -> keys.Entries:
    """In the order they were made."""
    rows = connection.execute("SELECT entry FROM keys").fetchall()
    entries = (keys.KeyEntry.model_validate_json(entry) for (entry,) in rows)
    return tuple(sorted(entries, key=lambda entry: (entry.created_at, entry.name)))
