"""What the monitor found, for all hosts that share a database: its looks, and which certificates they made void.

The host whose monitor leads writes both; every other one copies the last of them into its own `var/reports`, where servers, commands and
jobs read them: that goes on while the database is away. A host of its own keeps looks in `var/reports/looks.db`, for their history alone.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from monitoring import certificate_void
from monitoring.certificate_void import Void
from monitoring.errors import RecordsRefused
from registry.database import files
from registry.database.door import Connection, Database
from registry.database.shared import shared
from registry.database.sqlite import SqliteFile
from registry.errors import DatabaseFailed
from registry.settings import Settings
from scorer.atomic_write import replacing

LATEST = "latest.json"
LOCK = "looks"
SCHEMA = """CREATE TABLE IF NOT EXISTS looks (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, verdict TEXT NOT NULL, kind TEXT NOT NULL, scorer_version TEXT NOT NULL,
    reasons TEXT NOT NULL, job TEXT, content TEXT, UNIQUE (at, verdict))"""
COLUMNS = "at, verdict, kind, scorer_version, reasons, job"
FIGURES = ("index", "size", "n", "novel_share", "novel_low", "novel_expected", "promised", "mispredictions", "quality", "cost_usd")
NEWEST = "ORDER BY at DESC, number DESC LIMIT"
VOID = "INSERT INTO void_certificates (scorer_version, content) VALUES (?, ?)"


@dataclass(frozen=True, slots=True)
class Look:
    """One that was reported. at: seconds since the epoch. verdict: its id. job: that it started, if any.

    figures: of its window, FIGURES of `monitoring.drift.window.WindowStats`; empty where an earlier release kept none.
    """

    at: float
    verdict: str
    kind: str
    scorer_version: str
    reasons: tuple[str, ...]
    job: str | None
    figures: Mapping[str, Any]


class Looks:
    """Raises RecordsRefused where the database does not do what it is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def of(cls, settings: Settings) -> "Looks":
        """Those of this host, or of all hosts that share its database."""
        try:
            database = shared(settings)
            return cls(SqliteFile(folder(settings) / "looks.db", _lay_out) if database is None else database)
        except DatabaseFailed as exc:
            raise _refused(exc) from exc

    def add(self, content: Mapping[str, Any]) -> None:
        """Keeps a look, as `latest.json` has it; of those before it what it said and its figures, and no longer all it saw."""
        verdict = content["verdict"]
        row = (verdict["id"], verdict["kind"], verdict["stats"]["scorer_version"], json.dumps(verdict["reasons"]), content["job"])
        try:
            with self._database.transaction(LOCK) as connection:
                for number, before in connection.execute(f"SELECT number, content FROM looks {NEWEST} 1").fetchall():  # noqa: S608
                    connection.execute("UPDATE looks SET content = ? WHERE number = ?", (json.dumps(_figures(before)), number))
                again = "ON CONFLICT (at, verdict) DO UPDATE SET job = excluded.job, content = excluded.content"  # taken twice in a second
                statement = f"INSERT INTO looks ({COLUMNS}, content) VALUES (?, ?, ?, ?, ?, ?, ?) {again}"  # noqa: S608  names are ours
                connection.execute(statement, (datetime.fromisoformat(content["at"]).timestamp(), *row, _text(content)))
        except DatabaseFailed as exc:
            raise _refused(exc) from exc

    def history(self, most: int) -> list[Look]:
        """The last ones, the newest first."""
        try:
            with self._database.reading() as connection:
                statement = f"SELECT {COLUMNS}, content FROM looks {NEWEST} ?"  # noqa: S608
                rows = connection.execute(statement, (most,)).fetchall()
        except DatabaseFailed as exc:
            raise _refused(exc) from exc
        return [
            Look(at, verdict, kind, version, tuple(json.loads(reasons)), job, _figures(content))
            for at, verdict, kind, version, reasons, job, content in rows
        ]


def folder(settings: Settings) -> Path:
    """Of this host's own copies."""
    return settings.var / "reports"


def keep(settings: Settings, content: Mapping[str, Any]) -> None:
    """Keeps a look for all hosts, then here. Raises RecordsRefused."""
    Looks.of(settings).add(content)
    _copy(folder(settings) / LATEST, _text(content))


def keep_void(settings: Settings, void: Void) -> None:
    """Tells all hosts that a certificate is void, then writes it here. Raises RecordsRefused."""
    try:
        if (database := shared(settings)) is not None:
            with database.transaction(LOCK) as connection:
                connection.execute("DELETE FROM void_certificates WHERE scorer_version = ?", (void.version,))
                connection.execute(VOID, (void.version, json.dumps(asdict(void))))
    except DatabaseFailed as exc:
        raise _refused(exc) from exc
    certificate_void.write(folder(settings), void)


def take_void_back(settings: Settings) -> bool:
    """On all hosts, after a person has looked; whether a certificate was void. Raises RecordsRefused."""
    path = folder(settings) / certificate_void.NAME
    was = path.exists()
    try:
        if (database := shared(settings)) is not None:
            with database.transaction(LOCK) as connection:
                was = connection.execute("DELETE FROM void_certificates").rowcount > 0
    except DatabaseFailed as exc:
        raise _refused(exc) from exc
    path.unlink(missing_ok=True)
    return was


def refresh(settings: Settings) -> None:
    """Brings this host's copies up to what any host's monitor found. Raises RecordsRefused: then they stay as they are."""
    try:
        if (database := shared(settings)) is None:
            return
        with database.reading() as connection:
            latest = _first(connection, f"SELECT content FROM looks WHERE content IS NOT NULL {NEWEST} 1")  # noqa: S608
            void = _first(connection, "SELECT content FROM void_certificates ORDER BY number DESC LIMIT 1")
    except DatabaseFailed as exc:
        raise _refused(exc) from exc
    if latest is not None:
        _copy(folder(settings) / LATEST, latest)
    if void is not None:
        _copy(folder(settings) / certificate_void.NAME, json.dumps(json.loads(void), indent=1) + "\n")
    else:
        (folder(settings) / certificate_void.NAME).unlink(missing_ok=True)


def move(path: Path, database: Database) -> dict[str, int]:
    """Moves a host's looks into the database that it shares from now on; how many came. Raises DatabaseFailed."""
    return {"looks": files.move(path, "looks", database, lock=LOCK, leave=("number",))}


def move_void(path: Path, database: Database) -> dict[str, int]:
    """The same for its void certificate. Raises DatabaseFailed."""
    void = certificate_void.read(path)
    with database.transaction(LOCK) as connection:
        came = connection.execute(f"{VOID} ON CONFLICT DO NOTHING", (void.version, json.dumps(asdict(void)))).rowcount
    return {"void certificates": came}


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, default=str) + "\n"


def _figures(content: str | None) -> dict[str, Any]:
    """Of a look's content, or of what was kept of it."""
    kept = {} if content is None else json.loads(content)
    stats = kept["verdict"]["stats"] if "verdict" in kept else kept
    return {name: stats[name] for name in FIGURES if name in stats}


def _copy(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")


def _first(connection: Connection, statement: str) -> str | None:
    row = connection.execute(statement).fetchone()
    return None if row is None else row[0]


def _lay_out(connection: sqlite3.Connection) -> None:
    connection.execute(SCHEMA)


def _refused(exc: DatabaseFailed) -> RecordsRefused:
    return RecordsRefused(f"What the monitor found cannot be shared: {exc.what}", next_step=exc.next_step)
