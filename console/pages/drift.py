"""What changed: the verdict with its reasons, the groups of unknown queries with examples, quality by domain; and what to do about it."""

import asyncio
from typing import Any

from nicegui import ui

from console import charts, groups, parts, retraining, words
from console.errors import ServerRefused
from console.frame import Page, View
from console.parts import Column
from console.region import Region

LOOK_S = 15.0
MOST_LOOKS, SHOWN_LOOKS = 60, 8  # in the chart, in the table
BY = {"domain": "Domain", "llm": "LLM", "version": "Scorer version", "key": "Key"}


def draw(view: View) -> None:
    """The verdict and groups, then estimated quality."""

    async def latest() -> dict[str, Any]:
        found, scorer, known = await asyncio.gather(*map(view.api.get, ("/admin/verdict", "/admin/scorer", "/admin/groups")))
        left = {each["name"] for each in known["named"] if each["state"] == "left"}
        open_groups = [group["name"] for group in known["groups"] if group["name"] not in left]
        return dict(found) | {"serving": scorer["version"], "waiting": await _waiting(view), "open_groups": open_groups}

    Region(latest, lambda found: _latest(view, found), every=LOOK_S, lines=8)
    Region(lambda: view.api.get("/admin/gains"), _gained, every=LOOK_S, lines=0)
    with parts.card("What the unknown is", "Queries that are unlike all labelled ones, grouped by what they have in common"):
        unknown: Region[dict[str, Any]] = Region(
            lambda: view.api.get("/admin/groups"), lambda found: groups.draw(view, found, unknown.reload), every=LOOK_S
        )
    with parts.card("Looks so far", "What the monitor said each time, the newest first"):
        Region(lambda: view.api.get("/admin/verdicts", limit=MOST_LOOKS), lambda found: _looks(found["verdicts"]), every=LOOK_S)
    with parts.card("By domain", "As callers tag their requests, else by the nearest labelled queries"):
        Region(lambda: view.api.get("/admin/verdict"), lambda found: _domains(found["verdict"]), every=LOOK_S)
    with parts.card("Estimated quality", "From audited answers, corrected by the chance with which each was drawn; 95 % intervals"):
        by = ui.toggle(BY, value="domain").props("no-caps unelevated dense")
        quality: Region[dict[str, Any]] = Region(lambda: view.api.get("/admin/quality"), lambda found: _quality(found, by.value), lines=3)
        by.on_value_change(quality.reload)


async def _waiting(view: View) -> int | None:
    """Answers to grade, None where this server or this key has no queue."""
    try:
        return int((await view.api.get("/v1/audits", limit=1))["waiting"])
    except ServerRefused:
        return None


def _latest(view: View, latest: dict[str, Any]) -> None:
    verdict = latest["verdict"]
    if verdict is None:
        parts.empty(
            "The monitor has not looked yet", "It looks once enough was asked; the command “routemoa report” looks now.", icon="radar"
        )
    else:
        _verdict(view, verdict, latest)
        with parts.box("figures"):
            _figures(verdict["stats"], latest["waiting"])


def _verdict(view: View, verdict: dict[str, Any], latest: dict[str, Any]) -> None:
    kind = verdict["kind"]
    tone = parts.VERDICTS.get(kind, "info")
    with parts.card():
        with parts.box("row-flex"):
            parts.heading("Verdict")
            parts.chip(kind, tone)
            stats = verdict["stats"]
            ui.label(f"scorer version {stats['scorer_version']}, {latest['at'].replace('T', ' ')[:16]} UTC").classes("faint")
            if latest["serving"] != stats["scorer_version"]:
                parts.chip(f"version {latest['serving']} serves by now", "warn")
        with parts.box("reasons", "ul"):
            for reason in verdict["reasons"]:
                with parts.box(tag="li"):
                    ui.icon("check" if kind == "keep" else "info" if kind == "too-little-data" else "priority_high").classes(tone)
                    ui.label(reason)
        with parts.box("row-flex"):
            if latest.get("job"):
                parts.button("Its retraining", lambda: ui.navigate.to(f"/jobs/{latest['job']}"), icon="autorenew", kind="first")
            parts.button(
                "Retrain now",
                lambda: retraining.ask(view, latest["open_groups"], f"verdict {kind}, by a person"),
                icon="model_training",
                kind="first" if kind in {"retrain", "watch"} and not latest.get("job") else "",
            )
            if latest["waiting"]:
                parts.button(
                    f"Grade {words.counted(latest['waiting'], 'answer')}", lambda: ui.navigate.to("/drift/audits"), icon="fact_check"
                )
            report = latest.get("report")
            if report:
                target = f"{view.settings.evidently_url.rstrip('/')}/projects/{report['project']}/reports/{report['run']}"
                parts.link("Report in Evidently ↗", target, away=True)


def _figures(stats: dict[str, Any], waiting: int | None) -> None:
    parts.figure("Queries looked at", words.count(stats["n"]), f"{words.count(stats['distinct'])} distinct")
    novel = "warn" if stats["novel_low"] > stats["novel_expected"] else "plain"
    about = f"surely over {words.share(stats['novel_low'])}, expected {words.share(stats['novel_expected'])}"
    parts.figure("Unlike anything labelled", words.share(stats["novel_share"]), about, novel)  # type: ignore[arg-type]
    wrong = stats.get("mispredictions")
    about = "nothing was audited" if wrong is None else f"of {words.counted(wrong['n'], 'audited answer')}"
    parts.figure("Mispredicted", words.share(None if wrong is None else wrong["share"]), about)
    parts.figure("To grade", words.count(waiting), "not available here" if waiting is None else "drawn for audits")


def _domains(verdict: dict[str, Any] | None) -> None:
    if verdict is None:
        parts.empty("The monitor has not looked yet", icon="category")
        return

    def novel(domain: dict[str, Any]) -> None:
        share = domain["novel"] / domain["n"] if domain["n"] else 0.0
        parts.measured(share, words.share(share), "bad" if domain["novel_low"] >= 0.5 else "")

    columns = (
        Column("Domain", lambda domain: domain["name"], lead=True),
        Column("Queries", lambda domain: words.count(domain["n"]), number=True),
        Column("Novel", novel),
        Column("Promised", lambda domain: words.score(domain["promised"]), number=True),
        Column("Audited", lambda domain: words.count(domain["audited"]), number=True),
        Column("Mispredicted", lambda domain: words.share(domain["mispredicted"]), number=True),
    )
    parts.table(columns, verdict["stats"]["domains"], label="Domains of the last window")


def _quality(found: dict[str, Any], by: str) -> None:
    rows = sorted(found["by"].get(by, {}).items(), key=lambda row: -row[1]["answers"])
    if not rows:
        parts.empty("No answer in this time", icon="query_stats")
        return

    def known(row: tuple[str, dict[str, Any]]) -> bool:
        return row[1]["value"] is not None and row[1]["low"] is not None

    def band(row: tuple[str, dict[str, Any]]) -> str | None:
        if not known(row):
            return str(row[1]["why"] or "too few were graded to tell")
        parts.band(row[1]["low"], row[1]["value"], row[1]["high"], row[1]["promised"])
        return None

    columns = (
        Column(BY[by], lambda row: row[0], lead=True),
        Column("Estimated", lambda row: words.score(row[1]["value"] if known(row) else None), number=True),
        Column("0 to 1, with its band; | is what was promised", band),
        Column("Promised", lambda row: words.score(row[1]["promised"]), number=True),
        Column("Answers", lambda row: words.count(row[1]["answers"]), number=True),
        Column("Audited", lambda row: words.count(row[1]["audited"]), number=True),
        Column("Cost", lambda row: words.usd(row[1]["cost_usd"]), number=True),
    )
    parts.table(columns, [("all", found["all"]), *rows], label="Estimated quality")
    if found["newest"]:
        parts.text(f"Of the newest {found['newest']:,} answers of this time alone", "faint", "div")


def _gained(found: dict[str, Any]) -> None:
    """The last retraining that somebody can learn from; nothing before there is one."""
    if not found["gains"]:
        return
    last = found["gains"][0]
    with parts.card("What the last retraining bought", retraining.heading(last)):
        retraining.gained(last)
        with parts.box("row-flex"):
            parts.link("Its job", f"/jobs/{last['job']}")
            parts.link("Scorer versions", "/scorers")


def _looks(looks: list[dict[str, Any]]) -> None:
    """The newest first."""
    if not looks:
        parts.empty("The monitor has not looked yet", icon="timeline")
        return
    if len(looks) > 1:
        charts.looks(looks[::-1])

    def verdict(look: dict[str, Any]) -> str | None:
        parts.chip(look["kind"], parts.VERDICTS.get(look["kind"], "info"))
        return None

    def why(look: dict[str, Any]) -> str | None:
        with parts.box().style("min-width: 0"):
            ui.label(look["reasons"][0] if look["reasons"] else "–")
            if look["job"]:
                parts.link("Its retraining", f"/jobs/{look['job']}")
        return None

    def quality(look: dict[str, Any]) -> str:
        found = look["figures"].get("quality")
        if found is None or found["low"] is None:
            return "–"
        return f"{words.score(found['value'])} ({words.score(found['low'])} to {words.score(found['high'])})"

    columns = (
        Column("When", lambda look: words.moment(look["at"]).removesuffix(" UTC"), lead=True),
        Column("Verdict", verdict),
        Column("Version", lambda look: look["scorer_version"], number=True),
        Column("Queries", lambda look: words.count(look["figures"].get("n")), number=True),
        Column("Novel", lambda look: words.share(look["figures"].get("novel_share")), number=True),
        Column("Estimated quality", quality, number=True),
        Column("Why", why),
    )
    parts.table(columns, looks[:SHOWN_LOOKS], label="Looks of the monitor")


PAGE = Page("/drift", "Drift", "Drift", "What is asked that was not asked before, and whether promises are kept.", draw)
