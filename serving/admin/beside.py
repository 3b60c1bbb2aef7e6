"""/admin/scorer/shadow and /admin/scorer/canary: versions beside the champion, what is known of them, started and ended by a job."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from monitoring.policies import canary, shadow_value, shadows
from monitoring.records.store import RecordStore
from registry.canary_plan import CanaryPlan, Points, Share
from registry.current_version import PublishedCanary
from serving.admin import audit, submitted
from serving.admin.scorer import Number, Reason
from serving.choice import certified
from serving.json_answers import json_response
from serving.request.body import read
from serving.request.protocol import parse
from serving.state import State, state_of

router = APIRouter(prefix="/admin/scorer", route_class=audit.Audited)
DAY_S = 86_400.0
USUAL = CanaryPlan()


class ShadowWanted(BaseModel):
    """A scorer version that is to score the champion's traffic."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Number


class CanaryWanted(BaseModel):
    """A version that is to answer a share of the traffic (`registry.canary_plan`). override: why, although its gate has not passed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Number
    share: Share = USUAL.share
    by: Literal["session", "key"] = USUAL.by
    floor: Points = USUAL.floor
    harm: Points = USUAL.harm
    audited: Annotated[float, Field(gt=0, le=1)] = USUAL.audited
    then: Literal["wait", "promote"] = USUAL.then
    override: Reason | None = None


@router.get("/shadow")
async def shadow(request: Request, days: Annotated[float, Query(gt=0, le=3650)] = 30.0) -> Response:
    """What the shadow would have decided in the last `days`, beside what the champion did (`monitoring.policies.shadows`).

    What its choices are worth is the monitor's last estimate (`monitoring.policies.shadow_value`).
    """
    state = state_of(request)
    told, champion = state.beside.shown(state.scorer.value)["shadow"], _champion(state)
    comparison = None
    if told["version"] is not None and champion is not None:
        since = state.records.now() - days * DAY_S
        found = await asyncio.to_thread(shadows.compare, state.records, champion, str(told["version"]), since)
        everywhere = await asyncio.to_thread(shadow_value.read, state.settings.var / "reports", champion, str(told["version"]))
        comparison = found.as_dict(everywhere) | {"dropped": state.shadowing.dropped}
    return json_response({**told, "champion": champion, "served_by": _served_by(state, "shadow"), "comparison": comparison})


@router.post("/shadow")
async def start_shadow(request: Request) -> Response:
    """Starts the job that makes a version the shadow."""
    state = state_of(request)
    wanted, _ = parse(ShadowWanted, await read(request, state.settings.max_request_bytes))
    audit.note(request, version=wanted.version)
    return await submitted.answer(state, "shadow", {"version": wanted.version})


@router.delete("/shadow")
async def stop_shadow(request: Request) -> Response:
    """Starts the job after which there is no shadow."""
    return await submitted.answer(state_of(request), "shadow", {"version": None})


@router.get("/canary")
async def show_canary(request: Request) -> Response:
    """The canary's plan, and what the audits say of it so far (`monitoring.policies.canary`)."""
    state = state_of(request)
    told, champion = state.beside.shown(state.scorer.value)["canary"], _champion(state)
    published = state.beside.loaded("canary", state.scorer.value).published
    found = None
    if isinstance(published, PublishedCanary) and champion is not None:
        found = await asyncio.to_thread(_look, state.records, champion, published)
    return json_response({**told, "champion": champion, "served_by": _served_by(state, "canary"), "canary": found})


@router.post("/canary")
async def start_canary(request: Request) -> Response:
    """Starts the job that has a version answer a share of the traffic."""
    state = state_of(request)
    wanted, _ = parse(CanaryWanted, await read(request, state.settings.max_request_bytes))
    audit.note(request, version=wanted.version, override=wanted.override)
    plan = wanted.model_dump(exclude={"version", "override"})
    return await submitted.answer(state, "canary", {"version": wanted.version, "plan": plan, "override": wanted.override})


@router.delete("/canary")
async def end_canary(request: Request, reason: Annotated[str, Query(max_length=500)] = "a person ended it") -> Response:
    """Starts the job after which the champion answers everything."""
    return await submitted.answer(state_of(request), "canary", {"version": None, "reason": reason})


def _look(records: RecordStore, champion: str, published: PublishedCanary) -> dict[str, Any]:
    return canary.look(records, champion, published).as_dict()


def _served_by(state: State, alias: str) -> dict[str, str]:
    """By which rule the champion answers, and the version beside it: each by its own certificate, as it would alone."""
    champion = state.scorer.value
    beside = state.beside.loaded(alias, champion).active
    if champion is None or beside is None or state.pool.value is None:
        return {}
    return {"champion": certified.rule(state, champion).name, "beside": certified.rule(state, beside).name}


def _champion(state: State) -> str | None:
    return None if state.scorer.value is None else state.scorer.value.version
