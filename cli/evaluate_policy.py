"""`routemoa evaluate-policy`: what another scorer version, dollar, floor, pool or price would have brought on recorded traffic."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli import project
from registry import extras

commands = typer.Typer()


@commands.command("evaluate-policy")
def evaluate_policy(
    version: Annotated[str | None, typer.Argument(help="A number, or champion, challenger, previous; else the one that serves.")] = None,
    *,
    dollar: Annotated[list[float] | None, typer.Option(min=0, help="Value of a dollar; may be given several times.")] = None,
    floor: Annotated[str | None, typer.Option(metavar="POINTS", help="Find the cheapest that surely loses no more: 1pt.")] = None,
    prices: Annotated[Path | None, typer.Option(help="A price list or pool file in place of the prices then.", dir_okay=False)] = None,
    without: Annotated[list[str] | None, typer.Option(metavar="LLM", help="Never asks this one; may be given several times.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Of records answered so: single, sequential; else the most frequent.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Records of this UTC time and later.")] = None,
) -> None:
    """Say what a policy would have brought on recorded traffic, in quality and money; asks no LLM, and says where nothing can be said."""
    extras.need("train")
    from rich.console import Console

    from pipelines import evaluate_policy as command
    from pipelines.errors import ParamsRefused
    from pipelines.params import points_of

    try:
        share = None if floor is None else points_of(floor)
    except ValueError as exc:
        raise ParamsRefused(f"--floor {floor}: no number of points.", next_step="Write --floor 1pt for a hundredth.") from exc
    wanted = command.Wanted(
        version=version,
        dollars=dollar or (),
        floor=share,
        prices=prices,
        without=without or (),
        strategy=strategy,
        since=0.0 if since is None else since.replace(tzinfo=UTC).timestamp(),
    )
    command.run(wanted, project.existing(), Console(soft_wrap=True))
