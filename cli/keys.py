"""`routemoa keys create`, `list` and `revoke`: who may call the server (`python -m serving.keys` is the same)."""

from pathlib import Path
from typing import Annotated

import typer

from cli import project

commands = typer.Typer(no_args_is_help=True, help="Create, list and revoke the keys that callers of the server show.")
SCOPE_HELP = "What it opens: chat, feedback, audit, admin or metrics; once for each."
Name = Annotated[str, typer.Argument(help="Who the key is for.")]


@commands.command()
def create(name: Name, scope: Annotated[list[str], typer.Option(help=SCOPE_HELP)]) -> None:
    """Print a new key; it is kept as a hash and cannot be read again."""
    from scorer.near_matches import did_you_mean
    from serving import keys

    for unknown in set(scope) - set(keys.SCOPES):
        raise typer.BadParameter(f"There is no scope {unknown!r}. {did_you_mean(unknown, keys.SCOPES)}")
    typer.echo(keys.create(_file(), name, scope))


@commands.command("list")
def list_keys() -> None:
    """List names and scopes."""
    from serving import keys

    for entry in keys.read(_file()).entries:
        typer.echo(f"{entry.name}\t{','.join(entry.scopes)}")


@commands.command()
def revoke(name: Name) -> None:
    """Remove a key; servers follow within seconds."""
    from serving import keys

    keys.revoke(_file(), name)


def _file() -> Path:
    from pydantic import ValidationError

    from serving.settings import ServingSettings, in_words

    home = project.existing().home
    try:
        return ServingSettings(_env_file=home / ".env", home=home).keys_file
    except ValidationError as exc:
        raise typer.BadParameter(in_words(exc)) from exc
