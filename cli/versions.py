"""`routemoa list`, `show`, `promote` and `rollback`: scorer versions in MLflow."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import project

commands = typer.Typer()
MARKS = {"passed": "[green]passed[/]", "failed": "[red]failed[/]", "not run": "[dim]not run[/]"}


@commands.command("list")
def list_versions() -> None:
    """List the scorer versions, the newest first."""
    from registry import versions

    settings = project.settings()
    console = Console()
    newest_first = versions.list_versions(settings=settings)
    if not newest_first:
        console.print(f"No scorer version yet in {escape(settings.mlflow_url)}. Make one: `dvc repro`.", highlight=False)
        return
    table = Table(title=f"Scorer versions in {escape(settings.mlflow_url)}", title_justify="left")
    for column in ("version", "aliases", "gate", "LLMs", "data", "code", "made"):
        table.add_column(column)
    for one in newest_first:
        made = datetime.fromtimestamp(one.created_at, UTC).strftime("%Y-%m-%d %H:%M")
        data, code = one.tags.get("query_pool_md5", "")[:8], one.tags.get("git_commit", "")[:8]
        mark = "[red]refused by a host[/]" if "refused" in one.tags else MARKS[one.gate]
        table.add_row(one.version, " ".join(one.aliases), mark, escape(", ".join(one.roster)), escape(data), escape(code), made)
    console.print(table)


@commands.command()
def show(version: Annotated[str, typer.Argument(help="A number, or champion, challenger, previous.")] = "champion") -> None:
    """Show one scorer version: its card, its gate, its tags."""
    from rich.markdown import Markdown

    from registry import versions

    settings = project.settings()
    one = versions.find(version, settings=settings)
    console = Console()
    console.rule(f"Scorer version {one.version} {' '.join(one.aliases)}".rstrip(), align="left")
    console.print(Markdown(one.description or "No description."))
    for key, value in sorted(one.tags.items()):
        if key != "gate_reasons":
            console.print(f"[dim]{escape(key)}[/] {escape(value)}", highlight=False)
    console.print(f"{settings.mlflow_url}/#/models/{settings.scorer_name}/versions/{one.version}", highlight=False, markup=False)


@commands.command()
def promote(
    version: Annotated[str, typer.Argument(help="A number, or challenger.")],
    override: Annotated[str | None, typer.Option(help="Why, although its gate has not passed; kept with the version.")] = None,
) -> None:
    """Make a scorer version the champion; servers follow within 5 seconds."""
    from registry import versions

    settings = project.settings()
    now = versions.promote(versions.find(version, settings=settings).version, override=override, settings=settings)
    Console().print(f"Scorer version {now.version} is champion. Servers follow within 5 seconds; `routemoa rollback` undoes it.")


@commands.command()
def rollback() -> None:
    """Return to the champion before."""
    from registry import versions

    now = versions.rollback(settings=project.settings())
    Console().print(f"Scorer version {now.version} is champion again.")
