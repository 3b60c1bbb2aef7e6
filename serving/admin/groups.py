"""/admin/groups: what the unknown queries are, and what a person does about them.

`GET /admin/groups` answers with the groups of the monitor's last look, and the domains that people named:

    {"at": "2026-11-30T14:40:00+00:00" | null, "verdict": "retrain" | null, "groups": [GROUP], "named": [NAMED]}

GROUP: {"id": "5f0c...", "name": "unknown 1", "queries": 20, "share": 0.2, "tags": [], "nearest": ["reading"], "promised": 0.71,
  "audited": [4, 0.25], "cost_usd": 0.01, "words": ["tax", "income"], "growth": [6, 14],
  "examples": [{"decision_id": "...", "text": "..." | null, "distance": 0.93}], "near": [{"domain": "reading", "distance": 0.88}],
  "members": ["decision id", ...]}
NAMED: {"name": "tax", "state": "named" | "left", "named_by": "ann", "named_at": 1796049276.5, "scorer_version": "2", "queries": 34,
  "promised": 0.7, "audited": [10, 0.3], "waiting": 4, "cost_usd": 0.02}

{group} below is an id or a name, of either kind; 404 `group_not_found` where the groups have changed since.
"""

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from monitoring.audits.audit_queue import AuditQueue
from monitoring.audits.group_actions import Actions
from monitoring.drift import named_domains
from monitoring.errors import GroupUnknown
from registry import retraining_plan
from registry.jobs import Kind
from serving.admin import audit, submitted
from serving.json_answers import json_response
from serving.request.body import read
from serving.request.protocol import parse
from serving.state import holder_of, state_of

router = APIRouter(prefix="/admin/groups", route_class=audit.Audited)
MOST_AUDITED = 500


class Name(BaseModel):
    """What a group is called from now on."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=64)]


class HowMany(BaseModel):
    """How many more of its answers are drawn for an audit."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    count: Annotated[int, Field(ge=1, le=MOST_AUDITED)] = 20


@router.get("")
async def groups(request: Request) -> Response:
    """Groups of the last look, and named domains."""
    return json_response(await asyncio.to_thread(_actions(request).listed))


@router.post("/{group}/name")
async def name(request: Request, group: str) -> Response:
    """Body {"name": "tax"}: the group is a domain of that name from now on. `{"name": "tax", "members": 20, "state": "named"}`."""
    wanted, _ = parse(Name, await read(request, state_of(request).settings.max_request_bytes))
    audit.note(request, group=group, name=wanted.name)
    by = holder_of(request).name
    made = await asyncio.to_thread(lambda: _actions(request).name(group, wanted.name, by=by))
    return json_response({"name": made.name, "members": len(made.members), "state": made.state})


@router.post("/{group}/leave")
async def leave(request: Request, group: str) -> Response:
    """Nothing is to be done about it: kept and shown as `left`. Answers as `name` does."""
    audit.note(request, group=group)
    by = holder_of(request).name
    left = await asyncio.to_thread(lambda: _actions(request).leave(group, by=by))
    return json_response({"name": left.name, "members": len(left.members), "state": left.state})


@router.post("/{group}/audit")
async def draw(request: Request, group: str) -> Response:
    """Body empty or {"count": 20}: so many more of its answers are drawn. `{"group": "tax", "drawn": 20, "not_kept": 0}`.

    not_kept: drawn answers of the group that cannot be graded here, for their texts are not kept.
    """
    content = await read(request, state_of(request).settings.max_request_bytes)
    count = parse(HowMany, content)[0].count if content else HowMany().count
    audit.note(request, group=group)
    actions = _actions(request)
    drawn = await asyncio.to_thread(actions.audit, group, count)
    not_kept = await asyncio.to_thread(AuditQueue(actions.store).hidden, group)
    return json_response({"group": group, "drawn": drawn, "not_kept": not_kept})


@router.post("/{group}/harvest")
async def harvest(request: Request, group: str) -> Response:
    """Starts the job that takes its queries into the query pool (202, the job); asks no LLM."""
    return await _job(request, group, "harvest")


@router.get("/{group}/plan")
async def plan(request: Request, group: str) -> Response:
    """What a retraining for it would do, computed in a process of its own, which takes seconds; asks nobody.

    `{"plan": {"lines": ["For:", ...], "usd": 0.02, "most_usd": 5.0, "new": 12, "pending": 4, "missing": {"llm": 16}}, "why_not": null}`;
    `{"plan": null, "why_not": "..."}` where this host cannot tell: it has no query pool, or does not train.
    """
    chosen = await asyncio.to_thread(_actions(request).find, group)
    return json_response(asdict(await asyncio.to_thread(retraining_plan.told, state_of(request).settings.home, [chosen.name])))


@router.post("/{group}/retrain")
async def retrain(request: Request, group: str) -> Response:
    """Starts a retraining that harvests its queries first, and says afterwards what it bought for them (202, the job)."""
    return await _job(request, group, "retrain")


@router.delete("/{group}")
async def forget(request: Request, group: str) -> Response:
    """Takes a name back: `{"name": "tax", "forgotten": true}`; 404 where nothing is called that."""
    audit.note(request, group=group)
    if not await asyncio.to_thread(named_domains.forget, state_of(request).records, group):
        raise GroupUnknown(f"No domain was named {group!r}.", next_step="GET /admin/groups lists those that were.")
    return json_response({"name": group, "forgotten": True})


async def _job(request: Request, group: str, kind: Kind) -> Response:
    audit.note(request, group=group)
    chosen = await asyncio.to_thread(_actions(request).find, group)
    arguments = {"reason": f"a person asked for group {chosen.name}", "harvest": True, "groups": [chosen.as_arguments()]}
    return await submitted.answer(state_of(request), kind, arguments)


def _actions(request: Request) -> Actions:
    state = state_of(request)
    return Actions(state.settings.var, state.records)
