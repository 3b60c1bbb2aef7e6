"""The savings ledger: what routing cost and saved by day, key or domain, net of everything, and what it did to quality."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from nicegui import ui

from console import charts, parts, words
from console.errors import NotOffered
from console.frame import View
from console.parts import Column

BY = {"day": "Day", "key": "Key", "domain": "Domain"}
SHOWN = 14  # rows, the newest days or the dearest keys and domains
Row = dict[str, Any]


async def fetch(view: View, *, hours: float, by: str, baseline: str | None) -> Row | None:
    """The ledger of the last days, at least a week; None on a server without one."""
    since = (datetime.now(UTC) - timedelta(days=max(hours / 24, 7.0) - 1)).date().isoformat()
    try:
        return dict(await view.api.get("/admin/savings", since=since, by=by, baseline=baseline))
    except NotOffered:
        return None


def figure(found: Row | None) -> None:
    """The ledger's total as one number."""
    if found is None:
        parts.figure("Saved, net", "–", "this server keeps no savings ledger")
        return
    saved, baseline, days = found["total"]["saved_usd"], found["baseline"], f"{found['since']} to {found['until']} (UTC)"
    if saved is None:
        parts.figure("Saved, net", "–", f"nothing to compare with {baseline or 'anybody'}, {days}")
        return
    tone: parts.Tone = "good" if saved > 0 else "bad" if saved < 0 else "plain"
    parts.figure("Saved, net", words.usd(saved), f"{_share(found['total'])} against always {baseline}, {days}".strip(), tone)


def draw(found: Row | None, llms: list[dict[str, Any]], choose: Callable[[str, Any], Any]) -> None:
    """Its lines; choose: called with `by` or `baseline` and what a person picked."""
    if found is None or not found["rows"]:
        return
    total, baseline = found["total"], found["baseline"]
    about = f"{found['since']} to {found['until']} (UTC); {total['compared']:,} of {total['routed']:,} routed requests compared"
    with parts.card("Savings ledger", about):
        with parts.box("row-flex"):
            by = ui.toggle(BY, value=found["by"], on_change=lambda event: choose("by", event.value)).props("no-caps unelevated dense")
            parts.attribute(by, "aria-label", "Savings by")
            names = sorted({llm["id"] for llm in llms if llm["status"] == "active"} | ({baseline} if baseline else set()))
            picked = ui.select(
                names, value=baseline, label="Against always asking", on_change=lambda event: choose("baseline", event.value)
            )
            picked.props("outlined dense").style("min-width: 220px")
        if found["by"] == "day" and len(found["rows"]) > 1:
            charts.savings(found["rows"])
        rows = found["rows"][-SHOWN:][::-1] if found["by"] == "day" else found["rows"][:SHOWN]
        parts.table(_columns(found["by"]), [*rows, total], label="Savings ledger")
        ui.label(f"{found['assumed'][:1].upper()}{found['assumed'][1:].rstrip('.')}.").classes("faint")


def _columns(by: str) -> tuple[Column, ...]:
    return (
        Column(BY[by], lambda row: row["name"] or "–", lead=True),
        Column("Requests", lambda row: words.count(row["requests"]), number=True),
        Column("Spent", lambda row: words.usd(row["spent_usd"]), number=True),
        Column("Would have cost", lambda row: words.usd(row["baseline_usd"]), number=True),
        Column("Saved, net", _saved, number=True),
        Column("Quality", _quality, number=True),
    )


def _saved(row: Row) -> str | None:
    if row["saved_usd"] is None:
        return "–"
    share = f" ({_share(row)})" if _share(row) else ""
    parts.text(f"{words.usd(row['saved_usd'])}{share}", "good-text" if row["saved_usd"] > 0 else "bad-text" if row["saved_usd"] < 0 else "")
    return None


def _share(row: Row) -> str:
    return "" if row["saved_share"] is None else words.share(row["saved_share"]).replace("-", "−")


def _quality(row: Row) -> str | None:
    quality = row["quality"]
    if quality["change"] is None:
        with parts.text("not known", "faint"):
            ui.tooltip(quality["why"] or "too few answers were graded")
        return None
    band = "" if quality["low"] is None else f" ({words.gain(quality['low'])} to {words.gain(quality['high'])})"
    with parts.text(f"{words.gain(quality['change'])}{band}"):
        if quality["why"]:
            ui.tooltip(quality["why"])
    return None
