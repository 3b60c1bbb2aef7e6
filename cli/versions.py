"""`routemoa list`, `show`, `promote` and `rollback`: scorer versions in MLflow."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from cli import project
from registry.version import ALIASES, CHAMPION, Version, misspelt, resolve

commands = typer.Typer()
MARKS = {"passed": "[green]passed[/]", "failed": "[red]failed[/]", "not run": "[dim]not run[/]"}


@commands.command("list")
def list_versions() -> None:
    """List the scorer versions, the newest first.

    Example: `routemoa list`
    """
    from registry import versions

    settings = project.settings()
    console = Console()
    newest_first = versions.list_versions(settings=settings)
    if not newest_first:
        console.print(f"No scorer version yet in {escape(settings.mlflow_url)}. Make one: `dvc repro`.", highlight=False, soft_wrap=True)
        return
    table = Table(
        Column("version", justify="right"), "aliases", "gate", "LLMs", Column("made", no_wrap=True), box=SIMPLE_HEAD, pad_edge=False
    )
    table.title, table.title_justify = f"Scorer versions in {escape(settings.mlflow_url)}", "left"
    for one, older in zip_longest(newest_first, newest_first[1:]):
        made = datetime.fromtimestamp(one.created_at, UTC).strftime("%Y-%m-%d %H:%M")
        mark = "[red]refused by a host[/]" if "refused" in one.tags else MARKS[one.gate]
        table.add_row(one.version, escape("\n".join(one.aliases)), mark, escape(_roster(one, older)), made)
    console.print(table)
    for remark in _remarks(newest_first):
        console.print(remark, highlight=False, markup=False, soft_wrap=True)


def _roster(one: Version, older: Version | None) -> str:
    """How many LLMs a version scores, and who came and went since the older one; the oldest names all."""
    if older is None:
        return f"{len(one.roster)}: {', '.join(one.roster)}"
    came = [f"+ {llm}" for llm in one.roster if llm not in older.roster]
    went = [f"- {llm}" for llm in older.roster if llm not in one.roster]
    return ", ".join([str(len(one.roster)), *came, *went])


def _remarks(existing: list[Version]) -> Iterator[str]:
    """What is odd about the aliases, and what that means."""
    from registry.promotion import in_force
    from scorer.near_matches import near_matches

    aliases = {alias: one.version for one in existing for alias in one.aliases}
    if resolve(CHAMPION, aliases) is None:
        last = in_force(existing)
        stay = f"version {last.version}, the last one" if last else "what they last had"
        yield f"No version is champion: servers stay with {stay}. `routemoa promote VERSION` sets one."
    for written, number in aliases.items():
        meant = near_matches(written, ALIASES)
        if misspelt(written):
            yield f"`{written}` on version {number} counts as `{written.casefold()}`; `registry.sync` writes it so."
        elif written not in ALIASES and meant:
            yield f"`{written}` on version {number} does nothing. Did you mean `{meant[0]}`?"


@commands.command()
def show(
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="A number, or champion, challenger, previous, shadow, canary.")
    ] = "champion",
) -> None:
    """Show one scorer version: its card, its gate, its tags.

    Example: `routemoa show challenger`
    """
    from rich.markdown import Markdown

    from registry import versions

    settings = project.settings()
    one = versions.find(version, settings=settings)
    console = Console()
    console.rule(f"Scorer version {one.version} {' '.join(one.aliases)}".rstrip(), align="left")
    console.print(Markdown(one.description or "No description."))
    for key, value in sorted(one.tags.items()):
        if key not in {"gate_reasons", "gate_failing", "certificate", "certificate_json"}:  # the card has them
            console.print(f"[dim]{escape(key)}[/] {escape(value)}", highlight=False)
    console.print(f"{settings.mlflow_url}/#/models/{settings.scorer_name}/versions/{one.version}", highlight=False, markup=False)


@commands.command()
def promote(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A number, or challenger.")],
    override: Annotated[str | None, typer.Option(help="Why, although its gate has not passed; kept with the version.")] = None,
) -> None:
    """Make a scorer version the champion; servers follow within 5 seconds.

    Examples: `routemoa promote challenger`, `routemoa promote 3 --override "seen in the canary"`
    """
    from registry import promotion, versions

    settings = project.settings()
    now = promotion.promote(versions.find(version, settings=settings).version, override=override, settings=settings)
    Console(soft_wrap=True).print(
        f"Scorer version {now.version} is champion. Servers follow within 5 seconds; `routemoa rollback` undoes it.", highlight=False
    )


@commands.command()
def rollback() -> None:
    """Return to the champion before.

    Example: `routemoa rollback`
    """
    from registry import promotion, versions

    settings = project.settings()
    now = promotion.rollback(settings=settings)
    further = promotion.before(now, versions.list_versions(settings=settings))
    then = f"Another rollback returns to version {further.version}." if further else "No champion was before it."
    Console(soft_wrap=True).print(f"Scorer version {now.version} is champion again. {then}", highlight=False)
