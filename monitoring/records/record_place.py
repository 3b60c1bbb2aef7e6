"""Where records lie: a file of this host (`record_file`) or a database that hosts share (`record_tables`), behind one door."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import Any, Protocol

from registry.database.door import Connection

Statement = tuple[str, tuple[Any, ...]]


class Noticed(Enum):
    """What a writer found out about its place."""

    INTERRUPTED = "a commit failed or waits"
    RESUMED = "commits succeed again"
    REPLACED = "another file is in its place"


Notice = Callable[[Noticed, str], None]


class PlaceFailed(Exception):
    """The place does not do what it is asked; what was begun left nothing."""


class PlaceBusy(PlaceFailed):
    """Somebody else writes there, and has not ended yet."""


class ValueRefused(Exception):
    """A value that cannot be kept there: its statement fails, others need not."""


class RecordPlace(Protocol):
    """Safe from any thread, but for `commit`, `probe` and `leave`, which are the writer's thread's."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def next_step(self) -> str:
        """What to do where it fails."""

    def require(self) -> None:
        """Raises RecordsRefused where it can hold no records."""

    def commit(self, statements: Sequence[Statement], notice: Notice) -> list[bool]:
        """Whether each changed a row, all durable. Raises PlaceFailed, PlaceBusy, ValueRefused: then none is kept."""

    def probe(self, notice: Notice) -> None:
        """Returns where commits can be expected to succeed again. Raises PlaceFailed."""

    def leave(self) -> None:
        """The writer needs it no more."""

    def reading(self) -> AbstractContextManager[Connection]:
        """For statements that change nothing. Raises PlaceFailed."""

    def writing(self) -> AbstractContextManager[Connection]:
        """One transaction; what it removes is overwritten where that is ours to do. Raises PlaceFailed."""
