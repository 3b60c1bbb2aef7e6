"""Versions beside the champion: a shadow, which decides along and answers nobody, and a canary, which answers a part of the requests."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from console import dialogs, parts, words, work
from console.errors import NotOffered
from console.frame import View
from console.parts import Column
from console.region import Region
from console.work import Reload
from registry import intervals
from registry.version import CHAMPION, Version

SHADOW, CANARY = "/admin/scorer/shadow", "/admin/scorer/canary"
LOOK_S = 10.0
STATES: dict[str, parts.Tone] = {"goes on": "info", "worse": "bad", "not worse": "good"}
BY = {"session": "sessions", "key": "keys"}
THEN = {"wait": "waits for a person", "promote": "is promoted by itself"}
Found = dict[str, Any]


def draw(view: View, candidates: Sequence[Version]) -> None:
    """Both, side by side; nothing on a server that has neither. candidates: versions that may be tried."""

    async def fetch() -> Found:
        try:
            shadow, canary = await asyncio.gather(view.api.get(SHADOW), view.api.get(CANARY))
        except NotOffered:
            return {}
        return {"shadow": shadow, "canary": canary}

    names = {one.version: " · ".join([f"Version {one.version}", *one.aliases]) for one in candidates if CHAMPION not in one.aliases}
    region: Region[Found] = Region(fetch, lambda found: _draw(view, found, names, region.reload), every=LOOK_S, lines=0)


def _draw(view: View, found: Found, names: Mapping[str, str], reload: Reload) -> None:
    if not found:
        return
    with parts.box("grid-2"):
        with parts.card("Shadow", "Decides along on real requests; nobody gets its answers, nothing is asked for it"):
            _shadow(view, found["shadow"], names, reload)
        with parts.card("Canary", "Answers a part of the requests, and is stopped where it does harm"):
            _canary(view, found["canary"], names, reload)


def _refused(found: Found) -> None:
    if found["refused"]:
        with parts.box("banner bad").props("role=alert"):
            ui.icon("error_outline")
            ui.label(found["refused"]).classes("banner-text")


def _shadow(view: View, found: Found, names: Mapping[str, str], reload: Reload) -> None:
    async def stop() -> None:
        await work.done(view, view.api.delete(SHADOW), reload, f"Version {found['version']} is no shadow any more.")

    _refused(found)
    if found["version"] is None:
        with parts.empty("No shadow", "Try a version on real traffic at no risk.", icon="contrast"):
            parts.button("Start a shadow", lambda: _start_shadow(view, names, reload), icon="play_arrow", disabled=not names)
        return
    compared = found["comparison"]
    if compared is None:
        ui.label(f"Version {found['version']} decides along; no request has come since.").classes("faint")
    else:
        _compared(found, compared)
    with parts.box("row-flex card-foot"):
        parts.button("Stop the shadow", stop, icon="stop")


def _compared(found: Found, compared: Found) -> None:
    champion, challenger = compared["champion"], compared["challenger"]
    with parts.box("figures"):
        parts.figure("Agrees", words.share(compared["agreement"]), f"on {words.counted(compared['requests'], 'request')}")
        saved = challenger["usd"] - champion["usd"]
        tone: parts.Tone = "good" if saved < 0 else "bad" if saved > 0 else "plain"
        parts.figure("Would cost", words.usd(challenger["usd"]), f"{words.usd(champion['usd'])} by version {champion['version']}", tone)
        parts.figure(
            "Promises", words.score(challenger["promised"]), f"{words.score(champion['promised'])} by version {champion['version']}"
        )
    _rules(found)
    value = compared["value"]
    ui.label(f"Where both choose the same: {_estimated(value['agreed'])}.")
    if (everywhere := value["off_policy"]) is not None:
        ui.label(f"Everywhere, by exploration: {_by_exploration(everywhere)}")
    if value["why"]:
        ui.label(value["why"]).classes("faint")
    columns = (
        Column("First choice", lambda row: row["llm"], lead=True),
        Column(f"Version {champion['version']}", lambda row: words.count(row["champion"]), number=True),
        Column(f"Version {challenger['version']}", lambda row: words.count(row["challenger"]), number=True),
    )
    parts.table(columns, compared["by_llm"], label="First choices")
    left = [f"{words.counted(compared['not_scored'], 'request')} not decided"] if compared["not_scored"] else []
    left += [f"{compared['dropped']:,} left out under load"] if compared["dropped"] else []
    if left:
        ui.label("; ".join(left)).classes("faint")


def _rules(found: Found) -> None:
    """Says where the two versions are not served alike: then they differ by more than their scores."""
    by = found.get("served_by") or {}
    if by and by["champion"] != by["beside"]:
        both = f"Version {found['champion']} is served by {by['champion']}, version {found['version']} by {by['beside']}"
        ui.label(f"{both}: they differ by that, too.").classes("faint")


def _estimated(estimate: Mapping[str, Any]) -> str:
    if estimate.get("value") is None or estimate.get("low") is None:
        return str(estimate.get("why") or "too few answers were graded to tell")
    return f"quality {words.score(estimate['value'])} ({words.score(estimate['low'])} to {words.score(estimate['high'])})"


def _by_exploration(everywhere: Found) -> str:
    """What the shadow's choices are worth beside the champion's, or why that cannot be told."""
    if everywhere["why"]:
        return str(everywhere["why"])
    ours, theirs = everywhere["ours"], everywhere["theirs"]
    less = theirs["quality_difference"]
    found = f"quality in points {_points(theirs['quality'])}, version {everywhere['champion']}'s {_points(ours['quality'])}"
    if less["low"] is not None:
        found += f"; less that one {_points(less, signed=True)}"
    if theirs["usd"]["value"] is not None:
        found += (
            f"; {words.usd(theirs['usd']['value'])} a request ({words.usd(theirs['usd']['low'])} to {words.usd(theirs['usd']['high'])})"
        )
    rests = f"{words.counted(everywhere['requests'], 'request')}, {everywhere['explored']:,} drawn, {everywhere['audited']:,} audited"
    return f"{found}. From {rests}."


def _points(value: Mapping[str, Any], *, signed: bool = False) -> str:
    return intervals.points(value["value"], value["low"], value["high"], signed=signed)


def _start_shadow(view: View, names: Mapping[str, str], reload: Reload) -> None:
    async def start() -> None:
        dialog.close()
        await work.done(
            view, view.api.post(SHADOW, {"version": version.value}), reload, f"Version {version.value} decides along within 5 seconds."
        )

    about = "It is scored on every request beside the champion. What it would choose is kept; it asks no LLM and costs CPU alone."
    with dialogs.asking("Start a shadow?", about, does="Start it", action=start, leave="Not now") as dialog:
        version = _version(names)


def _version(names: Mapping[str, str]) -> ui.select:
    newest = max(names, key=int, default=None)
    return ui.select(dict(names), value=newest, label="Version").props("outlined").classes("w-full")


def _canary(view: View, found: Found, names: Mapping[str, str], reload: Reload) -> None:
    _refused(found)
    if found["version"] is None:
        with parts.empty("No canary", "Let a version answer a small part of the requests, watched.", icon="science"):
            parts.button("Start a canary", lambda: _start_canary(view, names, reload), icon="play_arrow", disabled=not names)
        return
    canary = found["canary"]
    if canary is None:
        ui.label(f"Version {found['version']} begins to answer.").classes("faint")
    else:
        _watched(found, canary)
    with parts.box("row-flex card-foot"):
        parts.button("Stop the canary", lambda: _stop_canary(view, found["version"], reload), icon="stop", kind="danger")


def _watched(found: Found, canary: Found) -> None:
    plan = canary["plan"]
    with parts.box("row-flex"):
        parts.chip(canary["state"], STATES.get(canary["state"], "plain"))
        ui.label(f"Version {found['version']} answers {words.share(plan['share'])} of the {BY.get(plan['by'], plan['by'])}.").classes(
            "faint"
        )
    ui.label(canary["sentence"])
    _rules(found)
    rows = (
        ("Requests", lambda side: words.count(canary["requests"][side])),
        ("Without an answer", lambda side: words.share(canary["failed"][side])),
        ("Cost of an answer", lambda side: words.usd(canary["cost_usd"][side])),
        ("Audits where they differ", lambda side: words.count(canary["audits"][side])),
        ("Mean grade of these", lambda side: words.score(canary["mean"][side])),
    )
    columns = (
        Column("", lambda row: row[0], lead=True),
        Column(f"Version {found['champion']}", lambda row: row[1]("champion"), number=True),
        Column(f"Version {found['version']}", lambda row: row[1]("canary"), number=True),
    )
    parts.table(columns, rows, label="Champion and canary")
    for name, odds in (("worse", canary["odds"]["worse"]), ("not worse", canary["odds"]["not_worse"])):
        with parts.box("stack").style("gap: 4px"):
            ui.label(f"Odds that it is {name}: {odds:.3g} of {canary['needed']:g} needed to tell").classes("faint")
            parts.bar(odds / canary["needed"], "bad" if name == "worse" else "good")


def _start_canary(view: View, names: Mapping[str, str], reload: Reload) -> None:
    async def start() -> None:
        body = {"version": version.value, "share": share.value / 100, "by": by.value, "harm": harm.value or 0, "then": then.value}
        dialog.close()
        await work.done(
            view,
            view.api.post(CANARY, body | ({"override": why.value.strip()} if why.value.strip() else {})),
            reload,
            f"Version {version.value} answers a part of the requests within 5 seconds.",
        )

    about = "It answers a part of the requests. As soon as it is surely worse than the champion it is stopped by itself."
    with dialogs.asking("Start a canary?", about, does="Start it", action=start, leave="Not now", wide=True) as dialog:
        version = _version(names)
        with parts.box("form"):
            share = ui.number("Percent of the requests", value=10, min=1, max=50).props("outlined dense stack-label")
            by = ui.select(BY, value="session", label="Divided by").props("outlined dense stack-label")
            harm = ui.number("Quality it may lose", value=0, min=0, max=1, step=0.01).props("outlined dense stack-label")
            then = ui.select(THEN, value="wait", label="Not worse: it").props("outlined dense stack-label")
        why = ui.input("Why, if its gate has not passed (optional)").props("outlined dense stack-label").classes("w-full")


def _stop_canary(view: View, version: str, reload: Reload) -> None:
    async def stop() -> None:
        dialog.close()
        await work.done(view, view.api.delete(CANARY, reason=why.value.strip()), reload, f"Version {version} answers nobody any more.")

    about = "The champion answers everything from then on. What was learned is kept with the version."
    with dialogs.asking(f"Stop the canary, version {version}?", about, does="Stop it", action=stop, kind="danger") as dialog:
        why = ui.input("Why (optional)").props("outlined").classes("w-full")
