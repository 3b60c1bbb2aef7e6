"""What LLMs cost: list the pool's prices, compare them with a list of today, take the list's over."""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from cli import project
from registry.settings import Settings

if TYPE_CHECKING:
    from mixture.price import Price
    from registry.prices.book import Listed

commands = typer.Typer(no_args_is_help=False)
Source = Literal["genai-prices", "openrouter"]
From = Annotated[Source, typer.Option("--from", help="genai-prices: the installed package. openrouter: a saved list, or its address.")]
Place = Annotated[str | None, typer.Argument(metavar="[FILE|URL]", help="OpenRouter's list.", show_default="the one that was fetched last")]
Named = Annotated[list[str] | None, typer.Option("--llm", help="Of these alone, whoever wrote their price; may be repeated.")]


@commands.callback(invoke_without_command=True)
def prices(context: typer.Context) -> None:
    """List what the LLMs of the pool cost, with source and date; see `prices diff` and `prices refresh`.

    Example: `routemoa prices`
    """
    if context.invoked_subcommand is not None:
        return
    from registry import pool

    settings = project.existing()
    title = "USD per million tokens (request: USD per call)"
    table = Table(Column("id", no_wrap=True), title=title, title_justify="left")
    for column in ("in / out", "cache read / write / 1h", "thinking", "request", "otherwise", "source", "as of"):
        table.add_column(column, overflow="fold")
    for llm in pool.load(settings.pool_file).llms:
        table.add_row(llm.id, *_cells(llm.price))
    Console().print(table)


@commands.command()
def diff(place: Place = None, *, source: From = "genai-prices", llm: Named = None) -> None:
    """Say how the pool's prices differ from a list; nothing is changed, and nobody is asked but an address that you name.

    Example: `routemoa prices diff --from openrouter models.json`
    """
    console, settings = Console(soft_wrap=True), project.existing()
    for each in _listed(settings, source, place, llm or (), console):
        console.print(f"{each.llm.id}: {_difference(each)}", highlight=False, markup=False)


@commands.command()
def refresh(place: Place = None, *, source: From = "genai-prices", llm: Named = None) -> None:
    """Write a list's prices into the pool where they come from that list or are unknown, and say what changed.

    A price that a person wrote stays, unless --llm names it.

    Example: `routemoa prices refresh --llm mine`
    """
    from registry.prices import book

    console, settings = Console(soft_wrap=True), project.existing()
    for each in _listed(settings, source, place, llm or (), console):
        stays = each.by_hand and not llm
        if each.changes and not stays:
            book.write(settings.pool_file, each)
        note = f"; it stays, a person wrote it (--llm {each.llm.id} takes the list's)" if each.changes and stays else ""
        console.print(f"{each.llm.id}: {_difference(each)}{note}", highlight=False, markup=False)


def _listed(settings: Settings, source: Source, place: str | None, llms: Collection[str], console: Console) -> "list[Listed]":
    """The pool's LLMs that the list has, or should have; what could not be read of the list is said."""
    from registry import pool
    from registry.prices import book, openrouter

    everyone = pool.load(settings.pool_file)
    chosen = [everyone.by_id(llm) for llm in llms] if llms else list(everyone.active)
    today = datetime.now(UTC).date()
    if source == "genai-prices":
        if place is not None:
            raise typer.BadParameter("genai-prices is a package: it takes no FILE or URL; did you mean --from openrouter?")
        find = book.in_genai(today)
    else:
        saved = settings.var / "prices" / "openrouter.json"
        fetched = place or ("" if saved.is_file() else openrouter.ADDRESS)
        if "://" in fetched:
            content = openrouter.fetched(fetched)
            listed = openrouter.parsed(content, fetched, today)
            saved.parent.mkdir(parents=True, exist_ok=True)
            saved.write_bytes(content)
        else:
            listed = openrouter.read(Path(place) if place else saved)
        find = book.in_list(listed)
        if listed.unread:
            console.print(f"{len(listed.unread)} entries were not read, first: {listed.unread[0]}.", highlight=False, markup=False)
    found = list(book.compared(chosen, source, find))
    if not found:
        console.print(f"No LLM of the pool has its price from {source} or an endpoint that it lists.", highlight=False)
    return found


def _difference(listed: "Listed") -> str:
    if listed.why_not:
        return f"not listed ({listed.why_not.rstrip('.')})"
    return ", ".join(listed.changes) or "no change"


def _cells(price: "Price") -> list[str]:
    if not price.known:
        return ["unknown", "", "", "", "", "", ""]
    caches = [price.cache_read, price.cache_write, price.cache_write_1h]
    otherwise = [*([f"{price.discount:.0%} off"] if price.discount else []), *_conditions(price)]
    return [
        f"{price.input:g} / {price.output:g}",
        " / ".join("-" if each is None else f"{each:g}" for each in caches) if any(each is not None for each in caches) else "",
        "" if price.reasoning is None else f"{price.reasoning:g}",
        f"{price.request:g}" if price.request else "",
        escape("; ".join(otherwise)),
        escape(price.source or "by hand"),
        price.as_of.isoformat() if price.as_of else "",
    ]


def _conditions(price: "Price") -> list[str]:
    """When other rates hold, each in a few words."""
    from registry.entry_price import entry_of

    told = []
    entry = entry_of(price)
    for each in entry.overrides if entry else ():
        hours = None if each.utc_start is None else f"{each.utc_start}-{each.utc_end} UTC"
        longer = None if each.longer_than is None else f"> {each.longer_than:,} tokens"
        since = None if each.since is None else f"from {each.since}"
        when = " ".join(filter(None, (longer, hours, "some days" if each.utc_days else None, since)))
        told.append(f"{when}: {'' if each.input is None else f'{each.input:g}'} / {'' if each.output is None else f'{each.output:g}'}")
    return told
