"""`routemoa installed`: packages, megabytes and licences of what is installed here."""

from typing import Annotated

import typer

commands = typer.Typer()


@commands.command()
def installed(
    *,
    licences: Annotated[bool, typer.Option("--licences", help="List every package of the core, or of --extra, with its licence.")] = False,
    extra: Annotated[str, typer.Option(help="The extra that --licences lists; the core without it.")] = "",
) -> None:
    """Say what the server alone takes, what each extra adds, and which packages are under a copyleft licence.

    Example: `routemoa installed --licences --extra monitor`
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Column, Table

    from local import installed as here

    weights = {weight.extra: weight for weight in here.weights()}
    console = Console(soft_wrap=True)
    if licences:
        if extra not in weights:
            raise typer.BadParameter(f"{extra!r} is not installed whole; there are {', '.join(filter(None, weights)) or 'none'}")
        for package in sorted(weights[extra].packages):
            console.print(f"{package}\t{here.licence(package)}", highlight=False, markup=False)
        return
    table = Table("", Column("packages", justify="right"), Column("MB", justify="right"), "copyleft", box=SIMPLE_HEAD, pad_edge=False)
    core = weights[""].packages
    for name, weight in weights.items():
        under = here.copyleft(weight.packages - core if name else weight.packages)
        table.add_row(name or "the core", str(len(weight.packages)), f"{weight.size / 1e6:.0f}", ", ".join(under))
    console.print(table)
    for name, others in here.clashes().items():
        console.print(f"{name} also comes from {', '.join(others)}: give routemoa an environment of its own.", highlight=False)
