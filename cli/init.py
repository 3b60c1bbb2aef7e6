"""`routemoa init`: a project of one's own."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli import project
from cli.errors import CheckoutMissing, ProjectExists

commands = typer.Typer()


@commands.command()
def init(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="An empty or new folder.")]) -> None:
    """Make a project in a folder: pool, parameters and stages of this checkout, under git and DVC of its own.

    Example: `routemoa init ../mine`
    """
    from local import workspace

    source = Path(workspace.__file__).parents[1]
    if not (source / "dvc.yaml").is_file():
        raise CheckoutMissing(
            f"This routemoa is installed without its checkout: {source} has no dvc.yaml.",
            next_step=f"Install it from a checkout (make install). To serve alone, a project is a folder with {project.POOL} in it.",
        )
    if (folder / project.POOL).exists():
        raise ProjectExists(
            f"{folder.resolve()} is a project already.", next_step="`routemoa llms` lists its pool, `routemoa up` starts it."
        )
    home = workspace.make(source, folder)
    lines = (f"{home} is a project. Next:", f"  cd {folder}", "  routemoa llms    # who is in its pool", "  routemoa up      # start it")
    Console(soft_wrap=True).print("\n".join(lines), highlight=False, markup=False)
