"""The one way in which the console asks once more: a title, what it means, what to fill in, and two buttons."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from nicegui import ui
from nicegui.element import Element

from console import parts
from console.parts import Action


@dataclass(frozen=True, slots=True)
class Dialog:
    """An open dialog. body: what stands between its title and its buttons. first: the button that does what is asked about."""

    shown: ui.dialog
    body: Element
    first: ui.button

    def close(self) -> None:
        """Ends it."""
        self.shown.close()


@contextmanager
def asking(
    title: str, about: str, *, does: str, action: Action, leave: str = "Leave it", kind: str = "first", wide: bool = False
) -> Generator[Dialog]:
    """A dialog about one thing to do; what is drawn inside comes between title and buttons. `action` closes it where it is content.

    kind: as a button's. wide: for more than a sentence and a field.
    """
    with ui.dialog(value=True) as shown, ui.card().classes("wide" if wide else ""):
        parts.heading(title, about)
        body = parts.box("stack dialog-body")
        with parts.box("row-flex dialog-buttons"):
            first = parts.button(does, action, kind=kind)
            parts.button(leave, shown.close)
    with body:
        yield Dialog(shown, body, first)
