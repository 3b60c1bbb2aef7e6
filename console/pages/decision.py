"""One record: what was decided and what came of it; decided again from the record by the real engine."""

import asyncio
import json
from typing import Any
from urllib.parse import quote

from nicegui import ui

from console import decision_view, parts, words
from console.errors import ConsoleError
from console.frame import Page, View
from console.region import Region
from mixture.errors import MixtureError
from mixture.replay.explain import load
from mixture.replay.replay import differences


def draw(view: View) -> None:
    """The record, and a button that replays it."""
    decision_id = view.path["decision_id"]

    async def fetch() -> dict[str, Any]:
        return dict(await view.api.get(f"/v1/decisions/{quote(decision_id, safe='')}"))

    record: Region[dict[str, Any]] = Region(fetch, lambda fetched: _draw(view, fetched, record.reload), lines=8)


def _draw(view: View, record: dict[str, Any], reload: Any) -> None:
    decision = record["decision"]
    with parts.box("figures"):
        parts.figure("Answered by", record["llm"] or ("nobody" if record["status"] == "error" else "a synthesis"), record["virtual_model"])
        parts.figure("Promised", words.score(record["predicted"]), f"scorer version {record['scorer_version'] or '–'}")
        _outcome(record["outcome"])
        parts.figure("Cost", words.usd(record["cost_usd"]), f"{record['input_tokens']:,} tokens in, {record['output_tokens']:,} out")
        parts.figure("Took", words.seconds(record["latency_s"]), words.moment(record["created_at"]))
    with parts.card("Answer"):
        if decision.get("text"):
            ui.label(decision["text"]).classes("answer")
        else:
            ui.label("The server keeps no texts (ROUTEMOA_STORE_TEXT).").classes("faint")
        _grade(view, record, reload)
    with parts.card("What happened"):
        if decision.get("layers") is not None and decision.get("stopped_because"):
            decision_view.story(decision)
        else:
            ui.label(str(decision.get("what") or decision.get("error") or "The request failed before anybody answered.")).classes("faint")
        replayed = parts.box("stack")
        with parts.box("row-flex"):
            parts.button("Replay it", lambda: _replay(decision, replayed), icon="replay")
            ui.label("Decides again from the record, in virtual time; nobody is asked.").classes("faint")
    if record["scores"]:
        with parts.card("Promised of each LLM"):
            columns = (
                parts.Column("LLM", lambda each: each[0], lead=True),
                parts.Column("Promised", lambda each: _promised(each, record["llm"])),
            )
            parts.table(columns, sorted(record["scores"].items(), key=lambda each: -each[1]), label="Promised of each LLM")


def _promised(each: tuple[str, float], served: str | None) -> None:
    parts.measured(each[1], words.score(each[1]), "first" if each[0] == served else "")


def _outcome(outcome: dict[str, Any] | None) -> None:
    if outcome is None:
        parts.figure("Outcome", "–", "nobody judged it yet")
        return
    tone: parts.Tone = "good" if outcome["score"] >= 0.5 else "bad"
    parts.figure("Outcome", words.score(outcome["score"]), f"by {outcome['source']}, {words.ago(outcome['reported_at'])}", tone)


def _grade(view: View, record: dict[str, Any], reload: Any) -> None:
    async def report(score: float) -> None:
        try:
            await view.api.post("/v1/feedback", {"decision_id": record["id"], "score": score})
        except ConsoleError as exc:
            parts.failure(exc)
            return
        parts.success("Kept.")
        await reload()

    if record["status"] == "ok":
        with parts.box("row-flex"):
            parts.button("It is good", lambda: report(1.0), icon="thumb_up")
            parts.button("It is not", lambda: report(0.0), icon="thumb_down")


async def _replay(decision: dict[str, Any], place: Any) -> None:
    place.clear()
    try:
        differing = await asyncio.to_thread(lambda: differences(load(json.dumps(decision))))
    except MixtureError as exc:
        with place, parts.box("banner warn").props("role=alert"):
            ui.icon("info")
            ui.label(str(exc)).classes("banner-text")
        return
    with place, parts.box(f"banner {'warn' if differing else 'good'}").props("role=status"):
        ui.icon("difference" if differing else "check_circle")
        with parts.box("banner-text"):
            ui.label("Replayed: not the same decision" if differing else "Replayed: the same decision").style("font-weight: 550")
            for line in differing[:12]:
                ui.label(line).classes("mono")


PAGE = Page("/decisions/{decision_id}", "Decisions", "Decision", "What was decided for one request, and what came of it.", draw)
