"""/admin: the active scorer and its verdict; promoted and rolled back by a job, since that needs MLflow."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from monitoring import looks
from monitoring.looks import Look, Looks
from registry.settings import Settings
from scorer.errors import NothingPublished
from serving.admin import audit, submitted
from serving.choice import certified, learned
from serving.json_answers import json_response
from serving.request.body import read
from serving.request.protocol import parse
from serving.state import state_of

router = APIRouter(prefix="/admin", route_class=audit.Audited)
Number = Annotated[str, Field(pattern="^[0-9]{1,9}$")]  # of a scorer version
Reason = Annotated[str, Field(min_length=1, max_length=500)]


class Promotion(BaseModel):
    """A scorer version to make champion. `override`: why, although its gate has not passed; it is recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Number
    override: Reason | None = None


@router.get("/scorer")
async def scorer(request: Request) -> Response:
    """The active scorer version, why a published one was refused, and what happened lately."""
    state = state_of(request)
    active = {"version": None, "roster": []} if state.scorer.value is None else state.scorer.value.as_dict()
    error = state.scorer.refusal
    first = state.scorer.value is None and isinstance(error, NothingPublished)
    refusal = None if error is None or first else str(error)
    shown = {**active, "certificate": certified.shown(state), "learned": learned.shown(state), **state.beside.shown(state.scorer.value)}
    return json_response({**shown, "refused": refusal, "in_flight": state.in_flight.taken, "events": state.events.recent()})


@router.get("/verdict")
async def verdict(request: Request) -> Response:
    """The last verdict of the monitor, and where its report lies; no verdict before its first look."""
    latest = looks.folder(state_of(request).settings) / looks.LATEST
    try:
        latest_verdict = orjson.loads(await asyncio.to_thread(latest.read_bytes))
    except (OSError, orjson.JSONDecodeError):
        return json_response({"verdict": None, "report": None})
    return json_response(latest_verdict)


@router.get("/verdicts")
async def verdicts(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """What the monitor said at its last looks, the newest first; of all hosts that share a database the same."""
    found = await asyncio.to_thread(_history, state_of(request).settings, limit)
    return json_response({"verdicts": [asdict(each) for each in found]})


@router.delete("/scorer/void")
async def take_void_back(request: Request) -> Response:
    """Puts a certificate into force again that a verdict made void, on all hosts: for a person who has looked at the traffic."""
    was_void = await asyncio.to_thread(looks.take_void_back, state_of(request).settings)
    audit.note(request, was_void=str(was_void).lower())
    return json_response({"was_void": was_void})


@router.post("/scorer/promote")
async def promote(request: Request) -> Response:
    """Starts the job that makes a version champion; the server follows the alias."""
    state = state_of(request)
    wanted, _ = parse(Promotion, await read(request, state.settings.max_request_bytes))
    audit.note(request, version=wanted.version, override=wanted.override)
    return await submitted.answer(state, "promote", wanted.model_dump())


@router.post("/scorer/rollback")
async def rollback(request: Request) -> Response:
    """Starts the job that makes the previous champion champion again."""
    return await submitted.answer(state_of(request), "rollback", {})


def _history(settings: Settings, limit: int) -> list[Look]:
    return Looks.of(settings).history(limit)
