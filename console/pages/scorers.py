"""Scorer versions: those chosen side by side, why the gate says so, quality against cost; promoted and rolled back."""

import asyncio
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from console import beside, parts, promotion, side_by_side, version_card, versions, words
from console.frame import Page, View
from console.parts import Column
from console.region import Region
from console.versions import Evaluation
from registry.version import CHALLENGER, CHAMPION, PREVIOUS, ROLLED_BACK, Version

LOOK_S = 10.0
USUAL, MOST = 2, 4  # versions side by side


@dataclass(frozen=True, slots=True)
class Shown:
    """What MLflow and the server say. beside: the versions to compare; found: their evaluations, by version number.

    serving: the version that the server serves.
    """

    versions: tuple[Version, ...]
    beside: tuple[Version, ...]
    found: dict[str, Evaluation]
    serving: str | None


def draw(view: View) -> None:
    """Versions side by side, then all of them."""
    picked: list[str] = [each for each in view.query.get("compare", "").split(",") if each]

    async def fetch() -> Shown:
        scorer = await view.api.get("/admin/scorer")  # first: a key that may not see it sees no version either
        every = await versions.listed(view.settings)
        chosen = [one for number in picked for one in every if one.version == number] or _beside(every)
        found = await asyncio.gather(*(versions.evaluation(view.settings, each) for each in chosen))
        by_number = {each.version: one for each, one in zip(chosen, found, strict=True)}
        return Shown(tuple(every), tuple(chosen), by_number, scorer["version"])

    async def compare(numbers: list[str]) -> None:
        picked[:] = numbers
        await shown.reload()

    shown: Region[Shown] = Region(fetch, lambda fetched: _draw(view, fetched, shown.reload, compare), every=LOOK_S, lines=8)


def _beside(every: list[Version]) -> list[Version]:
    """The champion and the newest versions that may replace it."""
    champion = [one for one in every if CHAMPION in one.aliases]
    newest = [one for one in every if one not in champion and ROLLED_BACK not in one.tags and PREVIOUS not in one.aliases]
    challengers = sorted(newest, key=lambda one: (CHALLENGER not in one.aliases, -int(one.version)))
    if champion:
        challengers = [one for one in challengers if CHALLENGER in one.aliases or int(one.version) > int(champion[0].version)]
    return [*champion, *challengers[: USUAL - len(champion)]]


def _draw(view: View, shown: Shown, reload: Any, compare: Any) -> None:
    if not shown.versions:
        parts.empty("No scorer version yet", "Registering an LLM makes one; so does the command “dvc repro”.", icon="military_tech")
        return
    before = next((one.version for one in shown.versions if PREVIOUS in one.aliases), "")
    if len(shown.versions) > 1:
        _picker(shown, compare)
    with parts.box("grid-cards"):
        for version in shown.beside:
            found = shown.found[version.version]
            version_card.draw(view, version, found, serving=shown.serving, before=before, reload=reload)
        if len(shown.beside) == 1:
            with parts.card("Challenger"):
                parts.empty(
                    "Nothing waits to replace it", "Retraining, or registering an LLM, makes the next version.", icon="hourglass_empty"
                )
    beside.draw(view, [one for one in shown.versions if "refused" not in one.tags])
    side_by_side.draw(shown.beside, shown.found)
    with parts.card("Every version"):
        _table(view, shown, reload)


def _picker(shown: Shown, compare: Any) -> None:
    """Chooses which versions stand side by side."""

    def named(version: Version) -> str:
        return " · ".join([f"Version {version.version}", *version.aliases])

    with parts.box("row-flex"):
        chosen = ui.select(
            {one.version: named(one) for one in shown.versions},
            multiple=True,
            value=[one.version for one in shown.beside],
            label="Side by side",
            on_change=lambda event: compare(event.value),
        )
        chosen.props(f"outlined dense use-chips max-values={MOST}").classes("grow").style("max-width: 640px")


def _table(view: View, shown: Shown, reload: Any) -> None:
    def aliases(version: Version) -> str | None:
        with parts.box("row-flex").style("gap: 5px"):
            version_card.aliases(version, shown.serving)
        return None

    def gate(version: Version) -> str | None:
        parts.chip("refused by a host" if "refused" in version.tags else version.gate, "bad" if "refused" in version.tags else None)
        return None

    def actions(version: Version) -> None:
        with parts.box("row-flex").style("flex-wrap: nowrap; justify-content: flex-end"):
            if CHAMPION not in version.aliases and "refused" not in version.tags:
                button = parts.button("Promote", lambda: promotion.promote(view, version, reload))
                parts.attribute(button, "aria-label", f"Promote version {version.version}")
            parts.link("MLflow ↗", versions.page(view.settings, version), away=True)

    columns = (
        Column("Version", lambda version: version.version, lead=True),
        Column("", aliases),
        Column("Gate", gate),
        Column("Made because", version_card.made_because),
        Column("LLMs", lambda version: words.count(len(version.roster)), number=True),
        Column("Made", lambda version: words.ago(version.created_at)),
        Column("", actions),
    )
    parts.table(columns, shown.versions, label="Scorer versions")


PAGE = Page("/scorers", "Scorers", "Scorers", "Which version decides, which ones wait, and why the gate says what it says.", draw)
