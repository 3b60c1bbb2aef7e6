"""Whether a host shares a database with others. The one way to it, so that its driver is in the memory of those alone that do."""

from typing import TYPE_CHECKING

from registry.settings import Settings

if TYPE_CHECKING:
    from registry.database.postgres import Postgres


def shared(settings: Settings) -> "Postgres | None":
    """The database that `ROUTEMOA_DATABASE_URL` names, None where a host keeps files of its own. Raises DatabaseFailed, ExtraMissing."""
    if not (url := settings.database_url.get_secret_value()):
        return None
    from registry.database import postgres

    return postgres.opened(url)
