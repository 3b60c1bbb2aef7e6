"""The savings ledger: what routing cost and saved by day, key or domain, net of everything, and what it did to quality."""

from datetime import UTC, datetime, timedelta
from typing import Any

from nicegui import ui

from console import charts, parts, words
from console.errors import NotOffered
from console.frame import View
from console.parts import Column
from console.region import Region

BY = {"day": "Day", "key": "Key", "domain": "Domain"}
LOOK_S = 60.0
SHOWN = 14  # rows, the newest days or the dearest keys and domains
Row = dict[str, Any]


def draw(view: View, *, hours: float, baseline: str | None) -> None:
    """The ledger of the last days, at least a week; nothing on a server without one."""
    since = (datetime.now(UTC) - timedelta(days=max(hours / 24, 7.0) - 1)).date().isoformat()
    chosen = {"by": "day"}

    async def fetch() -> Row:
        try:
            return dict(await view.api.get("/admin/savings", since=since, by=chosen["by"], baseline=baseline))
        except NotOffered:
            return {}

    async def choose(by: str) -> None:
        chosen["by"] = by
        await region.reload()

    region: Region[Row] = Region(fetch, lambda found: _draw(found, choose), every=LOOK_S, lines=0)


def _draw(found: Row, choose: Any) -> None:
    if not found or not found["rows"]:
        return
    against = f"Against always asking {found['baseline']}, {found['since']} to {found['until']} (UTC)" if found["baseline"] else ""
    with parts.card("Savings ledger", against):
        by = ui.toggle(BY, value=found["by"], on_change=lambda event: choose(event.value)).props("no-caps unelevated dense")
        parts.attribute(by, "aria-label", "Savings by")
        if found["by"] == "day" and len(found["rows"]) > 1:
            charts.savings(found["rows"])
        rows = found["rows"][-SHOWN:][::-1] if found["by"] == "day" else found["rows"][:SHOWN]
        parts.table(_columns(found["by"]), [*rows, found["total"]], label="Savings ledger")
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
    share = "" if row["saved_share"] is None else f" ({words.share(row['saved_share'])})".replace("-", "−")
    parts.text(f"{words.usd(row['saved_usd'])}{share}", "good-text" if row["saved_usd"] > 0 else "bad-text" if row["saved_usd"] < 0 else "")
    return None


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
