"""A part of a page that is loaded after it: it shows that it loads, that there is nothing, that it failed and how to go on."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, TypeVar

import structlog
from nicegui import ui

from console import parts
from console.errors import NotOffered, ServerRefused, ServerSilent
from scorer.errors import RouteMoAError

log = structlog.get_logger("console")
T = TypeVar("T")
FORBIDDEN, UNKNOWN_KEY = 403, 401


class Region(Generic[T]):
    """Fetches, then draws. every: seconds between looks; what did not change is not drawn again, so that focus and scrolling stay.

    until: looks end once this holds of what was fetched.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[T]],
        draw: Callable[[T], Any],
        *,
        every: float | None = None,
        until: Callable[[T], bool] = lambda _: False,
        lines: int = 3,
    ) -> None:
        self._fetch, self._draw, self._until, self._lines = fetch, draw, until, lines
        self._shown: object = None
        self._busy = False
        self.box = parts.box("region").props("aria-live=polite")
        with self.box:
            parts.skeleton(lines)
        ui.timer(0.01, self.reload, once=True)
        self._timer = ui.timer(every, self._look, active=False) if every else None

    async def reload(self) -> None:
        """Fetches and draws, whatever was shown."""
        self._shown = None
        await self._look()
        if self._timer is not None:
            self._timer.activate()

    async def _look(self) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            fetched = await self._fetch()
        except RouteMoAError as exc:
            self._replace(str(exc), partial(self._failed, exc))
        else:
            self._replace(fetched, partial(self._drawn, fetched))
            if self._timer is not None and self._until(fetched):
                self._timer.deactivate()
        finally:
            self._busy = False

    def _replace(self, what: object, draw: Callable[[], Any]) -> None:
        if self.box.is_deleted or (self._shown is not None and what == self._shown):
            return
        self._shown = what
        self.box.clear()
        with self.box:
            draw()

    def _drawn(self, fetched: T) -> None:
        try:
            self._draw(fetched)
        except (KeyError, TypeError, ValueError, IndexError) as exc:  # a field that this release does not know, or no longer there
            log.warning("not drawn", because=repr(exc))
            self.box.clear()
            with self.box:
                self._failed(ServerSilent("The server answers otherwise than this console expects.", next_step="Run both of one release."))

    def _failed(self, error: RouteMoAError) -> None:
        if isinstance(error, NotOffered):
            parts.empty(
                "Not available on this server", "It is of an earlier release, or this part is not installed there.", icon="extension_off"
            )
            return
        refused = error.status if isinstance(error, ServerRefused) else 0
        title = {FORBIDDEN: "This key may not see that", UNKNOWN_KEY: "This key is not in force any more"}.get(refused, "That did not work")
        with parts.box("state failed").props("role=alert"):
            ui.icon("lock" if refused in {FORBIDDEN, UNKNOWN_KEY} else "error_outline").classes("state-icon")
            ui.label(title).classes("state-title")
            ui.label(error.what).classes("state-text")
            if error.next_step:
                ui.label(error.next_step).classes("state-text")
            parts.button("Try again", self.reload, icon="refresh")
