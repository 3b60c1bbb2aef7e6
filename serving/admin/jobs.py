"""/admin/jobs: retrainings and promotions, how far they are and what they printed; started and cancelled."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from monitoring.audits.group_actions import Actions
from registry import gains, retraining_plan
from registry.pool import train_jointly
from serving.admin import audit, submitted
from serving.json_answers import json_response
from serving.request.body import read
from serving.request.protocol import parse
from serving.state import State, state_of

router = APIRouter(prefix="/admin", route_class=audit.Audited)
MOST_LOG = 64 * 1024  # bytes an answer
MOST_GROUPS = 50


class Retraining(BaseModel):
    """A retraining by a person's wish.

    full: from now on no LLM joins by its row, all are trained together. harvest: served queries that can be graded are taken in first.
    groups: of unknown queries, by name or id, that it is for: it harvests them, and says afterwards what it bought for them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["retrain"]
    reason: Annotated[str, Field(min_length=1, max_length=500)] = "a person asked for it"
    full: bool = False
    harvest: bool = False
    groups: Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=MOST_GROUPS)] = []


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
    arguments: dict[str, Any] = {"reason": wanted.reason, "harvest": wanted.harvest or bool(wanted.groups)}
    if wanted.groups:
        arguments["groups"] = await asyncio.to_thread(_chosen, state, wanted.groups)
    if wanted.full:
        await asyncio.to_thread(train_jointly, state.settings.pool_file)
        await state.pool.refresh()
    return await submitted.answer(state, "retrain", arguments)


@router.get("/jobs/plan")
async def plan(request: Request, group: Annotated[list[str], Query(default_factory=list)], *, harvest: bool = True) -> Response:
    """What a retraining would do now, for these groups of unknown queries or for none; it takes seconds, and asks nobody.

    `{"plan": {"lines": [...], "usd": 0.02, "most_usd": 5.0, "new": 12, "pending": 4, "missing": {"llm": 16}, ...}, "why_not": null}`.
    """
    state = state_of(request)
    names = [each["name"] for each in await asyncio.to_thread(_chosen, state, group)]
    told = await asyncio.to_thread(partial(retraining_plan.told, state.settings.home, names, harvesting=harvest or bool(names)))
    return json_response(asdict(told))


@router.get("/gains")
async def gained(request: Request, job: str | None = None) -> Response:
    """What retrainings bought for the groups that caused them, the newest first; of one job, or of all (`registry/gains.py`)."""
    kept = await asyncio.to_thread(gains.listed, state_of(request).settings, job)
    return json_response({"gains": kept})


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
    kept = state_of(request).jobs
    await asyncio.to_thread(kept.require, job_id)
    part = await asyncio.to_thread(kept.printed, job_id, after, MOST_LOG)
    return json_response({"text": part.text, "from": part.start, "next": part.end})


def _chosen(state: State, called: Sequence[str]) -> list[dict[str, Any]]:
    """The groups of these names or ids, as a job's arguments have them. Raises GroupUnknown."""
    actions = Actions(state.settings.var, state.records)
    return [actions.find(each).as_arguments() for each in called]
