"""`routemoa verdict`: what traffic says about the active scorer; `report`: the same, drawn by Evidently."""

from datetime import UTC, datetime

import typer

from cli import project
from registry import extras

commands = typer.Typer()


@commands.command()
def verdict() -> None:
    """Keep, watch or retrain the active scorer, with the reasons; changes nothing."""
    extras.need("monitor")
    from rich.console import Console

    from monitoring import policy, watch

    settings = project.existing()
    watch.show(watch.judge(settings, policy.load(settings.home / "params.yaml")), Console())


@commands.command()
def report() -> None:
    """Draw the Evidently report of the traffic so far into var/reports and into the Evidently workspace; starts no job."""
    extras.need("monitor")
    from rich.console import Console

    from monitoring import policy, watch
    from monitoring.errors import ReportFailed

    settings, console = project.existing(), Console()
    judged = watch.judge(settings, policy.load(settings.home / "params.yaml"))
    watch.show(judged, console)
    with console.status("Drawing the report"):
        drawn = watch.report(judged, settings, now=datetime.now(UTC))
    if drawn is None:
        raise ReportFailed("No query has been scored by the active scorer.", next_step="Send queries through the server first.")
    for page in (drawn.html, drawn.mispredictions):
        if page is not None:
            console.print(f"  {page}", highlight=False, markup=False, soft_wrap=True)
