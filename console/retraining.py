"""What a retraining would do, shown before it is started; and what one bought, shown after it ended."""

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from console import dialogs, parts, words
from console.errors import ConsoleError
from console.frame import View
from console.parts import Column
from console.region import Region

PLAN = "/admin/jobs/plan"
REACH = 0.1  # the least half of an axis of differences
Planned = dict[str, Any]


def ask(view: View, groups: Sequence[str], reason: str) -> None:
    """A dialog that shows the plan of a retraining for these groups of unknown queries, and starts it."""

    async def plan() -> Planned:
        return dict(await view.api.get(PLAN, group=list(groups)))

    def shown(told: Planned) -> None:
        _plan(told)
        dialog.first.enable()

    async def start() -> None:
        dialog.first.props("loading")
        body = {"kind": "retrain", "reason": reason, "harvest": True, "groups": list(groups)}
        try:
            job = await view.api.post("/admin/jobs", body)
        except ConsoleError as exc:
            parts.failure(exc)
            return
        finally:
            dialog.first.props(remove="loading")
        dialog.close()
        ui.navigate.to(f"/jobs/{job['id']}")

    about = "What it would do, worked out now. Nobody is asked before you start it, and nothing is promoted by itself."
    with dialogs.asking("Retrain the scorer?", about, does="Start it", action=start, leave="Not now", wide=True) as dialog:
        dialog.first.disable()
        Region(plan, shown, lines=5)


def _plan(told: Planned) -> None:
    plan = told["plan"]
    if plan is None:
        with parts.box("banner warn").props("role=status"):
            ui.icon("info")
            with parts.box("banner-text"):
                ui.label("What it would do is not known here.").style("font-weight: 550")
                ui.label(str(told["why_not"] or "")).classes("faint")
        return
    asked = {llm: count for llm, count in plan["missing"].items() if count}
    with parts.box("figures"):
        parts.figure("Costs about", words.usd(plan["usd"]), f"never more than {words.usd(plan['most_usd'])} an LLM")
        waiting = "that a reference or a judge grades"
        if plan["pending"]:
            waiting = f"and up to {plan['pending']:,} on whose answer the pool agrees"
        parts.figure("New queries", words.count(plan["new"]), waiting)
        parts.figure("Questions to ask", words.count(sum(asked.values())), f"of {words.counted(len(asked), 'LLM')}")
    if plan["causes"]:
        _causes(plan["causes"])
    if asked:
        columns = (
            Column("Asks", lambda llm: llm, lead=True),
            Column("Questions", lambda llm: words.count(asked[llm]), number=True),
            Column("About", lambda llm: words.usd(plan["usd_by_llm"].get(llm, 0.0)), number=True),
        )
        parts.table(columns, sorted(asked, key=lambda llm: -plan["usd_by_llm"].get(llm, 0.0)), label="Who is asked")
    else:
        ui.label("Nobody is asked: every answer is there already.").classes("faint")
    with ui.expansion("In words", icon="notes").classes("w-full").props("dense"):
        parts.text("\n".join(plan["lines"]), "log", "pre")


def _causes(causes: Sequence[Mapping[str, Any]]) -> None:
    columns = (
        Column("For", lambda cause: cause["name"], lead=True),
        Column("Answers", lambda cause: words.count(cause["answers"]), number=True),
        Column("Promised", lambda cause: words.score(cause["promised"]), number=True),
        Column(
            "Audited", lambda cause: f"{cause['audited']} at {words.score(cause['outcome'])}" if cause["audited"] else "none", number=True
        ),
        Column("Promised after, about", lambda cause: words.score(cause["expected"] if cause["audited"] else None), number=True),
    )
    parts.table(columns, causes, label="What it is for")


def gained(told: Mapping[str, Any]) -> None:
    """What a retraining bought (`GET /admin/gains`): for each group, quality of the choices before and after, with intervals."""
    groups = told["groups"]
    differences = [each["difference"] for each in groups if each["difference"]]
    reach = max([REACH, *(abs(bound) for each in differences for bound in (each["low"], each["high"]) if bound is not None)])

    def change(each: Mapping[str, Any]) -> str | None:
        found = each["difference"]
        if found is None:
            return f"{words.counted(each['queries'], 'query')} labelled, none kept out of training to tell by"
        low, high = (found["value"] if found[end] is None else found[end] for end in ("low", "high"))
        tone: parts.Tone = "plain" if found["low"] is None else "good" if low > 0 else "bad" if high < 0 else "plain"
        parts.interval(low, found["value"], high, reach=reach, tone=tone)
        return None

    columns = (
        Column("Group", lambda each: each["group"], lead=True),
        Column("Before", lambda each: _mean(each["before"]), number=True),
        Column("After", lambda each: _mean(each["after"]), number=True),
        Column("Worse ← → better", change),
        Column("Gain", lambda each: words.gain(each["difference"] and each["difference"]["value"]), number=True),
        Column("Promised", _promises, number=True),
        Column("Queries", lambda each: words.count(each["kept_out"]), number=True),
    )
    parts.table(columns, groups, label="What it bought")


def heading(told: Mapping[str, Any]) -> str:
    """Of what a gain is measured on."""
    against = f" instead of version {told['against']}" if told["against"] else ""
    return f"Quality of what version {told['version']} would choose{against}, on queries of each group kept out of training; 95 % intervals"


def _mean(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    return words.score(found["value"]) + ("" if found["low"] is None else f" ({words.score(found['low'])} to {words.score(found['high'])})")


def _promises(each: Mapping[str, Any]) -> str:
    return "–" if each["promised_before"] is None else f"{words.score(each['promised_before'])} → {words.score(each['promised_after'])}"
