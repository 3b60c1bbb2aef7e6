"""The demo's acts as they happen: what each meant and where to look, kept in a file so that an interrupted demo goes on."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local.errors import StepFailed
from scorer.atomic_write import replacing
from scorer.errors import RouteMoAError


@dataclass
class Act:
    """One act: what happened, line by line; what it means for the reader, in one line; where to look.

    facts: what later acts need of it. seconds: how long it took.
    """

    key: str
    title: str
    lines: list[str] = field(default_factory=list)
    means: str = ""
    look: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def say(self, line: str) -> None:
        """Notes a result."""
        self.lines.append(line)


@dataclass
class Story:
    """What happened so far. file: where it is kept; None: nowhere."""

    file: Path | None = None
    console: Console = field(default_factory=Console)
    acts: dict[str, Act] = field(default_factory=dict)

    @classmethod
    def resumed(cls, file: Path, console: Console | None = None) -> "Story":
        """The story that `file` tells so far; a new one where there is none."""
        told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        return cls(file, console or Console(), {act["key"]: Act(**act) for act in told})

    def told(self, key: str) -> bool:
        """Whether an act was played to its end."""
        return key in self.acts

    @contextmanager
    def act(self, key: str, title: str, retry: str) -> Iterator[Act]:
        """One act: announced, timed; its lines and meaning printed at its end, and kept.

        Raises StepFailed naming the act, the reason and the command to try where anything of ours is raised inside.
        """
        self.console.rule(f"[bold]{escape(title)}", align="left")
        began, act = time.monotonic(), Act(key, title)
        try:
            yield act
        except RouteMoAError as error:
            raise StepFailed(f"“{title}” failed: {error.what}", next_step=f"{error.next_step} Then try: {retry}".strip()) from error
        act.seconds = round(time.monotonic() - began, 1)
        self.acts[key] = act
        self._keep()
        meaning = [f"=> {act.means}"] if act.means else []
        look = [f"   look: {act.look}"] if act.look else []
        self.console.print("\n".join([*act.lines, *meaning, *look]), highlight=False, markup=False, soft_wrap=True)

    def end(self) -> None:
        """Forgets the story: the next demo begins anew."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def table(self) -> Table:
        """What each act meant; fits a terminal of 80 x 30."""
        table = Table(title="What happened", title_justify="left", show_header=False, show_lines=True)
        table.add_column(max_width=16)
        table.add_column(overflow="fold")
        for act in self.acts.values():
            if act.means:
                table.add_row(escape(act.title), escape(act.means))
        return table

    def _keep(self) -> None:
        if self.file is not None:
            with replacing(self.file) as partial:
                partial.write_text(json.dumps([asdict(act) for act in self.acts.values()], indent=1), encoding="utf-8")
