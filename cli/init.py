"""`routemoa init`: a project of one's own."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli import project
from cli.errors import CheckoutMissing, ProjectExists

commands = typer.Typer()


@commands.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="An empty or new folder.")],
    *,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="FOLDER is a project of an older release: take this one's code and stages over.")
    ] = False,
) -> None:
    """Make a project in a folder: pool, parameters, stages and code of this checkout, under git and DVC of its own.

    Examples: `routemoa init ../mine`, `routemoa init ../mine --upgrade`
    """
    from local import workspace

    source = Path(workspace.__file__).parents[1]
    if not (source / "dvc.yaml").is_file():
        raise CheckoutMissing(
            f"This routemoa is installed without its checkout: {source} has no dvc.yaml.",
            next_step=f"Install it from a checkout (make install). To serve alone, a project is a folder with {project.POOL} in it.",
        )
    if upgrade:
        workspace.upgrade(source, folder)
        Console(soft_wrap=True).print(
            f"{folder.resolve()} has this release's code and stages. Next: `git show --stat` there says what changed; routemoa up",
            highlight=False,
            markup=False,
        )
        return
    if (folder / project.POOL).exists():
        raise ProjectExists(
            f"{folder.resolve()} is a project already.", next_step="`routemoa up` starts it; `--upgrade` brings its code to this release."
        )
    home = workspace.make(source, folder)
    lines = (f"{home} is a project. Next:", f"  cd {folder}", "  routemoa llms    # who is in its pool", "  routemoa up      # start it")
    Console(soft_wrap=True).print("\n".join(lines), highlight=False, markup=False)
