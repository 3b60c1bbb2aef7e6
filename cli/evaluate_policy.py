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
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="A number, or champion, challenger, previous; else the one that serves.")
    ] = None,
    *,
    dollar: Annotated[list[float] | None, typer.Option(min=0, help="A value of a dollar, in right answers; may be repeated.")] = None,
    floor: Annotated[
        str | None,
        typer.Option(metavar="POINTS", help="Find the cheapest value of a dollar that surely loses no more than this, such as 1pt."),
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="A price list or pool file in place of the prices of then.", dir_okay=False)] = None,
    without: Annotated[list[str] | None, typer.Option(metavar="LLM", help="As if this LLM were not in the pool; may be repeated.")] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Only records answered this way: single or sequential; else the most frequent way.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Only records of this UTC time and later.")] = None,
) -> None:
    """Say what another version, value of a dollar, price list or pool would have brought on recorded traffic; asks no LLM.

    In quality and money, with intervals, or why that cannot be told. It takes traffic served with ROUTEMOA_EXPLORE__SHARE.

    Example: `routemoa evaluate-policy challenger --dollar 20`
    """
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
