"""Ask something and watch it being decided: who is weighed, who is asked, what they say, and why it stops; two ways side by side.

What stands beside may be another scorer version that the server has loaded: it says whom it would ask, and nobody is asked for it.
"""

import asyncio
import json
from typing import Any

from nicegui import ui

from console import decision_view, parts, words
from console.errors import ConsoleError
from console.frame import Page, View

STRATEGIES = {
    "routemoa-single": "single: the one LLM of best value",
    "routemoa": "mixture: asks more while that pays",
    "routemoa-layers": "layers: LLMs see and judge each other's answers",
}
NOBODY = "nothing beside it"
VERSION = "scorer-version:"  # before the number, where a way is a scorer version
BESIDE = ("shadow", "canary")


def draw(view: View) -> None:
    """The question, then a column for each way to answer it."""

    async def ask() -> None:
        query = question.value.strip()
        if not query or busy:
            question.run_method("focus")
            return
        busy.append(query)
        wanted = [first.value, *([second.value] if second.value != NOBODY else [])]
        columns.clear()
        columns.classes(replace="grid-2" if len(wanted) > 1 else "stack")
        asking.props("loading")
        with columns:
            made = [_column(view, way, first.value, query) for way in wanted]
        try:
            await asyncio.gather(*(each.run() for each in made))
        finally:
            busy.clear()
            asking.props(remove="loading")

    async def offer() -> None:
        second.set_options({NOBODY: NOBODY, **STRATEGIES, **await _versions(view)}, value=second.value)

    busy: list[str] = []  # what is being answered: one question at a time
    with parts.card():
        question = ui.textarea(placeholder="Ask something").props('outlined autogrow autofocus aria-label="Question"').classes("w-full")
        question.on("keydown.ctrl.enter", ask)
        with parts.box("row-flex"):
            first = ui.select(STRATEGIES, value="routemoa", label="Answered by").props("outlined dense").style("min-width: 250px")
            second = (
                ui.select({NOBODY: NOBODY, **STRATEGIES}, value=NOBODY, label="Beside it").props("outlined dense").style("min-width: 250px")
            )
            ui.timer(0.01, offer, once=True)
            asking = parts.button("Ask", ask, icon="send", kind="first")
            with parts.box("faint row-flex").style("gap: 5px"):
                parts.text("Ctrl", "kbd")
                parts.text("Enter", "kbd")
    columns = parts.box("stack")
    with columns:
        parts.empty("Nothing asked yet", "Each LLM's promise, cost and time are drawn first, then what really happened.", icon="forum")


async def _versions(view: View) -> dict[str, str]:
    """Other scorer versions that the server has loaded, as ways beside; none for a key that may not see them, or on an earlier server."""
    try:
        scorer = await view.api.get("/admin/scorer")
    except ConsoleError:
        return {}
    loaded: dict[str, list[str]] = {}
    for alias in BESIDE:
        if number := (scorer.get(alias) or {}).get("version"):
            loaded.setdefault(number, []).append(alias)
    return {
        f"{VERSION}{number}": f"scorer version {number}, the {' and '.join(aliases)}: it only decides" for number, aliases in loaded.items()
    }


def _column(view: View, way: str, model: str, query: str) -> "_Column | _Decided":
    """A strategy answers; a scorer version decides for the strategy `model`."""
    return _Decided(view, way.removeprefix(VERSION), model, query) if way.startswith(VERSION) else _Column(view, way, query)


class _Decided:
    """What another scorer version would decide for the same request."""

    def __init__(self, view: View, version: str, model: str, query: str) -> None:
        self._view, self._version = view, version
        self._body = {"model": model, "messages": [{"role": "user", "content": query}]}
        with parts.box("stack"):
            with parts.card():
                with parts.box("row-flex"):
                    parts.heading(f"Scorer version {version}", f"{model}; it only decides, nobody is asked")
                    self._state = parts.chip("deciding", "info")
                self._said = parts.box("stack")
            with parts.card("What it weighs", "Promised quality, expected cost and time, by this version"):
                self._weighed = parts.box("stack")
                with self._weighed:
                    parts.skeleton(3)

    async def run(self) -> None:
        """Has both versions decide, and says whether they choose the same."""
        try:
            ours, used = await asyncio.gather(
                self._view.api.post("/v1/route", {**self._body, "scorer_version": self._version}),
                self._view.api.post("/v1/route", self._body),
            )
        except ConsoleError as exc:
            self._state.set_text("failed")
            self._state.classes(replace="chip bad")
            told = str(exc)
            _redraw(self._weighed, lambda: ui.label(told))
            return
        same = ours["chosen"][:1] == used["chosen"][:1]
        self._state.set_text("the same choice" if same else "another choice")
        self._state.classes(replace=f"chip {'good' if same else 'warn'}")
        first, other = (", ".join(each["chosen"][:1]) or "nobody" for each in (ours, used))
        also = f"So does version {used['scorer_version']}." if same else f"Version {used['scorer_version']}, in use, asks {other} first."
        _redraw(self._said, lambda: ui.label(f"It asks {first} first. {also}"))
        _redraw(self._weighed, lambda: _weighed(ours))


class _Column:
    """One way to answer, drawn as it goes."""

    def __init__(self, view: View, model: str, query: str) -> None:
        self._view = view
        self._body = {"model": model, "messages": [{"role": "user", "content": query}]}
        with parts.box("stack"):
            with parts.card() as card:
                with parts.box("row-flex"):
                    parts.heading(STRATEGIES.get(model, model).partition(":")[0].capitalize(), model)
                    self._state = parts.chip("deciding", "info")
                self._answer = ui.label().classes("answer")
                self._facts = ui.label().classes("faint")
                self._actions = parts.box("row-flex")
            self._card = card
            with parts.card("What was weighed", "Promised quality, expected cost and time, by the scorer in use"):
                self._weighed = parts.box("stack")
            with parts.card("What happened"):
                self._story = parts.box("stack")
        for waiting in (self._weighed, self._story):
            with waiting:
                parts.skeleton(3)

    async def run(self) -> None:
        """Decides, then answers."""
        try:
            decided = await self._view.api.post("/v1/route", self._body)
            _redraw(self._weighed, lambda: _weighed(decided))
            self._say("asking", f"asking {', '.join(decided['chosen'])}", "info")
            facts = await self._stream()
            _redraw(self._story, lambda: decision_view.story(facts["decision"]))
            self._done(facts)
        except ConsoleError as exc:
            self._failed(exc)

    async def _stream(self) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        body = {**self._body, "stream": True, "routemoa": {"explain": True}}
        async for event in self._view.api.stream("/v1/chat/completions", body):
            for choice in event.get("choices", ()):
                self._answer.set_text(self._answer.text + (choice.get("delta", {}).get("content") or ""))
            facts = event.get("routemoa") or facts
        return facts

    def _done(self, facts: dict[str, Any]) -> None:
        self._say("ok", facts["llm"] or "synthesis", "good")
        self._answer.set_text(facts["decision"]["text"] or self._answer.text)
        self._facts.set_text(
            f"{words.usd(facts['cost_usd'])}, {words.seconds(facts['latency_s'])}, scorer version {facts['scorer_version']}"
        )
        with self._actions:
            parts.link("The record", f"/decisions/{facts['decision_id']}")
            parts.button("Copy as curl", lambda: _copy(_curl(self._view, self._body)), icon="content_copy")
            parts.button("Copy as Python", lambda: _copy(_python(self._view, self._body)), icon="content_copy")

    def _failed(self, error: ConsoleError) -> None:
        self._say("failed", "failed", "bad")
        for waiting in (self._weighed, self._story):
            if any("skeleton" in child._classes for child in waiting):
                waiting.clear()
        with self._card, parts.box("banner bad").props("role=alert"):
            ui.icon("error_outline")
            ui.label(str(error)).classes("banner-text")

    def _say(self, _: str, content: str, tone: parts.Tone) -> None:
        self._state.set_text(content)
        self._state.classes(replace=f"chip {tone}")


def _redraw(place: Any, draw: Any) -> None:
    place.clear()
    with place:
        draw()


def _weighed(decided: dict[str, Any]) -> None:
    decision_view.ranking(decided)
    ui.label(decided["explanation"]).classes("faint")


def _copy(content: str) -> None:
    ui.clipboard.write(content)
    parts.success("Copied.")


def _curl(view: View, body: dict[str, Any]) -> str:
    quoted = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    return (
        f'curl {view.settings.api_url}/v1/chat/completions \\\n  -H "Authorization: Bearer $ROUTEMOA_KEY" \\\n'
        f"  -H 'Content-Type: application/json' \\\n  -d '{quoted}'"
    )


def _python(view: View, body: dict[str, Any]) -> str:
    return (
        "import os\nfrom openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{view.settings.api_url}/v1", api_key=os.environ["ROUTEMOA_KEY"])\n'
        f"answer = client.chat.completions.create(model={body['model']!r}, messages={body['messages']!r})\n"
        "print(answer.choices[0].message.content)\n"
    )


PAGE = Page("/playground", "Playground", "Playground", "Ask, and see who is weighed, who is asked, and why it stops.", draw)
