"""/admin/keys: API keys with what each may do and spent; made, shown this once, and revoked."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from serving.access import budgets, keys, shared_keys
from serving.admin import audit
from serving.errors import RequestRefused, ScopeMissing
from serving.json_answers import json_response
from serving.request.body import read
from serving.request.protocol import parse
from serving.state import State, holder_of, state_of

router = APIRouter(prefix="/admin", route_class=audit.Audited)
CREATED = 201


class KeyWanted(BaseModel):
    """A key to make; fields as in keys.json. expires_in_days: from now on; never where unsaid."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w .@+-]+$")]
    scopes: Annotated[list[keys.Scope], Field(min_length=1)] = ["chat"]
    usd_per_day: keys.Positive | None = None
    usd_per_month: keys.Positive | None = None
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    llms: Annotated[list[str], Field(min_length=1, max_length=1000)] | None = None
    data_policy: Annotated[list[str], Field(min_length=1, max_length=32)] | None = None
    expires_in_days: Annotated[float, Field(gt=0, le=3660)] | None = None


@router.get("/keys")
async def list_keys(request: Request) -> Response:
    """Every key without its hash, its spending of this UTC day and month, and that of all keys together."""
    return json_response(await asyncio.to_thread(_listed, state_of(request), datetime.now(UTC)))


@router.post("/keys")
async def create_key(request: Request) -> Response:
    """The new key, which is shown this once. A key gives no scope that it does not have."""
    state, holder = state_of(request), holder_of(request)
    wanted, _ = parse(KeyWanted, await read(request, state.settings.max_request_bytes))
    audit.note(request, name=wanted.name, scopes=", ".join(wanted.scopes))
    lacking = sorted(set(wanted.scopes) - set(holder.scopes))
    if lacking:
        raise ScopeMissing(f"The key {holder.name!r} has no scope {lacking[0]!r} to give.", next_step="Leave it out.", param="scopes")
    for llm in wanted.llms or ():
        state.llms.by_id(llm)
    limits = wanted.model_dump(exclude={"name", "scopes", "expires_in_days"}, exclude_none=True)
    expires_at = None if wanted.expires_in_days is None else time.time() + wanted.expires_in_days * 86400
    key = await asyncio.to_thread(
        keys.create, shared_keys.store(state.settings), wanted.name, wanted.scopes, expires_at=expires_at, **limits
    )
    await state.keys.refresh()
    return json_response({"name": wanted.name, "key": key}, status=CREATED)


@router.delete("/keys/{name}")
async def revoke_key(request: Request, name: str) -> Response:
    """The key is in force no more; not the one that asks, which would lock a person out."""
    state = state_of(request)
    audit.note(request, name=name)
    if name == holder_of(request).name:
        raise RequestRefused(f"{name!r} is the key that asks.", next_step="Revoke it with another, or with `routemoa keys revoke`.")
    await asyncio.to_thread(keys.revoke, shared_keys.store(state.settings), name)
    await state.keys.refresh()
    return json_response({"name": name, "revoked": True})


def _entries(state: State) -> tuple[keys.KeyEntry, ...]:
    shared_keys.refresh(state.settings)
    return keys.read(state.settings.keys_file).entries


def _listed(state: State, now: datetime) -> dict[str, Any]:
    entries, settings = _entries(state), state.settings
    scopes = [budgets.PLATFORM, *(each.id for each in entries)]
    spends = budgets.read(settings, [place for scope in scopes for place in budgets.windows(scope, now)])
    spent = [_spent(day, month) for day, month in zip(spends[::2], spends[1::2], strict=True)]
    listed = [each.model_dump(exclude={"sha256"}) | one for each, one in zip(entries, spent[1:], strict=True)]
    return {"keys": listed, "platform": spent[0] | {"usd_per_day": settings.usd_per_day, "usd_per_month": settings.usd_per_month}}


def _spent(day: budgets.Spend, month: budgets.Spend) -> dict[str, Any]:
    return {
        "day": {"spent_usd": day.spent_usd, "held_usd": day.held_usd, "requests": day.requests},
        "month": {"spent_usd": month.spent_usd, "held_usd": month.held_usd, "requests": month.requests},
        "last_used": max((each.last_used for each in (day, month) if each.last_used is not None), default=None),
    }
