"""/admin: the pool, the active scorer and jobs. What takes long or needs MLflow is a job; the worker process does it."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from registry import asking_cost
from registry.errors import JoiningRefused, ProbeFailed
from registry.jobs import Job, Kind
from registry.joining import join, parsed, with_joining_defaults
from registry.pool import train_jointly
from serving import allowed_endpoints, audit, certified
from serving.body import read
from serving.protocol import parse
from serving.responses import json_response
from serving.routing import why_not
from serving.state import State, state_of

router = APIRouter(prefix="/admin", route_class=audit.Audited)
ACCEPTED = 202


class Joining(BaseModel):
    """An LLM to add: its id, and the fields of a pool entry (checked by registry.joining); unsaid, it joins by row, asked few queries."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    id: Annotated[str, Field(min_length=1, max_length=64)]


class Promotion(BaseModel):
    """A scorer version to make champion. `override`: why, although its gate has not passed; it is recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Annotated[str, Field(pattern="^[0-9]{1,9}$")]
    override: Annotated[str, Field(min_length=1, max_length=500)] | None = None


class Retraining(BaseModel):
    """A retraining by a person's wish.

    full: from now on no LLM joins by its row, all are trained together. harvest: served queries that can be graded are taken in first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["retrain"]
    reason: Annotated[str, Field(min_length=1, max_length=500)] = "a person asked for it"
    full: bool = False
    harvest: bool = False


@router.get("/llms")
async def llms(request: Request) -> Response:
    """Every LLM of the pool, whether it can be called, and whether the active scorer knows it."""
    state = state_of(request)
    roster = state.scorer.value.scorer.roster if state.scorer.value else ()
    listed = [_llm(llm) | {"uncallable": why_not(llm), "in_roster": llm.id in roster} for llm in state.llms.llms]
    return json_response({"llms": listed, "not_in_pool": [llm for llm in roster if llm not in {each["id"] for each in listed}]})


@router.post("/llms")
async def add_llm(request: Request) -> Response:
    """Probes an LLM, adds it to the pool and starts the job that asks it, labels its answers and retrains; says what asking will cost."""
    state = state_of(request)
    _, written = parse(Joining, await read(request, state.settings.max_request_bytes))
    entry = with_joining_defaults({name: value for name, value in written.items() if name != "id"})
    audit.note(request, llm=written["id"])
    wanted = parsed(written["id"], entry)
    endpoint, settings = wanted.endpoint, state.settings
    if endpoint is not None:
        audit.note(request, llm=wanted.id, base_url=endpoint.base_url, api_key_env=endpoint.api_key_env)
        await state.pool.refresh()
        named = {"hosts": settings.admin_hosts, "variables": settings.admin_key_variables}
        allowed_endpoints.check(endpoint.base_url, endpoint.api_key_env, pool=state.llms, **named)
    try:
        llm = await join(wanted.id, entry, pool_file=settings.pool_file, client=state.client)
    except ProbeFailed as exc:  # what stands at an address is not for whoever can name one
        said = exc.error if exc.status is None else f"{exc.error}, HTTP {exc.status}"
        raise JoiningRefused(f"{wanted.id} does not answer its probe ({said}).", next_step="Check address, served name and key.") from exc
    await state.pool.refresh()
    cost = await asyncio.to_thread(asking_cost.told, state.settings.home, llm.id)
    job = await _submit(state, "retrain", {"reason": f"{llm.id} joined", "llm": llm.id})
    return json_response({"llm": _llm(llm), "job": asdict(job), "asking": cost and asdict(cost)}, status=ACCEPTED)


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
    return json_response(asdict(await _submit(state, "retrain", {"reason": wanted.reason, "harvest": wanted.harvest})), status=ACCEPTED)


@router.get("/jobs/{job_id}")
async def job(request: Request, job_id: str) -> Response:
    """One job with its progress."""
    return json_response(asdict(await asyncio.to_thread(state_of(request).jobs.require, job_id)))


@router.delete("/jobs/{job_id}")
async def cancel(request: Request, job_id: str) -> Response:
    """Cancels a job: its processes end within half a minute, what was answered and labelled is kept."""
    return json_response(asdict(await asyncio.to_thread(state_of(request).jobs.cancel, job_id)))


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


def _llm(llm: Any) -> dict[str, Any]:
    """JSON-ready; sets are sorted lists."""
    return {name: _plain(value) for name, value in asdict(llm).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return sorted(value) if isinstance(value, frozenset) else value
