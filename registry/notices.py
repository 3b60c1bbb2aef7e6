"""Notices to people, by Apprise: a challenger waits, a verdict says retrain, a job ended. Off unless ROUTEMOA_NOTIFY names where to.

ROUTEMOA_NOTIFY: addresses as Apprise writes them (`slack://...`, `mailto://...`, `json://host:port`), separated by spaces.
"""

from typing import Any
from urllib.parse import urlsplit

import structlog

from registry.settings import Settings

log = structlog.get_logger()


def send(settings: Settings, title: str, body: str) -> bool:
    """Whether everybody named was told; true where nobody is.

    What cannot be sent is logged and stops nothing. An address holds keys, so only its kind is logged.
    """
    addresses = settings.notify.get_secret_value().split()
    if not addresses:
        return True
    try:
        import apprise
    except ImportError:
        log.warning("notice_not_sent", title=title, reason="apprise is not installed", next_step="pip install 'routemoa[notify]'")
        return False
    told = [_tell(apprise, address, f"RouteMoA: {title}", body) for address in addresses]
    return all(told)


def _tell(apprise: Any, address: str, title: str, body: str) -> bool:
    """Whether the one at `address` was told; one that fails keeps no other from being told."""
    kind = urlsplit(address).scheme
    notifier = apprise.Apprise()
    if not notifier.add(address):
        log.warning("notice_not_sent", to=kind, title=title, reason="Apprise knows no such address", next_step="Correct ROUTEMOA_NOTIFY.")
        return False
    sent = bool(notifier.notify(title=title, body=body))
    if not sent:
        log.warning("notice_not_sent", to=kind, title=title, reason="it could not be reached, or refused")
    return sent
