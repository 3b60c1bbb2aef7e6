"""One scorer version as a card: its figures, its gate with reasons, its certificate, and what can be done with it."""

from textwrap import shorten
from typing import Any

from nicegui import ui

from console import parts, promotion, versions, words
from console.frame import View
from console.versions import Evaluation
from registry.version import CHALLENGER, CHAMPION, PREVIOUS, Version

ALIASES: dict[str, parts.Tone] = {CHAMPION: "good", CHALLENGER: "info", PREVIOUS: "plain"}
CERTIFICATE = "certificate"  # the tag in which a version carries one
LONGEST_REASON = 110  # characters of what a version was made for
PER = 1_000  # queries that a cost is stated for


def draw(view: View, version: Version, found: Evaluation, *, serving: str | None, before: str, reload: Any) -> None:
    """The card. serving: the version that the server serves. before: the champion that a rollback returns to, empty where there is none."""
    with parts.attribute(parts.card(classes="version"), "aria-label", f"Version {version.version}"):
        with parts.box("row-flex"):
            parts.heading(f"Version {version.version}", made_because(version))
            aliases(version, serving)
        with parts.box("figures"):
            _figures(version, found)
        with parts.box("row-flex"):
            ui.label("Gate").style("font-weight: 550")
            parts.chip(version.gate)
        _reasons(version)
        _certificate(version)
        with parts.box("row-flex card-foot"):
            if CHAMPION in version.aliases:
                parts.button("Roll back", lambda: promotion.roll_back(view, before, reload), icon="undo", disabled=not before)
            else:
                parts.button("Promote", lambda: promotion.promote(view, version, reload), icon="military_tech", kind="first")
            parts.link("In MLflow ↗", versions.page(view.settings, version), away=True)


def aliases(version: Version, serving: str | None) -> None:
    """Its aliases, and whether it is the one that serves."""
    for alias in version.aliases:
        parts.chip(alias, ALIASES.get(alias, "plain"))
    if version.version == serving:
        parts.chip("in use", "good")


def made_because(version: Version) -> str:
    """What it was made for, in a line."""
    return shorten(version.tags.get("reason", "–"), LONGEST_REASON, placeholder=" …")


def _figures(version: Version, found: Evaluation) -> None:
    quality, low, high = (found.figures.get(f"test/ours/quality{end}") for end in ("", "/low", "/high"))
    band = "" if low is None or high is None else f"{words.score(low)} to {words.score(high)}"
    parts.figure("Quality, test", words.score(quality), band)
    cost = found.figures.get("test/ours/cost_usd")
    parts.figure("USD per 1,000", words.usd(None if cost is None else PER * cost), f"{words.counted(len(version.roster), 'LLM')}")


def _reasons(version: Version) -> None:
    if not version.reasons:
        ui.label("The gate was not run." if version.gate == "not run" else "No reason was kept.").classes("faint")
        return
    icon, tone = ("check", "good") if version.gate == "passed" else ("remove", "")
    with parts.box("reasons", "ul"):
        for reason in version.reasons:
            worse = reason in version.failing
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
