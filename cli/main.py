"""The `routemoa` command: `routemoa --help` lists what it can do."""

import sys

import typer
from rich.console import Console
from rich.markup import escape

from cli import (
    audits,
    backup,
    beside,
    data,
    database,
    evaluate_policy,
    groups,
    init,
    installed,
    jobs,
    keys,
    llms,
    monitor,
    prices,
    results,
    savings,
    stack,
    versions,
    what_if,
)
from scorer.errors import RouteMoAError

commands = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Route among many LLMs, as a platform."
)
for part in (
    init.commands,
    stack.commands,
    llms.commands,
    versions.commands,
    beside.commands,
    results.commands,
    what_if.commands,
    evaluate_policy.commands,
    monitor.commands,
    audits.commands,
    savings.commands,
    data.commands,
    jobs.commands,
    installed.commands,
    backup.commands,
):
    commands.registered_commands.extend(part.registered_commands)
commands.add_typer(keys.commands, name="keys")
commands.add_typer(prices.commands, name="prices")
commands.add_typer(groups.commands, name="groups")
commands.add_typer(database.commands, name="database")


def app() -> None:
    """Runs the command line; an error the user can act on is printed without a traceback, exit code 1."""
    try:
        commands()
    except RouteMoAError as error:
        console = Console(stderr=True)
        console.print(f"[bold red]error[/] {escape(error.what)}", highlight=False, soft_wrap=True)
        if error.next_step:
            console.print(f"[bold]next[/]  {escape(error.next_step)}", highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    app()
