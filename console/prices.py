"""Prices of LLMs as pages show and change them: two rates by hand, or what is published under a name."""

from typing import Any

from nicegui import ui

from console import dialogs, parts, words
from console.errors import ConsoleError
from console.frame import View


def rate(price: dict[str, Any], name: str) -> str:
    """USD per million tokens; `unknown` where nobody knows. A price without a rate is written as null or as not a number."""
    value = price.get(name)
    return words.per_million(value if value is not None and price.get("known", True) else None)


class PriceFields:
    """Two rates and the name under which they may be published; a published schedule is kept whole until a rate is changed by hand."""

    def __init__(self, view: View, price: dict[str, Any] | None = None) -> None:
        self._view, self._published = view, None
        known = price or {}
        with parts.box("wide row-flex").style("flex-wrap: nowrap; align-items: flex-start"):
            self.name = ui.input("Published as", placeholder="openai/gpt-4o-mini").props("outlined dense stack-label").classes("grow")
            parts.button("Look up", self.look_up, icon="search")
        self.input = ui.number("USD per 1M tokens in", value=known.get("input"), min=0, on_change=self._by_hand).props(
            "outlined dense stack-label"
        )
        self.output = ui.number("USD per 1M tokens out", value=known.get("output"), min=0, on_change=self._by_hand).props(
            "outlined dense stack-label"
        )
        self.about = ui.label().classes("faint wide")

    async def look_up(self) -> None:
        """Fills in what is published under the name."""
        try:
            found = await self._view.api.get("/admin/prices", name=self.name.value.strip())
        except ConsoleError as exc:
            self._published = None
            self.about.set_text(str(exc))
            return
        self.input.value, self.output.value = found["price"]["input"], found["price"]["output"]
        self._published = found["price"]
        more = [name.replace("_", " ") for name in found["price"] if name not in {"input", "output", "source", "as_of"}]
        self.about.set_text(f"Published as {found['published_as']}" + (f"; with {', '.join(more)}" if more else "") + ".")

    def entry(self) -> dict[str, Any] | None:
        """A pool entry's price; None where it is unknown."""
        if self._published is not None:
            return self._published
        if self.input.value is None or self.output.value is None:
            return None
        return {"input": float(self.input.value), "output": float(self.output.value)}

    def _by_hand(self) -> None:
        rates = (self.input.value, self.output.value)
        if self._published is not None and rates != (self._published["input"], self._published["output"]):
            self._published = None
            self.about.set_text("By hand.")


def reprice(view: View, llm: dict[str, Any], reload: Any) -> None:
    """A dialog that gives an LLM another price."""

    async def change() -> None:
        try:
            await view.api.patch(f"/admin/llms/{llm['id']}", {"price": fields.entry()})
        except ConsoleError as exc:
            parts.failure(exc)
            return
        dialog.close()
        parts.success(f"{llm['id']} has another price; servers follow within seconds.")
        await reload()

    about = "Servers follow within seconds, training at the next. Without rates the price is unknown."
    with dialogs.asking(f"Reprice {llm['id']}", about, does="Change the price", action=change) as dialog, parts.box("form"):
        fields = PriceFields(view, llm["price"])
