"""The LLMs: what each costs, how fast and how good it is, its share of traffic; reprice and retire; and the jobs that ask and train."""

import asyncio
from typing import Any

from nicegui import ui

from console import dialogs, parts, prices, words
from console.errors import ConsoleError
from console.frame import Page, View
from console.parts import Column
from console.region import Region

LOOK_S = 8.0
WEEK_H = 24.0 * 7
NO_DOMAIN = "untagged"


def draw(view: View) -> None:
    """The pool, promised quality by domain, and jobs."""

    async def fetch() -> dict[str, Any]:
        llms, traffic = await asyncio.gather(view.api.get("/admin/llms"), view.api.get("/admin/traffic", hours=WEEK_H, parts=1))
        return {"llms": llms, "by_llm": {row["llm"]: row for row in traffic["by_llm"]}, "promised": traffic["promised"]}

    with parts.box("row-flex"):
        parts.button("Register an LLM", lambda: ui.navigate.to("/pool/register"), icon="add", kind="first")
    pool = Region(fetch, lambda fetched: _draw(view, fetched, pool.reload), every=LOOK_S, lines=6)
    with parts.card("Jobs", "Asking, labelling and training, one at a time"):
        Region(lambda: view.api.get("/admin/jobs"), lambda fetched: jobs(fetched["jobs"][:8]), every=3.0)


def _draw(view: View, fetched: dict[str, Any], reload: Any) -> None:
    llms, served = fetched["llms"]["llms"], fetched["by_llm"]
    if not llms:
        parts.empty("The pool is empty", "Register the first LLM.", icon="hub")
        return
    llms = sorted(llms, key=lambda llm: (llm["status"] != "active", -served.get(llm["id"], {}).get("requests", 0)))
    columns = (
        Column("LLM", _name, lead=True),
        Column("State", _state),
        Column("USD per 1M, in", lambda llm: prices.rate(llm["price"], "input"), number=True),
        Column("out", lambda llm: prices.rate(llm["price"], "output"), number=True),
        Column("Answers in", lambda llm: words.seconds(served.get(llm["id"], {}).get("mean_s")), number=True),
        Column("Traffic, 7 days", lambda llm: _share(served.get(llm["id"]))),
        Column("", lambda llm: _actions(view, llm, reload)),
    )
    with parts.card("LLMs", f"{sum(llm['status'] == 'active' for llm in llms)} of {len(llms)} active"):
        parts.table(columns, llms, label="LLMs of the pool")
    about = "What the scorer in use expects of each LLM on the traffic of 7 days; callers name domains"
    with parts.card("Promised quality by domain", about):
        _domains(fetched["promised"])


def _name(llm: dict[str, Any]) -> None:
    with parts.box():
        ui.label(llm["id"])
        ui.label(llm["endpoint"]["served_name"] if llm["endpoint"] else "recorded answers only").classes("faint")


def _state(llm: dict[str, Any]) -> None:
    if llm["status"] != "active":
        parts.chip(llm["status"])
    elif llm["uncallable"]:
        parts.chip(llm["uncallable"], "warn")
    elif not llm["in_roster"]:
        parts.chip("not routed to yet", "warn")
    else:
        parts.chip("routed to", "good")


def _share(row: dict[str, Any] | None) -> str | None:
    if row is None:
        return "–"
    parts.measured(row["share"], words.share(row["share"]), "first")
    return None


def _actions(view: View, llm: dict[str, Any], reload: Any) -> None:
    button = ui.button(icon="more_horiz", color=None).props("flat round").classes("icon-button")
    with parts.attribute(button, "aria-label", f"Actions for {llm['id']}"), ui.menu():
        parts.menu_item("Reprice", lambda: prices.reprice(view, llm, reload))
        if llm["status"] == "active":
            parts.menu_item("Retire", lambda: _retire(view, llm["id"], reload))
        else:
            parts.menu_item("Take back", lambda: _set(view, llm["id"], "active", reload))


def _domains(promised: list[dict[str, Any]]) -> None:
    if not promised:
        parts.empty("No request was routed in this time", icon="grid_on")
        return
    cells = {(row["llm"], row["domain"] or NO_DOMAIN): row for row in promised}
    sizes = {domain: max(row["queries"] for (_, of), row in cells.items() if of == domain) for _, domain in cells}
    domains = sorted(sizes, key=lambda domain: -sizes[domain])[:6]
    llms = sorted({llm for llm, _ in cells}, key=lambda llm: -sum(cells[llm, each]["quality"] for each in domains if (llm, each) in cells))
    best = {domain: max((cells[llm, domain]["quality"] for llm in llms if (llm, domain) in cells), default=0.0) for domain in domains}

    def cell(domain: str) -> Any:
        def draw(llm: str) -> str | None:
            row = cells.get((llm, domain))
            if row is None:
                return "–"
            tone = "good" if row["quality"] >= best[domain] - 1e-9 else ""
            parts.measured(row["quality"], words.score(row["quality"]), tone)
            return None

        return draw

    columns = [Column("LLM", lambda llm: llm, lead=True), *(Column(f"{domain} ({sizes[domain]})", cell(domain)) for domain in domains)]
    parts.table(columns, llms, label="Promised quality by domain")


def jobs(listed: list[dict[str, Any]]) -> None:
    """Jobs as a table, each linking to its page."""
    if not listed:
        parts.empty("No job yet", "Registering an LLM starts one; so does the verdict “retrain”.", icon="work_history")
        return

    def progress(job: dict[str, Any]) -> str | None:
        with parts.box("stack").style("gap: 3px; min-width: 160px"):
            if job["state"] == "running":
                parts.bar(job["progress"], "first")
            ui.label((job["error"] or job["step"])[:140]).classes("faint")
        return None

    def state(job: dict[str, Any]) -> str | None:
        parts.chip(job["state"])
        return None

    columns = (
        Column("Job", lambda job: job["id"], lead=True),
        Column("State", state),
        Column("What it does", progress),
        Column("Why", lambda job: why(job)[:120]),
        Column("Created", lambda job: words.ago(job["created_at"])),
    )
    parts.table(columns, listed, label="Jobs", opens=lambda job: f"/jobs/{job['id']}")


def why(job: dict[str, Any]) -> str:
    """What a job was started for."""
    arguments = job["arguments"]
    return "; ".join(
        arguments.get("reasons") or filter(None, [arguments.get("reason"), arguments.get("version") and f"version {arguments['version']}"])
    )


def _retire(view: View, llm: str, reload: Any) -> None:
    async def retire() -> None:
        dialog.close()
        await _set(view, llm, "retired", reload)

    about = "It is asked and trained on no more, from now on. It can be taken back."
    with dialogs.asking(f"Retire {llm}?", about, does="Retire", action=retire, kind="danger", leave="Keep it") as dialog:
        pass


async def _set(view: View, llm: str, status: str, reload: Any) -> None:
    try:
        await view.api.patch(f"/admin/llms/{llm}", {"status": status})
    except ConsoleError as exc:
        parts.failure(exc)
        return
    parts.success(f"{llm} is {status}.")
    await reload()


PAGE = Page("/pool", "Pool", "Pool", "Which LLMs there are, what they cost, how fast and how good they are.", draw)
