"""How far asking is: on a terminal a bar an LLM, elsewhere a line of `registry.progress` now and then, of the whole."""

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from registry import progress

SAY_EVERY_S = 5.0


class AskingProgress:
    """Shows how many of its questions (`totals`, by LLM) each LLM was asked, from `with` to its end."""

    def __init__(self, totals: Mapping[str, int]) -> None:
        self._name = next(iter(totals)) if len(totals) == 1 else f"{len(totals)} LLMs"
        self._total = sum(totals.values())
        self._done = 0
        self._said_at = time.monotonic()
        self._on_terminal = sys.stdout.isatty()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, disable=not self._on_terminal)
        self._bar_of = {llm: self._bars.add_task(llm, total=total) for llm, total in totals.items()}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def advance(self, llm: str) -> None:
        """One more question was put to `llm`, answered or not."""
        self._bars.advance(self._bar_of[llm])
        self._done += 1
        if not self._on_terminal and (self._done == self._total or time.monotonic() - self._said_at >= SAY_EVERY_S):
            self._said_at = time.monotonic()
            print(progress.Progress(f"{self._name}: {self._done} of {self._total}", self._done / self._total).line(), flush=True)
