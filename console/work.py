"""What the worker does for a person on a page: a job is started, waited for, the page is drawn anew, and its end is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from console import parts
from console.errors import ConsoleError
from console.frame import View

LOOK_S = 0.5
Reload = Callable[[], Awaitable[None]]


async def done(view: View, started: Awaitable[dict[str, Any]], reload: Reload, told: str) -> None:
    """Waits for the job that `started` starts, and draws the page anew; then `told` is told where it is done, before that what went wrong.

    In that order: a button of the page before would do nothing.
    """
    is_done = await _waited_for(view, started)
    await reload()
    if is_done:
        parts.success(told)


async def _waited_for(view: View, started: Awaitable[dict[str, Any]]) -> bool:
    try:
        job = await started
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
