"""`routemoa import`: your own queries and recorded answers into the query pool."""

import typer

from cli import project

commands = typer.Typer()


@commands.command("import", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def import_(context: typer.Context) -> None:
    """Bring in your own queries and recorded answers from CSV, JSONL or Parquet (`routemoa import --help`)."""
    from pipelines.importing import main

    if not {"-h", "--help"} & set(context.args):
        project.existing()
    main(context.args)
