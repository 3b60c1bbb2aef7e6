"""What can go wrong while the platform is started on this machine."""

from scorer.errors import RouteMoAError


class LocalError(RouteMoAError):
    """Something on this machine stands in the way."""


class ProcessFailed(LocalError):
    """A process of the platform did not start, or stopped by itself; names its log."""


class StepFailed(LocalError):
    """A step of the demo did not do what it promises."""


class ServerFailed(LocalError):
    """A llama.cpp server that cannot start: port busy, weights missing, or no answer in time."""
