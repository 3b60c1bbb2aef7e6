"""Groups of unknown queries: what they have in common, examples, how good answers were; named, audited, harvested, retrained on, left."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from nicegui import ui

from console import dialogs, parts, retraining, words
from console.errors import ConsoleError
from console.frame import View

AUDITED_AT_ONCE = 20
Reload = Callable[[], Awaitable[None]]


def draw(view: View, found: dict[str, Any], reload: Reload) -> None:
    """What `GET /admin/groups` says: the groups of the last look, then what people named."""
    if not found["groups"]:
        parts.empty("No group of unknown queries", "Where novel queries are alike, they show here with examples.", icon="blur_on")
    with parts.box("grid-2"):
        for group in found["groups"]:
            _group(view, group, reload)
    if found["named"]:
        parts.heading("What people named", "Counted as domains of their own from then on", level=3)
        _named(view, found["named"], reload)


def _group(view: View, group: dict[str, Any], reload: Reload) -> None:
    with parts.attribute(parts.card(classes="inner"), "aria-label", f"Group {group['name']}"):
        called = ", ".join(group["tags"]) or f"nearest known: {', '.join(group['nearest'])}"
        with parts.box("row-flex"):
            parts.heading(str(group["name"]).capitalize(), called, level=3)
            parts.chip(f"{words.counted(group['queries'], 'query')} · {words.share(group['share'])}", "warn")
            _growth(*group["growth"])
        if group["words"]:
            with parts.box("row-flex").style("gap: 5px"):
                for word in group["words"]:
                    parts.chip(word)
        ui.label(f"Promised {words.score(group['promised'])}, {_audited(group['audited'])}, {words.usd(group['cost_usd'])} spent.").classes(
            "faint"
        )
        with parts.box("stack"):
            for example in group["examples"]:
                with parts.attribute(parts.box("quote plain-link", "a"), "href", f"/decisions/{example['decision_id']}"):
                    ui.label(example["text"] or "text not kept (ROUTEMOA_STORE_TEXT)")
        nearest = ", ".join(f"{each['domain']} at {each['distance']:.2f}" for each in group["near"][:3])
        if nearest:
            ui.label(f"Nearest labelled queries: {nearest}.").classes("faint")
        _actions(view, group["id"], group["name"], reload)


def _growth(before: int, now: int) -> None:
    """How many came in the older and in the newer half of the window."""
    if before + now:
        parts.chip(f"{before} → {now}", "bad" if now > before else "plain").tooltip("In the older and in the newer half of the window")


def _audited(audited: tuple[int, float | None]) -> str:
    count, outcome = audited
    return "nothing audited yet" if outcome is None else f"{count} audited at {words.score(outcome)}"


def _actions(view: View, group: str, name: str, reload: Reload) -> None:
    async def act(action: str, body: dict[str, Any] | None, done: str) -> None:
        try:
            said = await view.api.post(f"/admin/groups/{group}/{action}", body)
        except ConsoleError as exc:
            parts.failure(exc)
            return
        if "kind" in said:  # a job
            ui.navigate.to(f"/jobs/{said['id']}")
            return
        hidden = said.get("not_kept")
        parts.success(f"{hidden} drawn answers cannot be graded: their texts are not kept." if hidden else done.format(**said))
        await reload()

    count = AUDITED_AT_ONCE
    with parts.box("row-flex"):
        parts.button(f"Audit {count}", lambda: act("audit", {"count": count}, "{drawn} more answers wait for a grade."), icon="fact_check")
        parts.button("Add to the query pool", lambda: act("harvest", None, ""), icon="library_add")
        parts.button("Retrain on it", lambda: retraining.ask(view, [name], f"a person asked for group {name}"), icon="model_training")
        parts.button("Name it", lambda: _name(name, lambda new: act("name", {"name": new}, "{name} is a domain now.")), icon="label")
        parts.button("Leave it", lambda: act("leave", None, "{name} is left as it is."), icon="visibility_off")


def _name(name: str, act: Callable[[str], Awaitable[None]]) -> None:
    async def keep() -> None:
        if new.value.strip():
            dialog.close()
            await act(new.value.strip())

    about = "Its queries count as a domain of this name from now on."
    with dialogs.asking(f"What is “{name}”?", about, does="Name it", action=keep, leave="Not now") as dialog:
        new = ui.input("Name of the domain").props("outlined autofocus").classes("w-full").on("keydown.enter", keep)


def _named(view: View, named: list[dict[str, Any]], reload: Reload) -> None:
    async def forget(name: str) -> None:
        try:
            await view.api.delete(f"/admin/groups/{quote(name, safe='')}")
        except ConsoleError as exc:
            parts.failure(exc)
            return
        await reload()

    def state(row: dict[str, Any]) -> None:
        parts.chip(row["state"], "info" if row["state"] == "named" else "plain")

    def actions(row: dict[str, Any]) -> None:
        parts.attribute(parts.button("Forget", lambda: forget(row["name"])), "aria-label", f"Forget {row['name']}")

    columns = (
        parts.Column("Domain", lambda row: row["name"], lead=True),
        parts.Column("", state),
        parts.Column("By", lambda row: f"{row['named_by'] or '–'}, {words.ago(row['named_at'])}"),
        parts.Column("Queries", lambda row: words.count(row["queries"]), number=True),
        parts.Column("Promised", lambda row: words.score(row["promised"]), number=True),
        parts.Column("Audits", lambda row: _audited(row["audited"])),
        parts.Column("To grade", lambda row: words.count(row["waiting"]), number=True),
        parts.Column("", actions),
    )
    parts.table(columns, named, label="Named domains")
