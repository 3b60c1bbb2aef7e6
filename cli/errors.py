"""What keeps a command from beginning, or from going on."""

from scorer.errors import RouteMoAError


class ProjectMissing(RouteMoAError):
    """A folder that holds no project; names one that does, if there is one near."""


class Unconfirmed(RouteMoAError):
    """Something that costs money, which nobody agreed to."""


class ProjectExists(RouteMoAError):
    """A folder whose pool a new project would write over."""


class CheckoutMissing(RouteMoAError):
    """An installation that has none of the files that a project's stages run by."""
