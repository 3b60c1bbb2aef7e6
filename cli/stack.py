"""`routemoa demo`, `routemoa example` and `routemoa up`: the whole platform on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from cli import project
from registry import extras

commands = typer.Typer()


@commands.command()
def demo(
    small: Annotated[bool, typer.Option("--small", help="Use the smallest weights and a few dozen queries.")] = False,
    team: Annotated[
        bool, typer.Option("--team", help="Run on PostgreSQL, S3, Ray and two servers behind haproxy, each started here.")
    ] = False,
    stay: Annotated[bool, typer.Option("--stay", help="Stay up until Ctrl-C.")] = False,
    at: Annotated[Path | None, typer.Option(help="Where its project is made (default: .demo/full, small, team or team-small).")] = None,
) -> None:
    """Run the whole loop on real LLMs, in a project of its own, and say what happened.

    Example: `routemoa demo --small`
    """
    project.check(Path.cwd())
    extras.need(*(("demo", "team") if team else ("demo",)))
    from local.demo import run

    size = "small" if small else "full"
    name = ("team-small" if small else "team") if team else size
    run(source=Path.cwd(), at=at or Path(".demo") / name, small=small, stay_up=stay, team=team)


@commands.command()
def example(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A folder of examples/: support, code, biomedical, tutoring, cloud-zoo.")],
    *,
    stay: Annotated[bool, typer.Option("--stay", help="Stay up until Ctrl-C.")] = False,
    at: Annotated[Path | None, typer.Option(help="Where its project is made (default: .demo/NAME).", show_default=False)] = None,
) -> None:
    """Play one of the uses in examples/ on real local LLMs, and say what routing saved.

    Example: `routemoa example support`
    """
    project.check(Path.cwd())
    extras.need("demo")
    from local.example import run

    run(name, source=Path.cwd(), at=at or Path(".demo") / name, stay_up=stay)


@commands.command()
def up() -> None:
    """Start the platform for the project in this folder and stay up until Ctrl-C.

    Example: `routemoa up`
    """
    project.check(Path.cwd())
    extras.need("train", "monitor", "console")
    from local.stack import up as start

    start(Path.cwd())
