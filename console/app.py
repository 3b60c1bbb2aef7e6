"""The composition root: pages, sessions and the guard before them, made into one process."""

import secrets

from nicegui import app, ui

from console import api
from console.frame import Frame
from console.guard import Guard
from console.pages import PAGES
from console.sessions import Sessions
from console.settings import ConsoleSettings


def run(settings: ConsoleSettings) -> None:
    """Serves the console until it is stopped."""
    server = api.connect(settings.api_url)
    frame = Frame(settings, Sessions(), server)
    for page in PAGES:
        frame.add(page)
    inside = app.build_middleware_stack
    app.build_middleware_stack = lambda: Guard(inside(), names=settings.names)  # type: ignore[method-assign]  # before what the library adds
    app.on_shutdown(server.aclose)
    app.get("/livez")(lambda: {"status": "ok"})
    ui.run(
        host=settings.console_host,
        port=settings.console_port,
        title="RouteMoA",
        favicon="🔀",
        dark=None,
        language="en-US",
        reload=False,
        show=False,
        show_welcome_message=False,
        storage_secret=secrets.token_urlsafe(32),
        session_middleware_kwargs={"session_cookie": "routemoa", "same_site": "strict", "https_only": settings.console_https},
        reconnect_timeout=10.0,
    )
