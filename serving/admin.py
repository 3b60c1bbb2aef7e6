"""/admin: the active scorer and its verdict; promoted and rolled back by a job, since that needs MLflow."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.jobs import Job, Kind
from serving import audit, certified
from serving.body import read
from serving.protocol import parse
from serving.responses import json_response
from serving.state import State, state_of

router = APIRouter(prefix="/admin", route_class=audit.Audited)
ACCEPTED = 202


class Promotion(BaseModel):
    """A scorer version to make champion. `override`: why, although its gate has not passed; it is recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Annotated[str, Field(pattern="^[0-9]{1,9}$")]
    override: Annotated[str, Field(min_length=1, max_length=500)] | None = None


@router.get("/scorer")
async def scorer(request: Request) -> Response:
    """The active scorer version, why a published one was refused, and what happened lately."""
    state = state_of(request)
    active = {"version": None, "roster": []} if state.scorer.value is None else state.scorer.value.as_dict()
    refusal = None if state.scorer.refusal is None else str(state.scorer.refusal)
    shown = {**active, "certificate": certified.shown(state)}
    return json_response({**shown, "refused": refusal, "in_flight": state.in_flight.taken, "events": state.events.recent()})


@router.get("/verdict")
async def verdict(request: Request) -> Response:
    """The last verdict of the monitor, and where its report lies; no verdict before its first look."""
    latest = state_of(request).settings.var / "reports" / "latest.json"
    try:
        latest_verdict = orjson.loads(await asyncio.to_thread(latest.read_bytes))
    except (OSError, orjson.JSONDecodeError):
        return json_response({"verdict": None, "report": None})
    return json_response(latest_verdict)


@router.post("/scorer/promote")
async def promote(request: Request) -> Response:
    """Starts the job that makes a version champion; the server follows the alias."""
    state = state_of(request)
    wanted, _ = parse(Promotion, await read(request, state.settings.max_request_bytes))
    audit.note(request, version=wanted.version, override=wanted.override)
    return json_response(asdict(await _submit(state, "promote", wanted.model_dump())), status=ACCEPTED)


@router.post("/scorer/rollback")
async def rollback(request: Request) -> Response:
    """Starts the job that makes the previous champion champion again."""
    return json_response(asdict(await _submit(state_of(request), "rollback", {})), status=ACCEPTED)


async def _submit(state: State, kind: Kind, arguments: dict[str, Any]) -> Job:
    return await asyncio.to_thread(state.jobs.submit, kind, arguments)
