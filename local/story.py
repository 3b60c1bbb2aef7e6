"""The steps of the demo as they happen, and the table of them at its end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local.errors import StepFailed
from scorer.errors import RouteMoAError


@dataclass
class Story:
    """What happened, step by step; a row is a step's title, its results in words, and its seconds."""

    console: Console = field(default_factory=Console)
    rows: list[tuple[str, str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str, retry: str) -> Iterator[list[str]]:
        """One step: announced, timed, the results that are appended to the list noted.

        Raises StepFailed naming the step, the reason and the command to try where anything of ours is raised inside.
        """
        self.console.rule(f"[bold]{title}", align="left")
        began, results = time.monotonic(), list[str]()
        try:
            yield results
        except RouteMoAError as error:
            raise StepFailed(f"Step “{title}” failed: {error.what}", next_step=f"{error.next_step} Then try: {retry}".strip()) from error
        self.rows.append((title, "; ".join(results), time.monotonic() - began))
        self.console.print("\n".join(results), highlight=False, markup=False)

    def table(self) -> Table:
        """What happened, as a table."""
        table = Table("Step", "What happened", "Seconds", title="What happened", title_justify="left", show_lines=True)
        for title, results, seconds in self.rows:
            table.add_row(title, escape(results), f"{seconds:.0f}")
        return table
