"""`routemoa audits`: answers that wait for a grade; `grade`: one after the other with two keys; `quality`: what the grades say."""

import asyncio
import time
from collections.abc import Callable
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli import project
from registry import os_user

if TYPE_CHECKING:
    from rich.console import Console

    from monitoring.audits.audit_queue import AuditQueue, Waiting
    from monitoring.quality.quality import Estimated
    from monitoring.records.store import RecordStore

commands = typer.Typer()
By = Literal["version", "domain", "llm", "key"]
KEYS = "j right   f wrong   0-9 tenths   s skip   q stop"
DAY_S = 86_400.0


@commands.command()
def audits(
    decision: Annotated[str | None, typer.Argument(metavar="DECISION", help="Grade this one.", show_default=False)] = None,
    score: Annotated[
        float | None, typer.Argument(metavar="SCORE", min=0, max=1, help="How good its answer is.", show_default=False)
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="List at most so many.")] = 20,
    domain: Annotated[str | None, typer.Option(help="Of this domain alone.", show_default=False)] = None,
) -> None:
    """List served answers that were drawn for an audit and wait for a grade; or grade one: `routemoa audits DECISION 1`.

    Example: `routemoa audits --domain tax`
    """
    store = _store()
    if decision is not None:
        if score is None:
            raise typer.BadParameter("a score from 0 (useless) to 1 (right) belongs behind the decision")
        asyncio.run(_grade(store, [(decision, score)]))
        typer.echo(f"{decision}: {score:g}, kept as an audit.")
        return
    _list(_queue(store).waiting(_who(), most=limit, domain=domain), _queue(store).count(domain))
    _tell_hidden(store, domain)


@commands.command()
def grade(
    *,
    domain: Annotated[str | None, typer.Option(help="Of this domain alone.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="Stop after so many.")] = 100,
) -> None:
    """Grade drawn answers one after the other: each is shown with its query, and one key says whether it is right.

    Example: `routemoa grade --limit 10`
    """
    from rich.console import Console

    store, console = _store(), Console()
    graded = _one_after_the_other(store, console, _pressed, domain, limit)
    left = _queue(store).count(domain)
    console.print(f"{graded} graded, {left} wait. What they say: routemoa quality", highlight=False)
    _tell_hidden(store, domain)


@commands.command()
def quality(
    *,
    by: Annotated[By, typer.Option(help="What to tell apart.")] = "domain",
    days: Annotated[float, typer.Option(min=0.001, help="Of so many days back.")] = 30.0,
) -> None:
    """Estimate how good served answers are, from the audits: in all, and by domain, LLM, scorer version or key.

    Example: `routemoa quality --by llm --days 7`
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from cli import whole_table
    from monitoring.quality import served_answers

    now = time.time()
    found = served_answers.quality(_store(draw=False), since=now - days * DAY_S, until=now)
    right = [Column(name, justify="right") for name in ("answers", "promised", "audited", "judged", "quality", "95 % interval", "USD")]
    table = Table(by, *right, "")
    for name, each in [("all", found.everything), *found.by[by].items()]:
        table.add_row(escape(name), *_cells(each))
    console = Console()
    whole_table.show(table, console)
    if found.newest is not None:
        console.print(f"Of the newest {found.newest:,} answers of these {days:g} days alone.", highlight=False)


def _cells(each: "Estimated") -> tuple[str, ...]:
    interval = "" if each.low is None or each.high is None else f"{each.low:.2f} to {each.high:.2f}"
    shown = ["" if value is None else f"{value:.2f}" for value in (each.promised, each.value)]
    return (str(each.answers), shown[0], str(each.audited), str(each.judged), shown[1], interval, f"{each.cost_usd:.4f}", each.why)


def _pressed() -> str:
    """The next key. Raises typer.Exit where there is no terminal to press one at."""
    try:
        return str(typer.getchar())
    except OSError as exc:
        typer.echo("routemoa grade needs a terminal; without one, report by `routemoa audits DECISION 1`.", err=True)
        raise typer.Exit(2) from exc


def _one_after_the_other(store: "RecordStore", console: "Console", key: Callable[[], str], domain: str | None, limit: int) -> int:
    """How many were graded until nothing waits, `limit` is reached or the grader stops."""
    queue, who, graded = _queue(store), _who(), 0
    while graded < limit:
        waiting = queue.waiting(who, most=1, domain=domain)
        if not waiting:
            break
        (audit,) = waiting
        queue.claim(audit.record.id, who)
        _show(audit, queue.count(domain), console)
        pressed = ""
        while pressed not in {*"jfsq0123456789"}:
            pressed = key().lower()
        if pressed == "q":
            break
        if pressed == "s":
            queue.skip(audit.record.id, who)
            continue
        score = {"j": 1.0, "f": 0.0}.get(pressed)
        asyncio.run(_grade(store, [(audit.record.id, int(pressed) / 10 if score is None else score)]))
        graded += 1
        thought = ", ".join(f"{each.grader} said {each.score:.1f}" for each in queue.opinions(audit.record.id) if each.score is not None)
        console.print(
            f"  {'right' if pressed == 'j' else 'wrong' if pressed == 'f' else f'0.{pressed}'}" + (f"  ({thought})" if thought else "")
        )
    return graded


def _show(audit: "Waiting", count: int, console: "Console") -> None:
    record = audit.record
    reference = record.outcome.reference.text if record.outcome is not None and record.outcome.reference is not None else None
    console.rule(f"{count} wait")
    for name, value in (
        ("decision", record.id),
        ("domain", audit.domain),
        ("drawn", "; ".join(audit.why)),
        ("query", record.text),
        ("answer", record.answer or "(no text)"),
        ("reference", reference),
    ):
        if value:
            console.print(f"{name:10}{value}", highlight=False, markup=False, soft_wrap=True)
    console.print(KEYS, style="dim", highlight=False)


def _store(*, draw: bool = True) -> "RecordStore":
    from monitoring.records.store import RecordStore

    return RecordStore.of(project.with_draws() if draw else project.existing())


def _queue(store: "RecordStore") -> "AuditQueue":
    from monitoring.audits.audit_queue import AuditQueue

    return AuditQueue(store)


def _tell_hidden(store: "RecordStore", domain: str | None) -> None:
    from monitoring.audits.audit_queue import hidden_in_words

    if told := hidden_in_words(_queue(store).hidden(domain)):
        typer.echo(told)


def _who() -> str:
    return f"cli/{os_user.name()}"


async def _grade(store: "RecordStore", grades: list[tuple[str, float]]) -> None:
    from monitoring.errors import RecordRefused
    from monitoring.records.record import AUDIT
    from monitoring.records.store import RecordStore

    writing = RecordStore(store.place)  # its writer belongs to this event loop
    try:
        for decision, score in grades:
            if not await writing.report_outcome(decision, score, AUDIT, None, _who()):
                raise RecordRefused(
                    f"No decision is called {decision!r}.", next_step="`routemoa audits` lists those that wait for a grade."
                )
    finally:
        await writing.close()


def _list(waiting: "list[Waiting]", count: int) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("decision", "domain", "answered by", "promised", "drawn with", "why", "query")
    for audit in waiting:
        record = audit.record
        query = shorten(" ".join((record.text or "").split()), 80, placeholder=" …")
        cells = (record.id, audit.domain or "", record.llm or "several", f"{record.predicted or 0:.2f}", f"{record.drawn_with or 0:.1%}")
        table.add_row(*map(escape, (*cells, "; ".join(audit.why), query)))
    console = Console()
    console.print(table if waiting else "No drawn answer waits for a grade.")
    if waiting:
        console.print(f"{len(waiting)} of {count}. Grade them one after the other: routemoa grade", highlight=False)
