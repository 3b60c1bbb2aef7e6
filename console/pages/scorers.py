"""Scorer versions: the champion and its challengers side by side, why the gate says so, quality against cost; promoted and rolled back."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from nicegui import ui

from console import charts, parts, promotion, versions, words
from console.frame import Page, View
from console.parts import Column
from console.region import Region
from registry.version import CHALLENGER, CHAMPION, PREVIOUS, ROLLED_BACK, Version

LOOK_S = 10.0
BASELINES = {"best_single": "best single LLM", "cheapest": "cheapest", "random": "random", "oracle": "oracle"}
ALIASES: dict[str, parts.Tone] = {CHAMPION: "good", CHALLENGER: "info", PREVIOUS: "plain"}
CERTIFICATE = "certificate"  # the tag in which a version carries one
SIDE_BY_SIDE = 2
LONGEST_REASON = 110  # characters of what a version was made for
WORSE = re.compile(
    r"(?<!not )(?<!clearly )\bworse\b(?! by more)|nothing can be compared|not shown to be better|label more"
)  # in a reason of a gate that failed
PER = 1_000  # queries that a cost is stated for


@dataclass(frozen=True, slots=True)
class Shown:
    """What MLflow and the server say. figures: headline figures by version number. serving: the version that the server serves."""

    versions: tuple[Version, ...]
    figures: dict[str, dict[str, float]]
    serving: str | None


def draw(view: View) -> None:
    """Versions side by side, then all of them."""

    async def fetch() -> Shown:
        scorer = await view.api.get("/admin/scorer")  # first: a key that may not see it sees no version either
        every = await versions.listed(view.settings)
        beside = _beside(every)
        figures = await asyncio.gather(*(versions.figures(view.settings, each) for each in beside))
        return Shown(tuple(every), {each.version: found for each, found in zip(beside, figures, strict=True)}, scorer["version"])

    shown: Region[Shown] = Region(fetch, lambda fetched: _draw(view, fetched, shown.reload), every=LOOK_S, lines=8)


def _beside(every: list[Version]) -> list[Version]:
    """The champion and the newest versions that may replace it."""
    champion = [one for one in every if CHAMPION in one.aliases]
    newest = [one for one in every if one not in champion and ROLLED_BACK not in one.tags and PREVIOUS not in one.aliases]
    challengers = sorted(newest, key=lambda one: (CHALLENGER not in one.aliases, -int(one.version)))
    if champion:
        challengers = [one for one in challengers if CHALLENGER in one.aliases or int(one.version) > int(champion[0].version)]
    return [*champion, *challengers[: SIDE_BY_SIDE - len(champion)]]


def _draw(view: View, shown: Shown, reload: Any) -> None:
    if not shown.versions:
        parts.empty("No scorer version yet", "Registering an LLM makes one; so does the command “dvc repro”.", icon="military_tech")
        return
    beside = _beside(list(shown.versions))
    with parts.box("grid-2"):
        for version in beside:
            _card(view, version, shown, reload)
        if len(beside) == 1:
            with parts.card("Challenger"):
                parts.empty(
                    "Nothing waits to replace it", "Retraining, or registering an LLM, makes the next version.", icon="hourglass_empty"
                )
    points, lines = list(_points(beside, shown.figures)), _lines(beside, shown.figures)
    challenger = next((one for one in beside if CHAMPION not in one.aliases), None)
    gains = [] if challenger is None else versions.by_domain(challenger)
    with parts.box("grid-2" if points and gains else "stack"):
        if points:
            with parts.card("Quality against cost", "On test queries; dashed: what choosing otherwise would come to"):
                charts.quality_cost(points, lines)
        if challenger is not None and gains:
            with parts.card(
                f"Version {challenger.version} by domain", "Quality gained over the champion on validation queries, 95 % intervals"
            ):
                _domains(gains)
    with parts.card("Every version"):
        _table(view, shown, reload)


def _card(view: View, version: Version, shown: Shown, reload: Any) -> None:
    champion = CHAMPION in version.aliases
    with parts.card():
        with parts.box("row-flex"):
            parts.heading(f"Version {version.version}", _shortened(version.tags.get("reason", "")))
            for alias in version.aliases:
                parts.chip(alias, ALIASES.get(alias, "plain"))
            if version.version == shown.serving:
                parts.chip("in use", "good")
        figures = shown.figures.get(version.version, {})
        with parts.box("figures"):
            quality, low, high = (figures.get(f"test/ours/quality{end}") for end in ("", "/low", "/high"))
            band = "" if low is None or high is None else f"{words.score(low)} to {words.score(high)}"
            parts.figure("Quality, test", words.score(quality), band)
            cost = figures.get("test/ours/cost_usd")
            parts.figure("USD per 1,000", words.usd(None if cost is None else PER * cost), f"{words.counted(len(version.roster), 'LLM')}")
        with parts.box("row-flex"):
            ui.label("Gate").style("font-weight: 550")
            parts.chip(version.gate)
        _reasons(version)
        _certificate(version)
        with parts.box("row-flex"):
            if champion:
                before = next((one.version for one in shown.versions if PREVIOUS in one.aliases), "")
                parts.button("Roll back", lambda: promotion.roll_back(view, before, reload), icon="undo", disabled=not before)
            else:
                parts.button("Promote", lambda: promotion.promote(view, version, reload), icon="military_tech", kind="first")
            parts.link("In MLflow ↗", versions.page(view.settings, version), away=True)


def _shortened(reason: str) -> str:
    return shorten(reason, LONGEST_REASON, placeholder=" …")


def _reasons(version: Version) -> None:
    if not version.reasons:
        ui.label("The gate was not run." if version.gate == "not run" else "No reason was kept.").classes("faint")
        return
    icon, tone = ("check", "good") if version.gate == "passed" else ("remove", "")
    with parts.box("reasons", "ul"):
        for reason in version.reasons:
            worse = version.gate == "failed" and WORSE.search(reason)
            with parts.box(tag="li"):
                ui.icon("close" if worse else icon).classes("bad" if worse else tone)
                ui.label(reason)


def _certificate(version: Version) -> None:
    """What it promises against the best LLM, a sentence for all domains and one for each; nothing where it carries none."""
    lines = version.tags.get(CERTIFICATE, "").split("\n")
    if not lines[0]:
        return
    ui.label("Certificate").style("font-weight: 550")
    with parts.box("reasons", "ul"):
        for line in lines:
            certain = not line.startswith("Not certifiable") and "not certified" not in line
            with parts.box(tag="li"):
                ui.icon("verified" if certain else "remove").classes("good" if certain else "")
                ui.label(line)


def _points(beside: list[Version], figures: dict[str, dict[str, float]]) -> Iterator[charts.Point]:
    """Versions, and the best single LLM as the newest version's run has it."""
    for version in beside:
        yield from _point(figures.get(version.version, {}), "ours", f"version {version.version}")
    for row, name in BASELINES.items():
        yield from _point(figures.get(beside[-1].version, {}), row, name)


def _point(figures: dict[str, float], row: str, name: str) -> Iterator[charts.Point]:
    cost, quality = figures.get(f"test/{row}/cost_usd"), figures.get(f"test/{row}/quality")
    if cost is not None and quality is not None:
        yield charts.Point(name, PER * cost, quality, ours=row == "ours")


def _lines(beside: list[Version], figures: dict[str, dict[str, float]]) -> list[tuple[str, float]]:
    """Baselines whose cost is in no headline: their quality alone."""
    newest = figures.get(beside[-1].version, {}) if beside else {}
    rows = ((name, newest.get(f"test/{row}/quality")) for row, name in BASELINES.items() if f"test/{row}/cost_usd" not in newest)
    return [(name, quality) for name, quality in rows if quality is not None]


def _domains(gains: list[versions.DomainGain]) -> None:
    reach = max(0.02, *(max(abs(each.low), abs(each.high)) for each in gains))

    def drawn(each: versions.DomainGain) -> str | None:
        parts.interval(each.low, each.mean, each.high, reach=reach, tone="good" if each.low > 0 else "bad" if each.high < 0 else "plain")
        return None

    columns = (
        Column("Domain", lambda each: each.name, lead=True),
        Column("Worse ← → better", drawn),
        Column("Gain", lambda each: f"{each.mean:+.3f}", number=True),
        Column("Queries", lambda each: words.count(each.queries), number=True),
    )
    parts.table(columns, gains, label="Gain by domain")


def _table(view: View, shown: Shown, reload: Any) -> None:
    def aliases(version: Version) -> str | None:
        with parts.box("row-flex").style("gap: 5px"):
            for alias in version.aliases:
                parts.chip(alias, ALIASES.get(alias, "plain"))
            if version.version == shown.serving:
                parts.chip("in use", "good")
        return None

    def gate(version: Version) -> str | None:
        parts.chip("refused by a host" if "refused" in version.tags else version.gate, "bad" if "refused" in version.tags else None)
        return None

    def actions(version: Version) -> None:
        with parts.box("row-flex"):
            if CHAMPION not in version.aliases and "refused" not in version.tags:
                button = parts.button("Promote", lambda: promotion.promote(view, version, reload))
                parts.attribute(button, "aria-label", f"Promote version {version.version}")
            parts.link("MLflow ↗", versions.page(view.settings, version), away=True)

    columns = (
        Column("Version", lambda version: version.version, lead=True),
        Column("", aliases),
        Column("Gate", gate),
        Column("Made because", lambda version: _shortened(version.tags.get("reason", "–"))),
        Column("LLMs", lambda version: words.count(len(version.roster)), number=True),
        Column("Made", lambda version: words.ago(version.created_at)),
        Column("", actions),
    )
    parts.table(columns, shown.versions, label="Scorer versions")


PAGE = Page("/scorers", "Scorers", "Scorers", "Which version decides, which ones wait, and why the gate says what it says.", draw)
