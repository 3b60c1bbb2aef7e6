"""`routemoa import`: your own queries, recorded answers and logs into the project; `routemoa harvest`: served queries too."""

import sys
from typing import Annotated

import typer

from cli import project
from registry import extras

commands = typer.Typer()


@commands.command("import", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def import_(context: typer.Context) -> None:
    """Bring in your own queries and recorded answers, or other tools' logs and result files (`routemoa import --help`).

    Example: `routemoa import --from litellm spend.jsonl`
    """
    extras.need("train")
    from pipelines.imports.import_command import run

    if not {"-h", "--help"} & set(context.args):
        project.existing()
    run(context.args)


@commands.command()
def harvest(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Take them in, without a question.")] = False,
    limit: Annotated[int | None, typer.Option(min=0, help="At most this many new queries; those with a reference come first.")] = None,
) -> None:
    """Say which served queries can be graded and what asking the pool about them would cost; take them into the query pool.

    Example: `routemoa harvest --limit 50`
    """
    extras.need("train")
    from rich.console import Console

    from pipelines import harvest, harvest_cost, params
    from pipelines.project import Project
    from pipelines.project_lock import alone
    from registry import pool

    settings, console = project.existing(), Console(soft_wrap=True)
    where = Project(settings.home)
    parsed = params.load(where.params)
    found = harvest.look(where, parsed.label, limit)
    console.print(str(found), highlight=False, markup=False)
    if not found.brings_something:
        return
    console.print(harvest_cost.table(harvest_cost.bills(where, pool.load(settings.pool_file), parsed, found)))
    if not yes and not (sys.stdin.isatty() and typer.confirm("Take them in?")):
        console.print("Nothing was taken in; routemoa harvest --yes does.", highlight=False)
        return
    with alone(where):
        harvest.take(where, found)
    console.print("Taken in. Next: routemoa retrain", highlight=False)
