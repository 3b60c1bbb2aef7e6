"""`routemoa verdict`: what traffic says about the active scorer; `report`: the same, drawn by Evidently."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli import project
from registry import extras

commands = typer.Typer()
MOST_LOOKS = 60


@commands.command()
def verdict(
    *, history: Annotated[bool, typer.Option("--history", help="Show what the monitor said at each look so far instead.")] = False
) -> None:
    """Keep, watch or retrain the active scorer, with the reasons; changes nothing.

    Example: `routemoa verdict`
    """
    if history:
        _history()
        return
    extras.need("monitor")
    from rich.console import Console

    from monitoring import watch
    from monitoring.drift import policy

    settings = project.existing()
    watch.show(watch.judge(settings, policy.load(settings.home / "params.yaml")), Console())


@commands.command()
def report() -> None:
    """Draw the Evidently report of the traffic so far into var/reports and into the Evidently workspace; starts no job.

    Example: `routemoa report`
    """
    extras.need("monitor")
    from rich.console import Console

    from monitoring import watch
    from monitoring.drift import policy
    from monitoring.errors import ReportFailed

    settings, console = project.with_draws(), Console()
    judged = watch.judge(settings, policy.load(settings.home / "params.yaml"))
    watch.show(judged, console)
    with console.status("Drawing the report"):
        drawn = watch.report(judged, settings, now=datetime.now(UTC))
    if drawn is None:
        raise ReportFailed("No query has been scored by the active scorer.", next_step="Send queries through the server first.")
    for page in (drawn.html, drawn.mispredictions):
        if page is not None:
            console.print(f"  {page}", highlight=False, markup=False, soft_wrap=True)


def _history() -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from monitoring.looks import Looks

    numbers = (Column(name, justify="right") for name in ("queries", "novel", "promised", "estimated quality"))
    table = Table("when (UTC)", "scorer", "verdict", *numbers, "why")
    for look in reversed(Looks.of(project.existing()).history(MOST_LOOKS)):
        kept = look.figures
        told = (
            (f"{kept['n']:,}", f"{kept['novel_share']:.0%}", _score(kept["promised"]), _band(kept["quality"])) if "n" in kept else ("",) * 4
        )
        when = f"{datetime.fromtimestamp(look.at, UTC):%Y-%m-%d %H:%M}"
        table.add_row(when, look.scorer_version, look.kind, *told, escape(look.reasons[0] if look.reasons else ""))
    console = Console()
    if table.row_count:
        console.print(table)
    else:
        console.print("The monitor has taken no look yet: its first takes `monitor.first_look` requests.", highlight=False)


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _band(quality: dict[str, Any] | None) -> str:
    if quality is None or quality["low"] is None:
        return ""
    return f"{quality['value']:.2f} ({quality['low']:.2f} to {quality['high']:.2f})"
