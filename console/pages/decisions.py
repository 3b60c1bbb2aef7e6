"""What was served: records, searched and filtered, the newest first."""

from typing import Any

from nicegui import ui

from console import parts, words
from console.frame import Page, View
from console.parts import Column
from console.region import Region

ANY = "any"
JUDGED = {ANY: "judged or not", "true": "judged", "false": "not judged"}
STATUS = {ANY: "any end", "ok": "answered", "error": "failed"}


def draw(view: View) -> None:
    """Filters, a page of records, and the way to older ones."""
    shown: dict[str, Any] = {"before": [None], "next": None}

    async def fetch() -> dict[str, Any]:
        llms = (await view.api.get("/admin/llms"))["llms"]
        llm.set_options({ANY: "any LLM", **{each["id"]: each["id"] for each in llms}})
        chosen = {"llm": llm.value, "status": status.value, "judged": judged.value}
        query = {name: value for name, value in chosen.items() if value != ANY}
        found = await view.api.get(
            "/admin/records", words=words_field.value, asked_by=key.value, before=shown["before"][-1], most=25, **query
        )
        shown["next"] = found["next"]
        older.set_enabled(found["next"] is not None)
        newer.set_enabled(len(shown["before"]) > 1)
        return dict(found)

    async def search() -> None:
        shown["before"] = [None]
        await found.reload()

    async def turn(older_ones: bool) -> None:
        if older_ones and shown["next"] is not None:
            shown["before"].append(shown["next"])
        elif not older_ones and len(shown["before"]) > 1:
            shown["before"].pop()
        await found.reload()

    asked_for = view.query.get("llm", ANY)
    with parts.card():
        with parts.box("row-flex").props("role=search"):
            words_field = (
                ui.input("Id, or words of the query", value=view.query.get("words", "")).props("outlined dense clearable").classes("grow")
            )
            words_field.on("keydown.enter", search)
            llm = ui.select({ANY: "any LLM", asked_for: asked_for}, value=asked_for, on_change=search).props(
                'outlined dense aria-label="LLM"'
            )
            status = ui.select(STATUS, value=ANY, on_change=search).props('outlined dense aria-label="End"')
            judged = ui.select(JUDGED, value=ANY, on_change=search).props('outlined dense aria-label="Judged"')
            key = ui.input("Key").props("outlined dense clearable")
            key.on("keydown.enter", search)
            parts.button("Search", search, icon="search", kind="first")
        found = Region(fetch, _records, lines=8)
        with parts.box("row-flex"):
            newer = parts.button("Newer", lambda: turn(False), icon="chevron_left", disabled=True)
            older = parts.button("Older", lambda: turn(True), icon="chevron_right", disabled=True)


def _records(found: dict[str, Any]) -> None:
    if not found["records"]:
        parts.empty("No record fits", "Widen the search, or ask something in the playground.", icon="search_off")
        return

    def query(record: dict[str, Any]) -> str | None:
        with parts.box().style("min-width: 0"):
            ui.label(record["text"] or "text not kept").classes("" if record["text"] else "faint")
            about = " · ".join(
                filter(None, (record["virtual_model"], record["domain"], record["asked_by"] and f"key {record['asked_by']}"))
            )
            ui.label(about).classes("faint")
        return None

    def outcome(record: dict[str, Any]) -> str | None:
        if record["status"] == "error":
            parts.chip("failed")
        elif record["score"] is None:
            return "–"
        else:
            parts.chip(f"{record['score']:.2f} by {record['source']}", "good" if record["score"] >= 0.5 else "bad")
        return None

    columns = (
        Column("When", lambda record: words.ago(record["created_at"]), lead=True),
        Column("Query", query),
        Column("Answered by", lambda record: record["llm"] or ("–" if record["status"] == "error" else "a synthesis")),
        Column("Judged", outcome),
        Column("Cost", lambda record: words.usd(record["cost_usd"]), number=True),
        Column("Time", lambda record: words.seconds(record["latency_s"]), number=True),
    )
    parts.table(columns, found["records"], label="Records", opens=lambda record: f"/decisions/{record['id']}")


PAGE = Page("/decisions", "Decisions", "Decisions", "Every request that was served, with what came of it.", draw)
