"""/admin/jobs: retrainings and promotions, how far they are and what they printed; started and cancelled."""

import asyncio
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.pool import train_jointly
from serving import audit
from serving.body import read
from serving.protocol import parse
from serving.responses import json_response
from serving.state import state_of

router = APIRouter(prefix="/admin", route_class=audit.Audited)
ACCEPTED = 202
MOST_LOG = 64 * 1024  # bytes an answer


class Retraining(BaseModel):
    """A retraining by a person's wish.

    full: from now on no LLM joins by its row, all are trained together. harvest: served queries that can be graded are taken in first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["retrain"]
    reason: Annotated[str, Field(min_length=1, max_length=500)] = "a person asked for it"
    full: bool = False
    harvest: bool = False


@router.get("/jobs")
async def jobs(request: Request) -> Response:
    """All jobs, the newest first."""
    queued = await asyncio.to_thread(state_of(request).jobs.list)
    return json_response({"jobs": [asdict(each) for each in reversed(queued)]})


@router.post("/jobs")
async def retrain(request: Request) -> Response:
    """Starts a retraining."""
    state = state_of(request)
    wanted, _ = parse(Retraining, await read(request, state.settings.max_request_bytes))
    audit.note(request, reason=wanted.reason)
    if wanted.full:
        await asyncio.to_thread(train_jointly, state.settings.pool_file)
        await state.pool.refresh()
    return json_response(
        asdict(await asyncio.to_thread(state.jobs.submit, "retrain", {"reason": wanted.reason, "harvest": wanted.harvest})), status=ACCEPTED
    )


@router.get("/jobs/{job_id}")
async def job(request: Request, job_id: str) -> Response:
    """One job with its progress."""
    return json_response(asdict(await asyncio.to_thread(state_of(request).jobs.require, job_id)))


@router.delete("/jobs/{job_id}")
async def cancel(request: Request, job_id: str) -> Response:
    """Cancels a job: its processes end within half a minute, what was answered and labelled is kept."""
    return json_response(asdict(await asyncio.to_thread(state_of(request).jobs.cancel, job_id)))


@router.get("/jobs/{job_id}/log")
async def log(request: Request, job_id: str, after: Annotated[int, Query(ge=0)] = 0) -> Response:
    """What the processes of a job printed, from byte `after` on; `next` is where to go on. Of a long rest, the end."""
    known = await asyncio.to_thread(state_of(request).jobs.require, job_id)
    return json_response(await asyncio.to_thread(_read_log, Path(known.log), after))


def _read_log(path: Path, after: int) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(min(after, size), size - MOST_LOG))
            return {"text": file.read(MOST_LOG).decode(errors="replace"), "from": start, "next": file.tell()}
    except FileNotFoundError:  # it has printed nothing yet
        return {"text": "", "from": 0, "next": 0}
