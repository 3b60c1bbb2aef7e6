"""Being the one worker, or the one monitor, of all hosts that share a database; a host of its own has nobody to ask."""

from typing import Protocol

from registry.database.shared import shared
from registry.settings import Settings

ASK_S = 2.0  # between two questions whether it is ours by now: with what PostgreSQL takes to miss a dead host, a takeover within 10 s


class Lead(Protocol):
    """A place that one process has at a time."""

    def holds(self) -> bool:
        """Whether we have it now; taken where nobody has. Raises DatabaseFailed: then we have not, and somebody else may."""

    def leave(self) -> None:
        """Gives it to whoever asks next."""


class Alone:
    """Of a host that shares no database."""

    def holds(self) -> bool:
        """Always."""
        return True

    def leave(self) -> None:
        """Nobody waits for it."""


def lead(settings: Settings, name: str) -> Lead:
    """The place called `name`, not taken yet. Raises DatabaseFailed."""
    database = shared(settings)
    return Alone() if database is None else database.lead(name)
