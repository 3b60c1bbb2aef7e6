"""`routemoa verdict`: what traffic says about the active scorer; `report`: the same, drawn by Evidently; `audits`: answers to grade."""

import asyncio
from datetime import UTC, datetime
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer

from cli import project
from registry import extras

if TYPE_CHECKING:
    from monitoring.records import Record, RecordStore

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


@commands.command()
def audits(
    decision: Annotated[str | None, typer.Argument(metavar="DECISION", help="Grade this one.", show_default=False)] = None,
    score: Annotated[float | None, typer.Argument(min=0, max=1, help="How good its answer is.", show_default=False)] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="List at most so many.")] = 20,
) -> None:
    """List served answers that were drawn for an audit and wait for a grade; or grade one: `routemoa audits DECISION 1`."""
    from monitoring import policy, watch
    from monitoring.records import RecordStore

    settings = project.existing()
    store = RecordStore(settings.var / "records.db")
    if decision is not None:
        if score is None:
            raise typer.BadParameter("a score from 0 (useless) to 1 (right) belongs behind the decision")
        asyncio.run(_grade(store, decision, score))
        return
    watch.draw_audits(settings, policy.load(settings.home / "params.yaml"))
    _list(store.to_audit(limit))


async def _grade(store: "RecordStore", decision: str, score: float) -> None:
    from monitoring.errors import RecordRefused
    from monitoring.record import AUDIT

    try:
        if not await store.report_outcome(decision, score, AUDIT):
            raise RecordRefused(f"No decision is called {decision!r}.", next_step="`routemoa audits` lists those that wait for a grade.")
    finally:
        await store.close()
    typer.echo(f"{decision}: {score:g}, kept as an audit.")


def _list(waiting: "list[Record]") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("decision", "domain", "answered by", "promised", "drawn with", "query")
    for record in waiting:
        query = "(not kept)" if record.text is None else shorten(" ".join(record.text.split()), 80, placeholder=" …")
        chance = f"{record.drawn_with or 0:.1%}"
        table.add_row(
            *map(escape, (record.id, record.domain or "", record.llm or "several", f"{record.predicted or 0:.2f}", chance, query))
        )
    Console().print(table if waiting else "No drawn answer waits for a grade.")
