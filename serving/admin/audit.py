"""Leaves a trace of every call of a route: who asked for what, and what came of it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from serving.errors import row_of
from serving.events import AdminCalled
from serving.state import holder_of, state_of

LONGEST_PATH = 200  # a path is the caller's own text


def note(request: Request, **about: str | None) -> None:
    """What this call is about, beside its address."""
    request.state.about = about


class Audited(APIRoute):
    """A route whose calls are events."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, and the event after it."""
        handle = super().get_route_handler()

        async def audited(request: Request) -> Response:
            status = 500
            try:
                response = await handle(request)
                status = response.status_code
            except Exception as exc:
                status = row_of(exc).status
                raise
            finally:
                called = AdminCalled(
                    key=holder_of(request).name,
                    method=request.method,
                    path=request.url.path[:LONGEST_PATH],
                    status=status,
                    about=getattr(request.state, "about", {}),
                )
                state_of(request).events.emit(called, keep=request.method != "GET")
            return response

        return audited
