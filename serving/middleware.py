"""What stands before every route: the key, the load limit, and a count of how it went."""

import time

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scorer.errors import RouteMoAError
from serving import scopes
from serving.errors import Overloaded
from serving.keys import KeyEntry
from serving.responses import error_response
from serving.state import State

SHED = frozenset({"/v1/chat/completions", "/v1/route"})  # what takes long enough to pile up


class RequestGuard:
    """Pure ASGI: a layer that buffers would break streams."""

    def __init__(self, app: ASGIApp, *, state: State) -> None:
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes an HTTP request on if its key opens it and there is room; counts it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, sent = time.perf_counter(), _Counted(send)
        try:
            await self._pass(scope, receive, sent)
        finally:
            self._count(scope, sent, time.perf_counter() - started)

    async def _pass(self, scope: Scope, receive: Receive, send: "_Counted") -> None:
        path, state = scope["path"], self._state
        if path not in scopes.PUBLIC:
            try:
                holder = self._holder(scope)
                scope.setdefault("state", {})["holder"] = holder  # `request.state.holder`, for what one key may do and another not
                scopes.check(holder, path)
            except RouteMoAError as exc:
                await error_response(exc)(scope, receive, send)
                return
        if path not in SHED:
            await self._app(scope, receive, send)
            return
        if state.in_flight >= state.settings.max_in_flight:
            full = Overloaded(f"{state.in_flight} requests are in flight, as many as this server takes.", next_step="Try again shortly.")
            await error_response(full)(scope, receive, send)
            return
        self._add_in_flight(1)
        try:
            await self._app(scope, receive, send)
        finally:
            self._add_in_flight(-1)

    def _holder(self, scope: Scope) -> KeyEntry:
        keys = self._state.keys.value
        header = Request(scope).headers.get("authorization")
        return scopes.NOBODY.holder(header) if keys is None else keys.holder(header)

    def _add_in_flight(self, change: int) -> None:
        self._state.in_flight += change
        self._state.metrics.in_flight.set(self._state.in_flight)

    def _count(self, scope: Scope, sent: "_Counted", seconds: float) -> None:
        metrics = self._state.metrics
        route = getattr(scope.get("route"), "path", "none")  # the template: paths as sent would be labels without end
        method = scope["method"] if scope["method"] in {"GET", "POST"} else "other"
        metrics.requests.labels(route, method, str(sent.status)).inc()
        metrics.latency.labels(route).observe(seconds)
        if sent.error is not None:
            metrics.errors.labels(sent.error).inc()


class _Counted:
    """`send`, remembering the status (499 where nothing was sent) and our error's code."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 499
        self.error: str | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            self.error = next((value.decode() for name, value in headers if name == b"x-routemoa-error"), None)
        await self._send(message)
