"""One job, as it runs: its stage, how far it is, what it prints; cancelled here."""

from typing import Any
from urllib.parse import quote

from nicegui import ui

from console import parts, retraining, words
from console.errors import ConsoleError, NotOffered
from console.frame import Page, View
from console.pages.pool import why
from console.region import Region

LOOK_S = 2.0
GAIN_S = 5.0
ENDED = {"done", "failed", "cancelled"}
KINDS = {"retrain": "Retraining", "harvest": "Harvest", "promote": "Promotion", "rollback": "Rollback"}
LONGEST_LOG = 100_000  # characters that the page keeps


def draw(view: View) -> None:
    """The state, then the log."""
    job_id = quote(view.path["job_id"], safe="")
    printed = {"text": "", "next": 0}

    async def fetch() -> dict[str, Any]:
        return dict(await view.api.get(f"/admin/jobs/{job_id}"))

    async def log() -> str:
        more = await view.api.get(f"/admin/jobs/{job_id}/log", after=printed["next"])
        printed["text"], printed["next"] = f"{printed['text']}{more['text']}"[-LONGEST_LOG:], more["next"]
        return str(printed["text"])

    async def gains() -> list[dict[str, Any]]:
        try:
            return list((await view.api.get("/admin/gains", job=view.path["job_id"]))["gains"])
        except NotOffered:  # a server of an earlier release
            return []

    async def cancel() -> None:
        try:
            await view.api.delete(f"/admin/jobs/{job_id}")
        except ConsoleError as exc:
            parts.failure(exc)
        await state.reload()

    def ended(job: dict[str, Any]) -> bool:
        return job["state"] in ENDED and job["ended_at"] is not None

    with parts.card():
        state: Region[dict[str, Any]] = Region(fetch, lambda job: _state(job, cancel), every=LOOK_S, until=ended)
    Region(gains, _gains, every=GAIN_S, until=bool, lines=0)
    with parts.card("Log", "What its processes print"):
        Region(log, _log, every=LOOK_S)


def _state(job: dict[str, Any], cancel: Any) -> None:
    with parts.box("row-flex"):
        parts.heading(f"{KINDS.get(job['kind'], job['kind'])} {job['id']}")
        parts.chip(job["state"])
    parts.bar(job["progress"], "bad" if job["state"] == "failed" else "good" if job["state"] == "done" else "first")
    with parts.box("row-flex"):
        ui.label(job["step"]).style("font-weight: 550" if job["state"] == "running" else "")
        if job["state"] == "running":
            ui.label(f"{job['progress']:.0%}").classes("faint")
    if job["error"]:
        with parts.box("banner bad").props("role=alert"):
            ui.icon("error_outline")
            ui.label(job["error"]).classes("banner-text")
    took = None if job["started_at"] is None or job["ended_at"] is None else job["ended_at"] - job["started_at"]
    parts.facts(
        (name, value)
        for name, value in (
            ("Why", why(job)),
            ("Created", words.moment(job["created_at"])),
            ("Started", words.moment(job["started_at"])),
            ("Took", words.seconds(took)),
        )
        if value and value != "–"
    )
    with parts.box("row-flex"):
        if job["state"] in {"queued", "running"}:
            parts.button("Cancel it", cancel, icon="stop", kind="danger")
            ui.label("What was answered and labelled is kept.").classes("faint")
        elif job["state"] == "done" and job["kind"] == "retrain":
            parts.button("See the scorer versions", lambda: ui.navigate.to("/scorers"), icon="military_tech", kind="first")


def _gains(found: list[dict[str, Any]]) -> None:
    for told in found:
        with parts.card("What it bought", retraining.heading(told)):
            retraining.gained(told)


def _log(text: str) -> None:
    if not text:
        parts.empty("It has printed nothing yet", icon="terminal")
        return
    box = parts.text(text, "log", "pre").props('tabindex=0 aria-label="Log"')
    ui.run_javascript(f"const log = getElement({box.id}); log.scrollTop = log.scrollHeight")  # the newest lines


PAGE = Page("/jobs/{job_id}", "Pool", "Job", "Asking, labelling, training or promoting; one at a time.", draw)
