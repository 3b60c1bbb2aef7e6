"""The pieces that pages are made of. Whatever comes from a server is drawn as text, never as HTML."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from nicegui import ui
from nicegui.element import Element

Action = Callable[[], Any]
Draw = Callable[[Any], str | None]  # fills a place, or says what stands there
Shown = TypeVar("Shown", bound=Element)
Tone = Literal["good", "bad", "warn", "info", "plain"]
LONG = 8  # characters of a figure that are drawn smaller
VERDICTS: dict[str, Tone] = {"keep": "good", "watch": "warn", "retrain": "bad", "too-little-data": "info"}
STATES: dict[str, Tone] = {
    "done": "good",
    "passed": "good",
    "ok": "good",
    "active": "good",
    "running": "info",
    "queued": "plain",
    "cancelled": "plain",
    "retired": "plain",
    "not run": "warn",
    "failed": "bad",
    "error": "bad",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. draw: fills a cell for a row; a string is shown as it is. number: digits, to the right."""

    title: str
    draw: Draw
    number: bool = False
    lead: bool = False


def attribute(element: Shown, name: str, value: str) -> Shown:
    """`element` with an attribute of any content: in the text that `props` parses, a quote in a caller's own name would end it."""
    element.props[name] = value
    return element


def box(classes: str = "", tag: str = "div") -> Element:
    """A plain element."""
    return ui.element(tag).classes(classes)


def text(content: str, classes: str = "", tag: str = "span") -> Element:
    """Text in an element of its own."""
    element = ui.element(tag).classes(classes)
    with element:
        ui.label(content)
    return element


def heading(title: str, about: str = "", *, level: int = 2) -> Element:
    """A card's title and a line about it."""
    with box("heading") as made:
        with box("heading-title").props(f"role=heading aria-level={level:d}"):
            ui.label(title)
        if about:
            ui.label(about).classes("faint")
    return made


def card(title: str = "", about: str = "", classes: str = "") -> Element:
    """A card; to be used as a context."""
    made = box(f"card {classes}", "section")
    if title:
        with made:
            heading(title, about)
    return made


def chip(content: str, tone: Tone | None = None) -> ui.label:
    """A state in one word."""
    return ui.label(content).classes(f"chip {tone or STATES.get(content, 'plain')}")


def on_page(action: Action) -> Callable[[], Awaitable[None]]:
    """`action` as the page's own: it may tell and draw things after the part that it was called from has been drawn anew."""
    client = ui.context.client

    async def run() -> None:
        with client:
            result = action()
            if isinstance(result, Coroutine):  # a dialog can be awaited too, and would open again
                await result

    return run


def menu_item(title: str, action: Action) -> None:
    """An entry of a menu."""
    ui.menu_item(title, on_page(action))


def button(title: str, action: Action, *, icon: str | None = None, kind: str = "", disabled: bool = False) -> ui.button:
    """A button. kind: `first` for what the page is for, `danger` for what is hard to undo."""
    made = ui.button(title, on_click=on_page(action), icon=icon, color=None).props("unelevated no-caps").classes(f"button {kind}")
    made.set_enabled(not disabled)
    return made


def link(title: str, target: str, *, away: bool = False, classes: str = "") -> Element:
    """A link; `away` opens another tab."""
    made = ui.link(title, target, new_tab=away).classes(f"link {classes}")
    return made.props('rel="noreferrer"') if away else made


def figure(name: str, value: str, about: str = "", tone: Tone = "plain") -> None:
    """One number that matters, with its name and what it means."""
    with box(f"figure {tone}"):
        ui.label(name).classes("figure-name")
        ui.label(value).classes("figure-value long" if len(value) > LONG else "figure-value")
        if about:
            ui.label(about).classes("faint figure-about")


def bar(share: float, classes: str = "", title: str = "") -> None:
    """A bar filled to `share` in [0, 1]."""
    with attribute(box("bar").props("role=img"), "aria-label", f"{round(100 * share)} percent"):
        box(f"bar-fill {classes}").style(f"width: {100 * min(max(share, 0.0), 1.0):.1f}%")
    if title:
        ui.tooltip(title)


def measured(share: float, told: str, classes: str = "") -> None:
    """A bar filled to `share` in [0, 1] with its figure beside it, figures of a column below each other."""
    with box("measured"):
        bar(share, classes)
        ui.label(told).classes("measured-value")


def interval(low: float, mean: float, high: float, *, reach: float, tone: Tone) -> None:
    """A mean with its interval on an axis from -reach to reach, zero marked."""

    def at(value: float) -> float:
        return 50 + 50 * min(max(value / reach, -1.0), 1.0)

    with attribute(box("interval").props("role=img"), "aria-label", f"{mean:+.3f}, from {low:+.3f} to {high:+.3f}"):
        box("interval-zero")
        box(f"interval-line {tone}").style(f"left: {at(low):.1f}%; width: {max(at(high) - at(low), 0.8):.1f}%")
        box(f"interval-dot {tone}").style(f"left: {at(mean):.1f}%")


def band(low: float | None, mean: float, high: float | None, promised: float | None) -> None:
    """An estimate in [0, 1] with its interval, and a mark where the promise is."""
    with attribute(box("interval").props("role=img"), "aria-label", f"{mean:.2f}"):
        if low is not None and high is not None:
            box("interval-line info").style(f"left: {100 * low:.1f}%; width: {max(100 * (high - low), 0.8):.1f}%")
        if promised is not None:
            box("interval-zero").style(f"left: {100 * promised:.1f}%; border-left-style: solid")
        box("interval-dot info").style(f"left: {100 * mean:.1f}%")


def table(columns: Sequence[Column], rows: Iterable[Any], *, label: str, opens: Callable[[Any], str] | None = None) -> Element:
    """A table that becomes a list of cards on a narrow screen. opens: the address that a row's first cell links to."""
    with attribute(box("table", "table"), "aria-label", label) as made:
        with box(tag="thead"), box(tag="tr"):
            for column in columns:
                with box("number" if column.number else "", "th").props("scope=col"):
                    ui.label(column.title)
        with box(tag="tbody"):
            for row in rows:
                with box(tag="tr"):
                    for place, column in enumerate(columns):
                        _cell(column, row, opens(row) if opens and place == 0 else None)
    return made


def _cell(column: Column, row: Any, target: str | None) -> None:
    classes = " ".join(filter(None, ("number" if column.number else "", "lead" if column.lead else "")))
    with attribute(box(classes, "td"), "data-label", column.title):
        content = column.draw(row)
        if content is not None and target:
            link(content, target)
        elif content is not None:
            ui.label(content)


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, one a line."""
    with box("facts", "dl"):
        for name, value in pairs:
            text(name, tag="dt")
            text(value, tag="dd")


def skeleton(lines: int) -> None:
    """What stands where something is loading."""
    with box("skeleton").props('role=status aria-label="Loading"'):
        for _ in range(lines):
            box("skeleton-line")


def empty(title: str, about: str = "", *, icon: str = "inbox") -> Element:
    """What stands where there is nothing yet, and what would bring something."""
    with box("state") as made:
        ui.icon(icon).classes("state-icon")
        ui.label(title).classes("state-title")
        if about:
            ui.label(about).classes("state-text")
    return made


def failure(error: Exception) -> None:
    """Tells of what a person asked for and did not get; stays until it is closed."""
    ui.notify(str(error), type="negative", timeout=0, close_button="Close", multi_line=True, position="top")


def success(content: str) -> None:
    """Tells that something was done."""
    ui.notify(content, type="positive", position="top", timeout=6000)
