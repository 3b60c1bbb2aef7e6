"""The what-if on a terminal."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.what_if import words
from pipelines.what_if.report import Report

MOST_ROWS = 20  # of a table; the page has all
MOST_PARTS = 12


def show(report: Report, console: Console) -> None:
    """Prints it."""
    spent = report.spent
    _say(console, words.headline(report))
    _say(console, *(f"  {command}" for command in (report.next_steps.commands if report.next_steps is not None else ())))
    _say(console, *words.log_lines(report), *words.period_lines(spent), *words.spent_lines(spent), *words.verdict_lines(report))
    if report.settings:
        _table(console, words.SETTINGS, words.setting_rows(report))
    elif spent.elsewhere:
        _table(console, words.ELSEWHERE, words.elsewhere_rows(spent, MOST_ROWS))
    if len(spent.by_key) > 1 and report.best is None:
        _table(console, words.BY_KEY, list(words.sum_rows(spent.by_key, spent.usd))[:MOST_PARTS])
    for kind, parts in report.best.parts.items() if report.best is not None else ():
        if len(parts) > 1:
            _table(console, (kind, *words.PARTS), list(words.part_rows(parts))[:MOST_PARTS])
    _say(console, *report.notes, *(f"Assumed: {each}" for each in report.assumed))


def _say(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False)


def _table(console: Console, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    table = Table(*head, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
