"""What stands before every route: the key, the load limit, and a count of how it went."""

import asyncio
import time
from contextlib import nullcontext

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitoring.errors import RecordNotKept
from scorer.errors import RouteMoAError
from serving.access import scopes
from serving.access.keys import KeyEntry
from serving.dialects.spoken import SPOKEN, dialect_of
from serving.errors import Stopping, row_of
from serving.front.connection import WHOLE
from serving.request.body import read
from serving.state import State

RECORDED = frozenset(each.path for each in SPOKEN)
SHED = RECORDED | {"/v1/route"}  # what takes long enough to pile up


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
        except asyncio.CancelledError:  # uvicorn's, when the time to drain is over; nothing else cancels a request
            await self._say_stopping(scope, receive, sent)
        finally:
            self._count(scope, sent, time.perf_counter() - started)

    async def _pass(self, scope: Scope, receive: Receive, send: "_Counted") -> None:
        """A place in flight is taken once the body is here: one that never ends holds none."""
        path, state = scope["path"], self._state
        if state.leaving.begun:
            send.headers["connection"] = "close"  # nobody sends the next request on a connection that will be gone
        if path in scopes.PUBLIC:
            await self._app(scope, receive, send)
            return
        try:
            holder = self._holder(scope)
            scope.setdefault("state", {})["holder"] = holder  # `request.state.holder`, for what one key may do and another not
            scope["state"]["answer_headers"] = send.headers  # what a route adds to its answer, whatever that will be
            scopes.check(holder, path)
            if path in SHED:
                await state.gate.admit(holder, send.headers)
            refusal = state.refusal
            if path in RECORDED and refusal is not None:  # before an LLM is paid for an answer that may not leave
                raise RecordNotKept(refusal.what, next_step=refusal.next_step)
            body = await self._body(scope, receive, holder)
            with state.in_flight.one(holder.name) if path in SHED else nullcontext():
                state.tracing.begin(scope)
                await self._app(scope, _after(body, receive), send)
        except ClientDisconnect:
            return
        except RouteMoAError as exc:
            await dialect_of(path).error(exc)(scope, receive, send)

    async def _say_stopping(self, scope: Scope, receive: Receive, sent: "_Counted") -> None:
        """As a status where there is none yet, else as the event that ends a stream. Raises CancelledError where neither can be said."""
        dialect = dialect_of(scope["path"])
        error = Stopping("The server stops, and this answer was not complete in time.", next_step="Ask again.")
        if not sent.started:
            await dialect.error(error)(scope, receive, sent)
        elif sent.streams:
            self._state.metrics.errors.labels(row_of(error).code).inc()
            await sent({"type": "http.response.body", "body": dialect.error_event(error), "more_body": False})
        elif not sent.complete:
            raise asyncio.CancelledError

    async def _body(self, scope: Scope, receive: Receive, holder: KeyEntry) -> Message:
        """All of the body as one message. Raises RequestTooLarge, Overloaded, ClientDisconnect."""
        if scope.get("state", {}).get(WHOLE):
            return await receive()
        with self._state.arriving.one(holder.name):
            whole = await read(Request(scope, receive), self._state.settings.max_request_bytes)
        return {"type": "http.request", "body": whole, "more_body": False}

    def _holder(self, scope: Scope) -> KeyEntry:
        keys = self._state.keys.value
        header = dialect_of(scope["path"]).authorization(Request(scope).headers)
        return (scopes.NOBODY if keys is None else keys).holder(header, time.time())

    def _count(self, scope: Scope, sent: "_Counted", seconds: float) -> None:
        metrics = self._state.metrics
        route = getattr(scope.get("route"), "path", "none")  # the template: paths as sent would be labels without end
        method = scope["method"] if scope["method"] in {"GET", "POST"} else "other"
        metrics.requests.labels(route, method, str(sent.status)).inc()
        metrics.latency.labels(route).observe(seconds)
        if sent.error is not None:
            metrics.errors.labels(sent.error).inc()


def _after(first: Message, receive: Receive) -> Receive:
    """`receive` with `first` before it."""
    waiting = [first]

    async def receive_in_order() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_in_order


class _Counted:
    """`send`, remembering the status (499 where nothing was sent), our error's code, and how far the answer is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 499
        self.error: str | None = None
        self.headers: dict[str, str] = {}
        self.started = self.complete = self.streams = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.started = message["status"], True
            headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            self.streams = any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)
            known = {name for name, _ in headers}
            added = [(name.encode(), value.encode()) for name, value in self.headers.items() if name.encode() not in known]
            message = {**message, "headers": [*headers, *added]} if added else message
            self.error = next((value.decode() for name, value in headers if name == b"x-routemoa-error"), None)
        elif not message.get("more_body"):
            self.complete, self.streams = True, False
        await self._send(message)
