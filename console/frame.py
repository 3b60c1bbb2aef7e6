"""What every page stands in: the navigation, the title, who is signed in; and the form to sign in where nobody is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from nicegui import app, ui

from console import parts
from console.api import Api
from console.errors import ConsoleError, ServerRefused
from console.sessions import Session, Sessions, Theme
from console.settings import ConsoleSettings

PRIMARY = "#3457d5"
STYLE = Path(__file__).with_name("style.css")
NEXT_THEME: dict[Theme, Theme] = {"auto": "light", "light": "dark", "dark": "auto"}
THEMES: dict[Theme, tuple[bool | None, str]] = {
    "auto": (None, "brightness_auto"),
    "light": (False, "light_mode"),
    "dark": (True, "dark_mode"),
}


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of the navigation."""

    path: str
    title: str
    icon: str


SECTIONS = (
    Section("/", "Overview", "space_dashboard"),
    Section("/pool", "Pool", "hub"),
    Section("/scorers", "Scorers", "military_tech"),
    Section("/drift", "Drift", "radar"),
    Section("/playground", "Playground", "forum"),
    Section("/decisions", "Decisions", "receipt_long"),
    Section("/keys", "Keys", "key"),
)


@dataclass(frozen=True, slots=True)
class View:
    """What a page draws with: the server as the signed-in key sees it, where things are, and the parts of its address."""

    api: Api
    settings: ConsoleSettings
    path: dict[str, str]
    query: dict[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """One page. section: of the navigation. draw: fills it; what takes time goes into a `Region`."""

    path: str
    section: str
    title: str
    about: str
    draw: Callable[[View], Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """Draws pages for whoever is signed in."""

    settings: ConsoleSettings
    sessions: Sessions
    server: httpx2.AsyncClient

    def add(self, page: Page) -> None:
        """Has `page` answer at its address."""

        @ui.page(page.path, title=f"{page.title} · RouteMoA")
        def show() -> None:
            self._show(page)

    def _show(self, page: Page) -> None:
        ui.add_css(STYLE)
        ui.colors(primary=PRIMARY)
        browser = str(app.storage.browser["id"])
        session = self.sessions.of(browser)
        if session is None:
            ui.dark_mode(None)
            self._sign_in(browser)
            return
        theme = ui.dark_mode(THEMES[session.theme][0])
        request = ui.context.client.request
        view = View(Api(self.server, session.key), self.settings, dict(request.path_params), dict(request.query_params))
        with parts.box("shell"):
            ui.link("To the content", "#content").classes("skip")
            self._side(page.section, browser, session, theme)
            with parts.box("main", "main").props("id=content tabindex=-1"):
                with parts.box("page-head"), parts.box():
                    self._back(page)
                    parts.text(page.title, "page-title", "h1").style("margin: 0")
                    ui.label(page.about).classes("page-about")
                page.draw(view)

    def _back(self, page: Page) -> None:
        """From a page within a section to the section's own."""
        above = next(section for section in SECTIONS if section.title == page.section)
        if page.path != above.path:
            parts.link(f"‹ {above.title}", above.path, classes="back")

    def _side(self, current: str, browser: str, session: Session, theme: ui.dark_mode) -> None:
        with parts.box("side", "header") as side:
            with parts.box("side-top"):
                with parts.box("brand"):
                    with parts.box("brand-mark"):
                        ui.icon("alt_route")
                    ui.label("RouteMoA")
                menu = ui.button(icon="menu", on_click=lambda: side.classes(toggle="open"), color=None)
                menu.props('flat round aria-label="Menu"').classes("icon-button menu-button")
            with parts.box("nav", "nav").props('aria-label="Pages"'):
                for section in SECTIONS:
                    with ui.link(target=section.path).props('aria-current="page"' if section.title == current else ""):
                        ui.icon(section.icon)
                        ui.label(section.title)
            with parts.box("side-foot"):
                parts.link("MLflow ↗", self.settings.mlflow_url, away=True)
                parts.link("Evidently ↗", self.settings.evidently_url, away=True)
                with parts.box("side-actions"):
                    self._theme_button(session, theme)
                    out = ui.button(icon="logout", on_click=lambda: self._sign_out(browser), color=None)
                    out.props('flat round aria-label="Sign out"').classes("icon-button").tooltip("Sign out")

    def _theme_button(self, session: Session, theme: ui.dark_mode) -> None:
        def turn() -> None:
            session.theme = NEXT_THEME[session.theme]
            theme.value, icon = THEMES[session.theme]
            button.props(f"icon={icon}")

        button = ui.button(icon=THEMES[session.theme][1], on_click=turn, color=None)
        button.props('flat round aria-label="Light, dark or as the system has it"').classes("icon-button").tooltip("Light or dark")

    def _sign_in(self, browser: str) -> None:
        async def begin() -> None:
            entered = key.value.strip()
            error.set_text("")
            if not entered:
                error.set_text("Enter a key.")
                return
            submit.props("loading")
            try:
                await check(Api(self.server, entered))
            except ConsoleError as exc:
                error.set_text(str(exc))
                return
            finally:
                submit.props(remove="loading")
            key.value = ""
            self.sessions.begin(browser, entered)
            ui.navigate.reload()

        with parts.box("login", "main"), parts.card():
            with parts.box("brand").style("padding: 0"):
                with parts.box("brand-mark"):
                    ui.icon("alt_route")
                ui.label("RouteMoA")
            ui.label("Sign in with an API key of the server. It stays in this process's memory and never reaches a page.").classes("faint")
            key = ui.input("API key", password=True).props('outlined autocomplete="off" autofocus').classes("w-full")
            key.on("keydown.enter", begin)
            error = ui.label().classes("state-text").style("color: var(--bad)").props("role=alert")
            submit = parts.button("Sign in", begin, kind="first")
            ui.label("No key yet? It is printed by: routemoa up").classes("faint")

    def _sign_out(self, browser: str) -> None:
        self.sessions.end(browser)
        ui.navigate.to("/")


async def check(api: Api) -> None:
    """Raises ServerRefused for a key that the server does not know, ServerSilent where it does not answer."""
    try:
        await api.get("/v1/models")
    except ServerRefused as exc:
        if exc.code != "insufficient_scope":  # known, with other scopes than `chat`
            raise
