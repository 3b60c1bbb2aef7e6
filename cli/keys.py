"""API keys of the server: create one with what it may do and spend, see what each spent, revoke one."""

import re
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from cli import project

if TYPE_CHECKING:
    from serving.access.budgets import Spend
    from serving.access.keys import KeyEntry

commands = typer.Typer(no_args_is_help=True, help="API keys: what each may do, and what it spent.")
UNITS_S = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
SPAN = re.compile(r"(\d+)([mhdw])")
Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="For people, and in records.", show_default="a made-up one")]


@commands.command()
def create(
    name: Name = None,
    *,
    scopes: Annotated[list[str] | None, typer.Option("--scope", help="chat, feedback, audit, admin, metrics.", show_default="chat")] = None,
    usd_per_day: Annotated[float | None, typer.Option(help="Most that it spends in a UTC day.")] = None,
    usd_per_month: Annotated[float | None, typer.Option(help="Most that it spends in a UTC month.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(help="Requests that it sends a minute.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(help="Tokens in and out a minute.")] = None,
    llms: Annotated[str | None, typer.Option(help="The LLMs that may answer it, with commas between.", show_default="all")] = None,
    policy: Annotated[str | None, typer.Option(help="Data policies of which an LLM must carry one, such as eu.")] = None,
    expires: Annotated[str | None, typer.Option(help="In so long (30d, 12h, 4w), or on a day (2027-01-31).", show_default="never")] = None,
) -> None:
    """Create a key and print it, this once; servers know it within half a second.

    Example: `routemoa keys create support-bot --scope chat --scope feedback --usd-per-day 5 --expires 30d`
    """
    from registry import pool
    from scorer.near_matches import did_you_mean
    from serving.access import keys, shared_keys

    for unknown in set(scopes or ()) - set(keys.SCOPES):
        raise typer.BadParameter(f"There is no scope {unknown!r}. {did_you_mean(unknown, keys.SCOPES)}")
    settings = project.serving_settings()
    chosen = _words(llms)
    everyone = pool.load(settings.pool_file)
    for llm in chosen or ():
        everyone.by_id(llm)
    key = keys.create(
        shared_keys.store(settings),
        name or f"key-{secrets.token_hex(3)}",
        scopes or ["chat"],
        usd_per_day=usd_per_day,
        usd_per_month=usd_per_month,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        llms=chosen,
        data_policy=_words(policy),
        expires_at=None if expires is None else _instant(expires),
    )
    typer.echo("The key, shown this once: servers keep a hash of it alone.", err=True)
    print(key)


@commands.command("list")
def list_keys() -> None:
    """List the keys: what each may do, what it spent today and this month, when it was last used.

    Example: `routemoa keys list`
    """
    from serving.access import budgets, keys, shared_keys

    settings, now = project.serving_settings(), datetime.now(UTC)
    shared_keys.refresh(settings)
    entries = keys.read(settings.keys_file).entries
    scopes = [(budgets.PLATFORM, "all keys together", None), *((each.id, each.name, each) for each in entries)]
    places = [place for scope, _, _ in scopes for place in budgets.windows(scope, now)]
    spends = budgets.read(settings, places)
    table = Table(Column("name", no_wrap=True), title=f"USD of {now:%Y-%m-%d} and {now:%B} (UTC)", title_justify="left")
    for column in ("may", "today", "month", "last used", "expires"):
        table.add_column(column, overflow="fold", min_width=10)
    for at, (scope, name, entry) in enumerate(scopes):
        day, month = spends[2 * at : 2 * at + 2]
        if entry is not None:
            table.add_row(escape(name), *_cells(entry, day, month))
        elif scope == budgets.PLATFORM and (settings.usd_per_day or settings.usd_per_month):
            table.add_row(name, "", _money(day, settings.usd_per_day), _money(month, settings.usd_per_month), "", "")
    Console().print(table)


@commands.command()
def revoke(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Revoke a key; servers follow within half a second.

    Example: `routemoa keys revoke support-bot`
    """
    from serving.access import keys, shared_keys

    keys.revoke(shared_keys.store(project.serving_settings()), name)
    Console(soft_wrap=True).print(f"{name} is revoked.", highlight=False, markup=False)


def _words(value: str | None) -> list[str] | None:
    return None if value is None else [each.strip() for each in value.split(",") if each.strip()]


def _instant(written: str) -> float:
    """Epoch seconds of a span from now, or of the end of a UTC day. Raises BadParameter."""
    span = SPAN.fullmatch(written)
    if span is not None:
        return time.time() + int(span[1]) * UNITS_S[span[2]]
    try:
        day = datetime.strptime(written, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as exc:
        raise typer.BadParameter(f"--expires {written!r} is neither a span such as 30d, 12h or 4w nor a day such as 2027-01-31") from exc
    if (ends := day.timestamp() + UNITS_S["d"]) <= time.time():
        raise typer.BadParameter(f"--expires {written} is over")
    return ends


def _cells(entry: "KeyEntry", day: "Spend", month: "Spend") -> list[str]:
    rates = [f"{limit:,} {kind}" for limit, kind in ((entry.requests_per_minute, "requests"), (entry.tokens_per_minute, "tokens")) if limit]
    used = [each.last_used for each in (day, month) if each.last_used is not None]
    may = [", ".join(entry.scopes), *(f"{rate} a minute" for rate in rates)]
    if entry.llms is not None:
        may.append(f"LLMs: {', '.join(entry.llms)}")
    if entry.data_policy:
        may.append(f"policy: {', '.join(entry.data_policy)}")
    return [
        escape("\n".join(may)),
        _money(day, entry.usd_per_day),
        _money(month, entry.usd_per_month),
        _time(max(used)) if used else "not this month",
        _time(entry.expires_at) if entry.expires_at else "never",
    ]


def _money(spend: "Spend", limit: float | None) -> str:
    """`1.2 of 5 (0.3 held)`."""
    of = "" if limit is None else f" of {_usd(limit)}"
    held = f" ({_usd(spend.held_usd)} held)" if spend.held_usd > 1e-9 else ""
    return f"{_usd(spend.spent_usd)}{of}{held}"


def _usd(amount: float) -> str:
    """To a millionth, which is a token of a cheap LLM."""
    return f"{amount:.6f}".rstrip("0").rstrip(".")


def _time(epoch_s: float) -> str:
    return f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%d %H:%M}"
