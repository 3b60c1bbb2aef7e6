"""Lays out PostgreSQL's tables by Alembic, or brings them up to date (`migrations/versions`; SQLite's files do that in their stores)."""

from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import DatabaseFailed

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, Engine

HEAD = "0008"  # the newest of `migrations/versions`
LOCK = 7_241_001  # one process of all hosts at a time


def upgrade(engine: "Engine", name: str) -> None:
    """Brings the database called `name` to HEAD. Raises DatabaseFailed where a newer platform made it, and what its driver raises."""
    from sqlalchemy import text

    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK})
        if (current := _current(connection)) == HEAD:
            return
        from alembic import command
        from alembic.script import ScriptDirectory

        config = _config()
        known = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]
        if current is not None and current not in known:
            what = f"{name}: laid out by version {current}, this platform knows {', '.join(sorted(known))}."
            raise DatabaseFailed(what, next_step="Upgrade the platform.")
        config.attributes["connection"] = connection
        connection.execute(text("SET LOCAL statement_timeout = 0"))  # of a session's statements; an index on years of records takes longer
        command.upgrade(config, "head")


def _current(connection: "Connection") -> str | None:
    """As Alembic's own table has it; asked without Alembic, which a server has no other need of."""
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config
