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
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Send each query to the LLM that will probably answer it well for its price; measure, watch and retrain what decides.",
    epilog="A page a task: docs/guide/README.md. `routemoa COMMAND --help` has the options.",
)
MONEY, POOL, VERSIONS, TRAFFIC, RUN = "What it saves", "The pool", "Scorer versions", "Traffic, audits and drift", "Keys and storage"
PANELS = {
    "Start": (init, stack),
    MONEY: (what_if, savings),
    POOL: (llms,),
    "Data and training": (data, jobs),
    VERSIONS: (versions, beside, evaluate_policy, results),
    TRAFFIC: (monitor, audits),
    RUN: (backup, installed),
}
for panel, parts in PANELS.items():
    for part in parts:
        for command in part.commands.registered_commands:
            command.rich_help_panel = panel
            commands.registered_commands.append(command)
commands.add_typer(prices.commands, name="prices", rich_help_panel=POOL)
commands.add_typer(groups.commands, name="groups", rich_help_panel=TRAFFIC)
commands.add_typer(keys.commands, name="keys", rich_help_panel=RUN)
commands.add_typer(database.commands, name="database", rich_help_panel=RUN)


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
