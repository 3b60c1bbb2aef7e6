"""What can go wrong between the console and the servers it shows."""

from scorer.errors import RouteMoAError


class ConsoleError(RouteMoAError):
    """Anything wrong with the console itself."""


class ServerSilent(ConsoleError):
    """The API does not answer, or not as it should."""


class ServerRefused(ConsoleError):
    """The API refused a request. status, code: its HTTP status and its error's code."""

    def __init__(self, what: str, *, next_step: str = "", status: int = 0, code: str = "") -> None:
        super().__init__(what, next_step=next_step)
        self.status, self.code = status, code


class NotOffered(ServerRefused):
    """An address that this server does not have: it is of an earlier release, or the part is not installed."""
