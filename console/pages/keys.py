"""API keys: what each may do and spend and what it spent; made, shown once, revoked."""

from typing import Any
from urllib.parse import quote

from nicegui import ui

from console import dialogs, parts, words
from console.errors import ConsoleError
from console.frame import Page, View
from console.parts import Column
from console.region import Region

SCOPES = {
    "chat": "ask",
    "feedback": "report outcomes",
    "audit": "grade audits",
    "admin": "see and change everything",
    "metrics": "read metrics",
}


def draw(view: View) -> None:
    """The form, then the keys."""

    async def reload() -> None:
        await listed.reload()

    with parts.card("Create a key", "It is shown once; the server keeps a hash of it"):
        _create(view, reload)
    with parts.card("Keys", "Spending is of this UTC day and month"):
        listed = Region(lambda: view.api.get("/admin/keys"), lambda fetched: _keys(view, fetched, reload), every=15.0, lines=4)


def _create(view: View, reload: Any) -> None:
    async def create() -> None:
        wanted: dict[str, Any] = {"name": name.value.strip(), "scopes": list(scopes.value)}
        numbers = {"usd_per_day": day, "usd_per_month": month, "requests_per_minute": requests, "tokens_per_minute": tokens}
        wanted |= {
            field: int(each.value) if field.endswith("minute") else float(each.value) for field, each in numbers.items() if each.value
        }
        if days.value:
            wanted["expires_in_days"] = float(days.value)
        if llms.value.strip():
            wanted["llms"] = [each.strip() for each in llms.value.split(",") if each.strip()]
        shown.clear()
        try:
            made = await view.api.post("/admin/keys", wanted)
        except ConsoleError as exc:
            with shown, parts.box("banner bad").props("role=alert"):
                ui.icon("error_outline")
                ui.label(str(exc)).classes("banner-text")
            return
        with shown:
            _made(made, shown)
        name.value = ""
        await reload()

    with parts.box("form"):
        name = ui.input("Name", placeholder="support-bot").props("outlined dense stack-label")
        scopes = ui.select({scope: f"{scope}: {about}" for scope, about in SCOPES.items()}, multiple=True, value=["chat"], label="May")
        scopes.props("outlined dense stack-label use-chips")
    with ui.expansion("Limits and expiry", icon="tune").classes("w-full").props("dense"), parts.box("form").style("padding-top: 12px"):
        day = ui.number("USD a day", min=0).props("outlined dense stack-label")
        month = ui.number("USD a month", min=0).props("outlined dense stack-label")
        requests = ui.number("Requests a minute", min=1, precision=0).props("outlined dense stack-label")
        tokens = ui.number("Tokens a minute", min=1, precision=0).props("outlined dense stack-label")
        days = ui.number("Expires in days", min=0).props("outlined dense stack-label")
        llms = ui.input("Only these LLMs, with commas", placeholder="all").props("outlined dense stack-label")
    with parts.box("row-flex"):
        parts.button("Create the key", create, icon="add", kind="first")
    shown = parts.box("stack")


def _made(made: dict[str, Any], shown: Any) -> None:
    async def copy() -> None:
        ui.clipboard.write(made["key"])
        parts.success("Copied.")

    with parts.box("banner good"):
        with parts.box("banner-text"):
            ui.label(f"The key {made['name']}, shown this once:").style("font-weight: 550")
            ui.label(made["key"]).classes("mono").props('data-testid="new-key"')
        parts.button("Copy", copy, icon="content_copy")
        parts.button("I have it", shown.clear)


def _keys(view: View, fetched: dict[str, Any], reload: Any) -> None:
    if not fetched["keys"]:
        parts.empty("No key yet", icon="key")
        return

    def scopes(key: dict[str, Any]) -> str | None:
        with parts.box("row-flex").style("gap: 5px"):
            for scope in key["scopes"]:
                parts.chip(scope, "info" if scope == "admin" else "plain")
        return None

    def revoke(key: dict[str, Any]) -> str | None:
        parts.button("Revoke", lambda: _revoke(view, key["name"], reload), kind="danger")
        return None

    columns = (
        Column("Name", lambda key: key["name"], lead=True),
        Column("May", scopes),
        Column("Today", lambda key: _spent(key["day"], key["usd_per_day"]), number=True),
        Column("This month", lambda key: _spent(key["month"], key["usd_per_month"]), number=True),
        Column("A minute", _rates),
        Column("Last used", lambda key: words.ago(key["last_used"]) if key["last_used"] else "not this month"),
        Column("Expires", lambda key: words.moment(key["expires_at"]) if key["expires_at"] else "never"),
        Column("", revoke),
    )
    parts.table(columns, fetched["keys"], label="API keys")
    platform = fetched["platform"]
    if platform["usd_per_day"] or platform["usd_per_month"]:
        together = (
            f"{_spent(platform['day'], platform['usd_per_day'])} today, {_spent(platform['month'], platform['usd_per_month'])} this month"
        )
        ui.label(f"All keys together: {together}.").classes("faint")


def _spent(spend: dict[str, Any], limit: float | None) -> str:
    return words.usd(spend["spent_usd"]) + ("" if limit is None else f" of {words.usd(limit)}")


def _rates(key: dict[str, Any]) -> str:
    limits = ((key["requests_per_minute"], "requests"), (key["tokens_per_minute"], "tokens"))
    return ", ".join(f"{limit:,} {what}" for limit, what in limits if limit) or "unlimited"


def _revoke(view: View, name: str, reload: Any) -> None:
    async def revoke() -> None:
        dialog.close()
        try:
            await view.api.delete(f"/admin/keys/{quote(name, safe='')}")
        except ConsoleError as exc:
            parts.failure(exc)
            return
        parts.success(f"{name} is revoked; servers follow within half a second.")
        await reload()

    about = "Whoever uses it is refused from now on. It cannot be undone."
    with dialogs.asking(f"Revoke {name}?", about, does="Revoke", action=revoke, kind="danger", leave="Keep it") as dialog:
        pass


PAGE = Page("/keys", "Keys", "Keys", "Who may ask, for how much, and what it came to.", draw)
