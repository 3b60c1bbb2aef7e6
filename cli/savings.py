"""`routemoa savings`: what routing saved, net, against always asking one LLM, by day, key or domain, and what quality was given up."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import project

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from monitoring.quality.given_up import Change
    from monitoring.savings.savings import By, Saving, Savings

commands = typer.Typer()
DAY = ["%Y-%m-%d"]
BY = ("day", "key", "domain")


@commands.command()
def savings(
    *,
    since: Annotated[
        datetime | None, typer.Option(formats=DAY, help="From this UTC day on; else 30 days back.", show_default=False)
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=DAY, help="This UTC day counts too; else today.", show_default=False)] = None,
    by: Annotated[str, typer.Option(metavar="|".join(BY), help="One line for each.")] = "day",
    baseline: Annotated[
        str | None,
        typer.Option(metavar="LLM", help="Against always asking this LLM; else the one with the best mean score.", show_default=False),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the lines into this file.", dir_okay=False, show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")] = False,
) -> None:
    """Say what routing saved on served traffic, net of failed attempts, judges and explorations, and what quality was given up.

    Example: `routemoa savings --since 2026-11-01 --by key`
    """
    from rich.console import Console

    from monitoring.records.store import RecordStore
    from monitoring.savings import savings as ledger
    from registry import pool

    if by not in BY:
        raise typer.BadParameter(f"{by!r} is none of {', '.join(BY)}", param_hint="--by")
    kind: By = by  # type: ignore[assignment]
    settings = project.existing()
    days = (None if each is None else each.date() for each in (since, until))
    first, last = days
    found = ledger.report(RecordStore.of(settings), pool.load(settings.pool_file), since=first, until=last, by=kind, baseline=baseline)
    if csv is not None:
        try:
            csv.write_text(found.csv(), encoding="utf-8")
        except OSError as exc:
            raise typer.BadParameter(f"{csv} cannot be written: {exc.strerror}", param_hint="--csv") from exc
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=1))
        return
    console = Console(soft_wrap=True, highlight=False)
    show(found, console)
    if csv is not None:
        console.print(f"Written: {csv}", markup=False)


def show(found: "Savings", console: "Console") -> None:
    """The lines as a table, and below it what they assume; without a line only why."""
    from cli import whole_table

    if found.rows:
        whole_table.show(_table(found), console)
    for line in _words(found):
        console.print(line, markup=False)


def _table(found: "Savings") -> "Table":
    from rich import box
    from rich.markup import escape
    from rich.table import Column, Table

    right = [
        Column(name, justify="right") for name in ("requests", "failed", "spent, USD", "baseline, USD", "saved, USD", "saved", "audits")
    ]
    table = Table(found.by, *right, "quality, points", box=box.SIMPLE_HEAD)
    for row in found.rows:
        table.add_row(*map(escape, _cells(row)))
    if len(found.rows) != 1:
        table.add_row(*map(escape, _cells(found.total)), style="bold")
    return table


def _cells(row: "Saving") -> tuple[str, ...]:
    told = row.as_dict()
    baseline, saved, share = told["baseline_usd"], told["saved_usd"], told["saved_share"]
    return (
        row.name,
        str(told["requests"]),
        str(told["failed"]),
        f"{told['spent_usd']:.4f}",
        "-" if baseline is None else f"{baseline:.4f}",
        "-" if saved is None else f"{saved:+.4f}",
        "-" if share is None else f"{share:.0%}",
        str(row.quality.audits),
        _points(row.quality),
    )


def _points(quality: "Change") -> str:
    if quality.change is None or quality.low is None or quality.high is None:
        return quality.why
    return f"{100 * quality.change:+.1f} [{100 * quality.low:+.1f}, {100 * quality.high:+.1f}]"


def _words(found: "Savings") -> list[str]:
    """What the table assumes, and what is in its sums."""
    told = found.total.as_dict()
    if found.baseline is None:
        return ["Nothing to compare with: no request was routed in these days, or no LLM of the pool has a price (routemoa prices)."]
    parts = [f"{found.since} to {found.until}, against always {found.baseline}: {found.assumed}."]
    parts.append(
        f"Spent on routed requests ${told['routed_usd']:.4f}; of it ${told['others_usd']:.4f} for other calls than the served one, "
        f"${told['failed_usd']:.4f} for requests without an answer, ${told['rebilled_usd']:.4f} for prompts read anew after a switch, "
        f"${told['explored_usd']:.4f} on {told['explored']} explored ones. Taken off what was saved: "
        f"${told['judged_usd']:.4f} for judges of audits."
    )
    named, uncompared = told["requests"] - told["routed"], told["routed"] - told["failed"] - told["compared"]
    if named:
        parts.append(f"{named} requests named their LLM, for ${told['spent_usd'] - told['routed_usd']:.4f}: they saved nothing.")
    if told["unpriced"]:
        parts.append(f"{told['unpriced']} requests asked an LLM whose price nobody knows: what they cost is missing here.")
    if uncompared > 0:
        parts.append(f"{uncompared} answered requests are not compared: what {found.baseline} cost then is not known.")
    if found.total.quality.low is not None and found.total.quality.why:
        parts.append(f"The quality given up is told {found.total.quality.why}.")
    return parts
