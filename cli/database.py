"""`routemoa database`: what hosts share by `ROUTEMOA_DATABASE_URL`."""

from typing import TYPE_CHECKING

import typer
from rich.console import Console

from cli import project

if TYPE_CHECKING:
    from registry.database.postgres import Postgres
    from serving.settings import ServingSettings

commands = typer.Typer(no_args_is_help=True, help="The PostgreSQL that hosts share: make its tables, take a host's files in.")


@commands.command()
def upgrade() -> None:
    """Make its tables, or bring them up to date; every part does so, too, when it starts.

    Example: `routemoa database upgrade`
    """
    database = _database(project.serving_settings())
    database.upgrade()
    Console(soft_wrap=True).print(f"{database.name} is up to date.", highlight=False)


@commands.command("import")
def import_files() -> None:
    """Take in what this host kept in its own files: records, audits, jobs, spending, keys, looks. Stop its server first.

    Example: `routemoa database import`
    """
    from monitoring import certificate_void, looks
    from monitoring.records import record_import
    from registry import gains, jobs
    from serving.access import budgets, shared_keys

    settings = project.serving_settings()
    database = _database(settings)
    came: dict[str, int] = {}
    for path, move in (
        (settings.var / "records.db", record_import.move),
        (settings.var / "jobs.db", jobs.move),
        (settings.var / gains.FOLDER, gains.move),
        (settings.var / "spend.db", budgets.move),
        (settings.var / "keys.json", shared_keys.move),
        (looks.folder(settings) / "looks.db", looks.move),
        (looks.folder(settings) / certificate_void.NAME, looks.move_void),
    ):
        came |= move(path, database) if path.exists() else {}
    words = ", ".join(f"{count} {what}" for what, count in came.items() if count) or "nothing that it had not yet"
    Console(soft_wrap=True).print(f"{database.name} took in: {words}. The files stay as they are.", highlight=False)


def _database(settings: "ServingSettings") -> "Postgres":
    from registry.database.shared import shared

    if (database := shared(settings)) is None:
        raise typer.BadParameter(
            "ROUTEMOA_DATABASE_URL is not set, in the environment or in .env: postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return database
