"""What the worker does for a person on a page: a job is started, waited for, and its end is told."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from nicegui import ui

from console import parts
from console.errors import ConsoleError
from console.frame import View

LOOK_S = 0.5


async def done(view: View, started: Awaitable[dict[str, Any]]) -> bool:
    """Waits for the job that `started` starts; whether it is done. What went wrong is told."""
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
