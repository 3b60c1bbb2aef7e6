"""Promoting and rolling back: asked for once more, done by the worker as a job of the server's API, and waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from console import parts
from console.errors import ConsoleError
from console.frame import View
from registry.version import Version

LOOK_S = 0.5
Reload = Callable[[], Awaitable[None]]


def promote(view: View, version: Version, reload: Reload) -> None:
    """A dialog that makes a version champion; where its gate has not passed it asks why."""

    async def confirmed() -> None:
        if not passed and not why.value.strip():
            why.props('error error-message="Say why; it is kept with the version."')
            return
        body = {"version": version.version} | ({} if passed else {"override": why.value.strip()})
        if await _run_job(view, "/admin/scorer/promote", body, dialog):
            parts.success(f"Version {version.version} is champion; servers follow within 5 seconds.")
        await reload()

    passed = version.gate == "passed"
    with ui.dialog(value=True) as dialog, ui.card():
        about = "Its gate passed. Servers follow within 5 seconds, and a rollback undoes it."
        parts.heading(f"Promote version {version.version}?", about if passed else f"Its gate: {version.gate}. Promoting it needs a reason.")
        why = ui.input("Why, although its gate has not passed").props("outlined").classes("w-full")
        why.set_visibility(not passed)
        with parts.box("row-flex"):
            parts.button("Promote it", confirmed, kind="first")
            parts.button("Leave it", dialog.close)


def roll_back(view: View, before: str, reload: Reload) -> None:
    """A dialog that returns to the champion `before`."""

    async def confirmed() -> None:
        if await _run_job(view, "/admin/scorer/rollback", {}, dialog):
            parts.success(f"Version {before} is champion again.")
        await reload()

    with ui.dialog(value=True) as dialog, ui.card():
        parts.heading(f"Return to version {before}?", "The version that is left is marked, and no rollback returns to it.")
        with parts.box("row-flex"):
            parts.button("Roll back", confirmed, kind="danger")
            parts.button("Leave it", dialog.close)


async def _run_job(view: View, path: str, body: dict[str, Any], dialog: ui.dialog) -> bool:
    """Starts a job and waits until it ended; whether it is done. What went wrong is told."""
    try:
        dialog.close()
        job = await view.api.post(path, body)
        ui.notify(f"Job {job['id']}: the worker does it.", type="ongoing", position="top", timeout=2000)
        while job["state"] in {"queued", "running"}:
            await asyncio.sleep(LOOK_S)
            job = await view.api.get(f"/admin/jobs/{job['id']}")
    except ConsoleError as exc:
        parts.failure(exc)
        return False
    if job["state"] != "done":
        parts.failure(ConsoleError(job["error"] or f"The job is {job['state']}."))
    return bool(job["state"] == "done")
