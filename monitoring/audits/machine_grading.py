"""Has machines grade drawn answers beside the monitor's looks: starts `pipelines.grade_audits` as a process, one at a time."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import structlog

from registry.child_process import Child
from registry.errors import ChildFailed
from registry.settings import Settings

log = structlog.get_logger("watch")
MODULE = "pipelines.grade_audits"  # of the loop, which stands above this package: reached as a process, by name
DAY_S = 86_400.0


@dataclass(slots=True)
class MachineGrading:
    """A round is due where answers were drawn since the last one, and each UTC day, which brings a new budget."""

    settings: Settings
    clock: Callable[[], float] = time.time
    command: tuple[str, ...] = (sys.executable, "-m", MODULE, "--with-parent")
    _drawn: int = field(default=0, init=False)
    _day: float | None = field(default=None, init=False)
    _child: Child | None = field(default=None, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def note(self, drawn: int) -> None:
        """So many answers were drawn; starts a round where one is due and none runs."""
        self._drawn += drawn
        today = self.clock() // DAY_S
        if not self._drawn and self._day == today:
            return
        if self._thread is not None and self._thread.is_alive():
            return
        self._drawn, self._day = 0, today
        self._child = Child(tied=True)
        self._thread = threading.Thread(target=self._run, args=(self._child,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends a round that runs; what was graded and paid is kept."""
        if self._child is not None:
            self._child.stop()
        if self._thread is not None:
            self._thread.join()

    def _run(self, child: Child) -> None:
        try:
            child.run(
                list(self.command),
                lambda line: log.info("audits_graded", said=line.strip()),
                cwd=self.settings.home,
                ROUTEMOA_HOME=str(self.settings.home),
            )
        except ChildFailed as exc:  # no judge answers, or the loop is not installed here: people grade, and the next round tries again
            log.warning("audits_not_graded", error=exc.what)
