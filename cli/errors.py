"""What can go wrong before a command begins."""

from scorer.errors import RouteMoAError


class ProjectMissing(RouteMoAError):
    """A folder that holds no project; names one that does, if there is one near."""
