"""`routemoa backup` and `routemoa restore`: everything that a project keeps, in one folder and back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli import project

commands = typer.Typer()


@commands.command()
def backup(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A new folder, best on another disk; it will hold keys' hashes and prompts.")
    ],
    storage: Annotated[bool, typer.Option(help="Also what MLflow and DVC keep in S3.")] = True,
) -> None:
    """Copy everything that this project keeps, while it runs: records, keys, spending, versions, data, answers.

    Example: `routemoa backup /backups/2026-11-30`
    """
    from registry.backup import backup as taking

    made = taking.take(project.existing(), folder, now=datetime.now(UTC), storage=storage)
    _print(f"{len(made.sha256)} files in {folder}. Try it: `routemoa restore {folder}` in an empty folder, with an empty database.")


@commands.command()
def restore(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `routemoa backup` wrote.")]) -> None:
    """Put a backup back into this project, whose `var` is empty, and into the databases and the storage that its settings name.

    Example: `routemoa restore /backups/2026-11-30`
    """
    from registry.backup import restore as restoring

    settings = project.settings()
    found = restoring.put_back(settings, folder)
    _print(f"{settings.home} is as it was on {found.at} (release {found.release}). Start it.")


def _print(text: str) -> None:
    Console(soft_wrap=True).print(text, highlight=False, markup=False)
