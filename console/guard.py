"""What stands before every page and socket: whose page may talk to us, by which name, and what a browser may do with it."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# NiceGUI's page starts by an inline script, and Vue compiles its templates in the browser: both have to be allowed. Nothing from elsewhere
# is, no page of ours holds text as HTML, and nobody may frame it.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
NOT_KEPT = (b"cache-control", b"no-store")  # pages show what a key may see
LEFT = "No response returned."  # Starlette's words where a browser went away before the first byte of its page or file


class Guard:
    """Pure ASGI. names: host names by which a browser may call us; a page of any other origin gets nothing, by HTTP or by socket."""

    def __init__(self, app: App, *, names: frozenset[str]) -> None:
        self._app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what comes from our own pages."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        sent = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = sent.get(b"host", ""), sent.get(b"origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if _name(host) not in self._names or foreign:
            await _refuse(scope, send)
            return

        answered = False

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            nonlocal answered
            answered = True
            if message["type"] == "http.response.start":
                own = [] if scope["path"].startswith("/_nicegui") else [NOT_KEPT]
                added = [*HEADERS, *own]
                names = {name for name, _ in added}
                message = {**message, "headers": [each for each in message["headers"] if each[0].lower() not in names] + added}
            await send(message)

        try:
            await self._app(scope, receive, with_headers)
        except RuntimeError as exc:
            if answered or str(exc) != LEFT:
                raise
        if scope["type"] == "http" and not answered:
            await _say(send, 503, b"It was left before it was sent.\n")


def _name(host: str) -> str:
    """A Host header without its port."""
    return (host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]).lower()


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await _say(send, 403, b"This address is not one of the console's. ROUTEMOA_CONSOLE_HOSTS names further ones.\n")


async def _say(send: Send, status: int, text: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
