"""The form by which an LLM joins: probed and priced first, registered and trained on once a person has seen what that costs."""

from typing import Any

from nicegui import ui

from console import parts, words
from console.errors import ConsoleError
from console.frame import Page, View
from console.prices import PriceFields

CAPABILITIES = ["tools", "vision", "json"]


def draw(view: View) -> None:
    """The form, and beside it what the probe said."""
    with parts.box("grid-2"):
        with parts.card("The LLM", "Any OpenAI-compatible endpoint"), parts.box("form"):
            fields = _Fields(view)
        with parts.card("Before it joins", "One short question is asked; nothing is written yet"):
            result = parts.box("stack")
            with result:
                parts.empty("Not probed yet", "Fill in the form, then probe it.", icon="network_ping")
            buttons = parts.box("row-flex")

    async def probe() -> None:
        probing.props("loading")
        joining.set_enabled(False)
        result.clear()
        try:
            checked = await view.api.post("/admin/llms/check", fields.entry())
        except ConsoleError as exc:
            with result:
                _refused(exc)
            return
        finally:
            probing.props(remove="loading")
        with result:
            _checked(checked)
        joining.set_enabled(True)

    async def join() -> None:
        joining.props("loading")
        try:
            joined = await view.api.post("/admin/llms", fields.entry())
        except ConsoleError as exc:
            parts.failure(exc)
            return
        finally:
            joining.props(remove="loading")
        ui.navigate.to(f"/jobs/{joined['job']['id']}")

    with buttons:
        probing = parts.button("Probe it", probe, icon="network_ping", kind="first")
        joining = parts.button("Register and train", join, icon="rocket_launch", disabled=True)


class _Fields:
    def __init__(self, view: View) -> None:
        self.id = ui.input("Id", placeholder="my-llm").props('outlined dense stack-label hint="a-z, 0-9 and -"')
        self.name = ui.input("Name for people (optional)").props("outlined dense stack-label")
        self.base_url = ui.input("Address", placeholder="http://127.0.0.1:8000/v1").props("outlined dense stack-label").classes("wide")
        self.served_name = ui.input("What that server calls it").props("outlined dense stack-label")
        self.key_variable = ui.input("Variable with its key (optional)", placeholder="OPENAI_API_KEY").props("outlined dense stack-label")
        self.price = PriceFields(view)
        self.capabilities = ui.select(CAPABILITIES, multiple=True, label="It can (optional)", value=[]).props(
            "outlined dense stack-label use-chips"
        )
        self.max_tokens = ui.number("Longest answer, tokens", value=1024, min=1, precision=0).props("outlined dense stack-label")
        self.queries = ui.number("Queries to ask it", value=400, min=1, precision=0).props(
            'outlined dense stack-label hint="of the query pool"'
        )
        self.jointly = ui.checkbox("Train all LLMs together").tooltip("Asks it every query and trains the whole scorer anew.")

    def entry(self) -> dict[str, Any]:
        """The body of POST /admin/llms."""
        variable = self.key_variable.value.strip()
        endpoint = {"base_url": self.base_url.value.strip(), "served_name": self.served_name.value.strip(), "api_key_env": variable or None}
        made: dict[str, Any] = {"id": self.id.value.strip(), "endpoint": endpoint, "price": self.price.entry()}
        if self.name.value.strip():
            made["name"] = self.name.value.strip()
        if self.capabilities.value:
            made["capabilities"] = list(self.capabilities.value)
        if self.max_tokens.value:
            made["decoding"] = {"max_tokens": int(self.max_tokens.value)}
        if self.jointly.value:
            return made | {"trained": "jointly"}
        return made | ({"max_training_queries": int(self.queries.value)} if self.queries.value else {})


def _checked(checked: dict[str, Any]) -> None:
    with parts.box("banner good"):
        ui.icon("check_circle")
        ui.label(f"{checked['llm']['id']} answered its probe.").classes("banner-text")
    asking = checked["asking"]
    if asking is None:
        ui.label("This server has no queries to ask it, so what joining costs is not known; it joins all the same.").classes("faint")
        return
    with parts.box("figures"):
        parts.figure("Expected cost", words.usd(asking["usd"]), f"at most {words.usd(asking['most_usd'])}")
        parts.figure("Queries", words.count(asking["queries"]), f"of {words.count(asking['of'])}")
    ui.label(checked["says"]).classes("faint")


def _refused(error: ConsoleError) -> None:
    with parts.box("banner bad").props("role=alert"):
        ui.icon("error_outline")
        with parts.box("banner-text"):
            ui.label(error.what)
            if error.next_step:
                ui.label(error.next_step).classes("faint")


PAGE = Page(
    "/pool/register", "Pool", "Register an LLM", "It is probed, asked some queries, and a scorer version that knows it is trained.", draw
)
