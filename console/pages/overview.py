"""The first page: what was asked, what it cost and saved, how good it is, what the monitor says and what waits for a person."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from console import charts, parts, versions, words
from console import savings as ledger
from console.errors import NotOffered, ServerRefused
from console.frame import Page, View
from console.parts import Column
from console.region import Region
from registry.current_version import FIRST
from registry.errors import RegistryError
from registry.version import CHALLENGER

SPANS = {1.0: "last hour", 24.0: "last 24 hours", 24.0 * 7: "last 7 days", 24.0 * 30: "last 30 days"}
PARTS = {1.0: 30, 24.0: 24, 24.0 * 7: 28, 24.0 * 30: 30}
SHOWN_EVENTS = 8
FIGURES_S, LOOK_S = 30.0, 10.0  # between looks: the figures of 20,000 requests take the server 0.1 CPU s


@dataclass(frozen=True, slots=True)
class Todo:
    """Something that waits for a person, and the page on which it is done."""

    icon: str
    title: str
    about: str
    target: str


def draw(view: View) -> None:
    """The figures of a span of time, and beside them what does not depend on it."""
    chosen: dict[str, Any] = {"hours": 24.0, "by": "day", "baseline": None}

    async def figures() -> dict[str, Any]:
        hours = chosen["hours"]
        fetched = await view.api.get("/admin/traffic", hours=hours, parts=PARTS[hours])
        verdict, llms, savings = await asyncio.gather(
            view.api.get("/admin/verdict"), view.api.get("/admin/llms"), ledger.fetch(view, **chosen)
        )
        quality = await _estimate(view, hours / 24)
        return dict(fetched) | {"verdict": verdict, "llms": llms["llms"], "savings": savings, "quality": quality}

    async def choose(name: str, value: Any) -> None:
        chosen[name] = value
        await traffic.reload()

    with parts.box("row-flex"):
        span = ui.select(SPANS, value=24.0, on_change=lambda event: choose("hours", event.value)).props("outlined dense")
        span.props('aria-label="Span of time"')
    traffic = Region(figures, lambda fetched: _figures(view, fetched, choose), every=FIGURES_S, lines=5)
    with parts.card("Lately", "Events of the server"):
        Region(lambda: view.api.get("/admin/scorer"), _events, every=LOOK_S)


async def _estimate(view: View, days: float) -> dict[str, Any] | None:
    """Quality estimated from audits (`/admin/quality`), None where this server does not estimate it."""
    try:
        found = await view.api.get("/admin/quality", days=days)
    except NotOffered:
        return None
    return dict(found["all"]) | {"newest": found["newest"]}


def _figures(view: View, fetched: dict[str, Any], choose: Any) -> None:
    totals = fetched["totals"]
    verdict = fetched["verdict"]["verdict"]
    failed = totals["failed"] / totals["requests"] if totals["requests"] else 0.0
    with parts.box("figures"):
        parts.figure("Requests", words.count(totals["requests"]), f"{words.share(failed)} failed" if failed else "none failed")
        parts.figure("Spent", words.usd(totals["cost_usd"]), "failed attempts and judges included")
        ledger.figure(fetched["savings"])
        _quality(fetched["quality"] or _of_verdict(verdict))
        parts.figure("Half answered within", words.seconds(totals["p50_s"]), f"95 % within {words.seconds(totals['p95_s'])}")
    if verdict is not None:
        _verdict(verdict)
    with parts.box("grid-3"):
        with parts.card("Traffic"):
            if totals["requests"]:
                charts.over_time(fetched["over_time"], fetched["hours"])
            else:
                parts.empty("Nothing was asked in this time", "Ask in the playground, or send a request to the API.", icon="forum")
        with parts.card("Waits for a person", "What goes on only once somebody looks"):
            Region(lambda: _waiting(view), _draw_waiting, every=LOOK_S)
    if fetched["by_llm"]:
        with parts.card("Who answered"):
            parts.table(
                (
                    Column("LLM", lambda row: row["llm"] or "synthesis", lead=True),
                    Column("Share", lambda row: parts.measured(row["share"], words.share(row["share"]), "first")),
                    Column("Per 1,000", lambda row: words.usd(1_000 * row["mean_usd"]), number=True),
                ),
                fetched["by_llm"],
                label="Who answered",
            )
    ledger.draw(fetched["savings"], fetched["llms"], choose)


def _of_verdict(verdict: dict[str, Any] | None) -> dict[str, Any]:
    """The estimate of the monitor's last window, in the same form."""
    stats = {} if verdict is None else verdict["stats"]
    return {"promised": stats.get("promised")} | (stats.get("quality") or {"value": None})


def _quality(estimate: dict[str, Any]) -> None:
    promised = f"promised {words.score(estimate.get('promised'))}" if estimate.get("promised") is not None else "nothing was promised yet"
    if estimate["value"] is None or estimate.get("low") is None:
        parts.figure("Estimated quality", "–", f"too few answers were graded to tell; {promised}")
        return
    band = f"{words.score(estimate['low'])} to {words.score(estimate['high'])} (95 %)"
    newest = f", on the newest {estimate['newest']:,} answers" if estimate.get("newest") else ""
    parts.figure("Estimated quality", words.score(estimate["value"]), f"{band}; {promised}{newest}")


def _verdict(verdict: dict[str, Any]) -> None:
    kind = verdict["kind"]
    with parts.box(f"banner {parts.VERDICTS.get(kind, 'info')}"):
        parts.chip(kind, parts.VERDICTS.get(kind, "info"))
        with parts.box("banner-text"):
            ui.label(verdict["reasons"][0] if verdict["reasons"] else "No reason was given.")
            if len(verdict["reasons"]) > 1:
                ui.label(f"and {words.counted(len(verdict['reasons']) - 1, 'more reason')}").classes("faint")
        parts.link("Review drift", "/drift")


async def _waiting(view: View) -> list[Todo]:
    """What waits, what a person decides first."""
    jobs, llms = await asyncio.gather(view.api.get("/admin/jobs"), view.api.get("/admin/llms"))
    new = [llm["id"] for llm in llms["llms"] if llm["status"] == "active" and not llm["in_roster"]]
    joining = [Todo("hub", f"{words.counted(len(new), 'LLM')} not routed to yet", ", ".join(new[:6]), "/pool")] if new else []
    return [*await _challengers(view), *await _to_grade(view), *_jobs(jobs["jobs"]), *joining]


async def _challengers(view: View) -> list[Todo]:
    try:
        listed = await versions.listed(view.settings)
    except RegistryError:
        return [Todo("cloud_off", "MLflow does not answer", "Versions cannot be seen or promoted.", "/scorers")]
    return [
        Todo("military_tech", f"Version {version.version} waits to be promoted", f"Its gate: {version.gate}", "/scorers")
        for version in listed
        if CHALLENGER in version.aliases
    ]


async def _to_grade(view: View) -> list[Todo]:
    try:
        waiting = (await view.api.get("/v1/audits", limit=1))["waiting"]
    except ServerRefused:  # no such queue on this server, or the key may not grade
        return []
    return [Todo("fact_check", f"{words.counted(waiting, 'answer')} to grade", "Drawn for an audit", "/drift/audits")] if waiting else []


def _jobs(jobs: list[dict[str, Any]]) -> list[Todo]:
    running = [
        Todo("autorenew", f"Job {job['id']} runs", f"{job['step']} ({job['progress']:.0%})", f"/jobs/{job['id']}")
        for job in jobs
        if job["state"] == "running"
    ]
    failed = [
        Todo("error_outline", f"Job {job['id']} failed", job["error"] or "", f"/jobs/{job['id']}")
        for job in jobs[:1]  # the newest
        if job["state"] == "failed"
    ]
    return [*running, *failed]


def _draw_waiting(waiting: list[Todo]) -> None:
    if not waiting:
        parts.empty("Nothing waits for you", icon="check_circle")
    for each in waiting:
        with parts.attribute(parts.box("todo", "a"), "href", each.target):
            ui.icon(each.icon)
            with parts.box("todo-body"):
                ui.label(each.title).classes("todo-title")
                ui.label(each.about[:160]).classes("faint")
            ui.icon("chevron_right")


def _events(scorer: dict[str, Any]) -> None:
    if scorer["refused"]:
        with parts.box("banner bad"):
            ui.label(scorer["refused"])
    elif scorer["version"] is None:
        with parts.box("banner"):
            ui.label(f"No scorer version is promoted yet. {FIRST}")
    if not scorer["events"]:
        parts.empty("Nothing happened yet", icon="history")
    with parts.box("events"):
        _listed(scorer["events"][:SHOWN_EVENTS])


def _listed(events: list[dict[str, Any]]) -> None:
    for event in events:
        about = " · ".join(
            _plain(value) for name, value in event.items() if name not in {"event", "at"} and value not in (None, "", {}, [])
        )
        with parts.box("stack").style("gap: 0"):
            with parts.box("row-flex"):
                ui.label(_spaced(event["event"])).style("font-weight: 550")
                ui.label(words.ago(event["at"])).classes("faint")
            ui.label(about[:200]).classes("faint")


def _spaced(name: str) -> str:
    """`ScorerSwapped` as `Scorer swapped`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items() if inner is not None)
    if isinstance(value, list):
        return (" " if all(str(each).endswith(".") for each in value) else ", ").join(map(str, value))
    return str(value)


PAGE = Page("/", "Overview", "Overview", "What was asked, what it cost, how good it was, and what waits for you.", draw)
