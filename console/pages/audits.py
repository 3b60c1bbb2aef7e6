"""The audit queue: one served answer after the other, graded by two keys; what a judge thinks is told only afterwards."""

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui
from nicegui.events import KeyEventArguments

from console import parts, words
from console.errors import ConsoleError
from console.frame import Page, View
from console.region import Region

RIGHT, WRONG, SKIP = "j", "f", "s"
KEYS: dict[str, tuple[str, dict[str, Any]]] = {RIGHT: ("", {"right": True}), WRONG: ("", {"right": False}), SKIP: ("/skip", {})}
AHEAD = 10  # answers fetched at once


def draw(view: View) -> None:
    """The answer to grade, what was found of the last one, and the keys."""
    queue = _Queue(view)

    async def act(name: str) -> None:
        try:
            await queue.act(*KEYS[name])
        except ConsoleError as exc:
            parts.failure(exc)
        await region.reload()

    async def pressed(event: KeyEventArguments) -> None:
        name = event.key.name.lower()
        if event.action.keydown and not event.action.repeat and not event.modifiers.ctrl and name in KEYS:
            await act(name)

    ui.keyboard(on_key=pressed)
    region = Region(queue.fetch, lambda fetched: _draw(fetched, act), lines=6)


class _Queue:
    """The answers that one person works through."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._audits: list[dict[str, Any]] = []
        self._last: dict[str, Any] | None = None
        self._waiting = self._hidden = self._graded = 0
        self._busy = False

    async def fetch(self) -> dict[str, Any]:
        """What is to be shown."""
        if not self._audits:
            found = await self._view.api.get("/v1/audits", limit=AHEAD)
            self._waiting, self._hidden, self._audits = found["waiting"], found["not_kept"], list(found["audits"])
        return {"shown": self._audits[:1], "waiting": self._waiting, "hidden": self._hidden, "graded": self._graded, "last": self._last}

    async def act(self, path: str, body: dict[str, Any]) -> None:
        """Grades or skips the answer that is shown; once, however fast keys are pressed."""
        if self._busy or not self._audits:
            return
        self._busy, audit = True, self._audits[0]
        try:
            kept = await self._view.api.post(f"/v1/audits/{audit['decision_id']}{path}", body)
        finally:
            self._busy = False
        self._audits.pop(0)
        if not path:
            self._graded += 1
            self._waiting = kept["waiting"]
            self._last = kept | {"llm": audit["llm"], "expected": audit.get("expected")}


def _draw(fetched: dict[str, Any], press: Callable[[str], Awaitable[None]]) -> None:
    with parts.box("row-flex"):
        parts.chip(f"{words.counted(fetched['waiting'], 'answer')} to grade", "info" if fetched["waiting"] else "good")
        if fetched["graded"]:
            parts.chip(f"{fetched['graded']} graded by you now", "good")
    if fetched["last"]:
        _last(fetched["last"])
    if fetched["hidden"]:
        hidden = words.counted(fetched["hidden"], "drawn answer")
        set_it = "set ROUTEMOA_STORE_TEXT=true, and later answers can be graded"
        parts.text(f"{hidden} cannot be shown, for texts are not kept: {set_it}.", "faint", "div")
    if not fetched["shown"]:
        about = "Answers are drawn with a recorded chance while traffic comes in; more where the scorer is unsure."
        parts.empty("Nothing to grade", about, icon="task_alt")
        return
    audit = fetched["shown"][0]
    with parts.card():
        with parts.box("row-flex"):
            parts.heading(
                "Is this answer right?",
                f"{audit['llm'] or 'a synthesis'} · {audit.get('domain') or 'no domain'} · {words.ago(audit['created_at'])}",
            )
            for reason in audit.get("why") or ():
                parts.chip(reason, "warn")
        _quoted("Query", audit["query"])
        _quoted("Answer", audit["answer"])
        if reference := audit.get("reference"):
            _quoted(f"Reference ({reference['grader']})", reference["text"])
        with parts.box("row-flex"):
            parts.button("Right", lambda: press(RIGHT), icon="thumb_up", kind="first").props(f"aria-keyshortcuts={RIGHT}")
            parts.text(RIGHT.upper(), "kbd")
            parts.button("Wrong", lambda: press(WRONG), icon="thumb_down").props(f"aria-keyshortcuts={WRONG}")
            parts.text(WRONG.upper(), "kbd")
            parts.button("Skip", lambda: press(SKIP), icon="skip_next").props(f"aria-keyshortcuts={SKIP}")
            parts.text(SKIP.upper(), "kbd")
            parts.link("The decision", f"/decisions/{audit['decision_id']}")


def _quoted(title: str, content: str | None) -> None:
    with parts.box("stack").style("gap: 4px"):
        ui.label(title).classes("faint")
        if content is None:
            ui.label("It has no text.").classes("faint")
        else:
            parts.text(content, "quote", "div")


def _last(last: dict[str, Any]) -> None:
    opinions = ", ".join(f"{each['grader']} said {words.score(each['score'])}" for each in last.get("opinions") or ())
    expected = f"{words.score(last['expected'])} was expected of it" if last.get("expected") is not None else ""
    told = "; ".join(filter(None, (expected, opinions)))
    with parts.box("banner").props("role=status"):
        ui.icon("thumb_up" if last["score"] >= 0.5 else "thumb_down")
        ui.label(
            f"{last['llm'] or 'A synthesis'}: kept as {'right' if last['score'] >= 0.5 else 'wrong'}."
            + (f" {told[0].upper()}{told[1:]}." if told else "")
        )


PAGE = Page(
    "/drift/audits", "Drift", "Audits", "Served answers that were drawn by chance. Your grades are what estimated quality stands on.", draw
)
