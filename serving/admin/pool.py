"""/admin/llms and /admin/prices: who is in the pool; an LLM is checked, joins, gets another price, retires."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mixture.llm import LLM
from registry import asking_cost, named_prices, pool
from registry.entry_price import PriceEntry, entry_of
from registry.errors import JoiningRefused, PoolRefused, PriceUnknown, ProbeFailed
from registry.joining import join, parsed, probe, with_joining_defaults
from registry.prices import genai
from registry.validation_errors import explain
from serving.access import allowed_endpoints
from serving.admin import audit, submitted
from serving.choice.routing import why_not
from serving.json_answers import json_response
from serving.request.body import read
from serving.request.protocol import parse
from serving.state import State, state_of

router = APIRouter(prefix="/admin", route_class=audit.Audited)
Ask = Callable[..., Awaitable[LLM]]  # `join` or `probe`


class Joining(BaseModel):
    """An LLM to add: its id, and the fields of a pool entry (checked by registry.joining); unsaid, it joins by row, asked few queries."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    id: Annotated[str, Field(min_length=1, max_length=64)]


class Change(BaseModel):
    """What of an entry is to be another. price: as in pool.yaml; null: unknown, and not chosen where cost counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    status: Literal["active", "retired"] | None = None
    price: dict[str, Any] | None = None


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
    _, llm = await _probed(request, state, join)
    await state.pool.refresh()
    cost = await asyncio.to_thread(asking_cost.told, state.settings.home, llm.id)
    job = await asyncio.to_thread(state.jobs.submit, "retrain", {"reason": f"{llm.id} joined", "llm": llm.id})
    return json_response({"llm": _llm(llm), "job": asdict(job), "asking": cost and asdict(cost)}, status=submitted.ACCEPTED)


@router.post("/llms/check")
async def check_llm(request: Request) -> Response:
    """Probes an LLM that may join and says what asking it would cost; nothing is written."""
    state = state_of(request)
    entry, llm = await _probed(request, state, probe)
    cost = await asyncio.to_thread(asking_cost.told, state.settings.home, llm.id, entry)
    return json_response({"llm": _llm(llm), "asking": cost and asdict(cost), "says": cost and str(cost)})


@router.patch("/llms/{llm_id}")
async def change_llm(request: Request, llm_id: str) -> Response:
    """Gives an LLM another price, retires it or takes it back. Servers follow within seconds, training at the next."""
    state = state_of(request)
    wanted, written = parse(Change, await read(request, state.settings.max_request_bytes))
    audit.note(request, llm=llm_id, changed=", ".join(written))
    fields = {name: value for name, value in wanted.model_dump().items() if name in written and (value is not None or name == "price")}
    if not fields:
        raise PoolRefused("Nothing was named to change.", next_step="Send a status or a price.")
    if fields.get("price") is not None:
        fields["price"] = _price_entry(fields["price"]).spelled_out()
    llm = await asyncio.to_thread(pool.change, state.settings.pool_file, llm_id, fields)
    await state.pool.refresh()
    return json_response(_llm(llm))


@router.get("/prices")
async def price(
    name: Annotated[str, Query(min_length=1, max_length=256)], provider: Annotated[str | None, Query(max_length=64)] = None
) -> Response:
    """The published price of an LLM by its name, as a pool entry has it. Raises PriceUnknown, naming near ones."""
    named = await asyncio.to_thread(named_prices.named, name, provider)
    entry = None if named is None else entry_of(named.price)
    if named is None or entry is None:
        raise PriceUnknown(f"No price is published for {name!r}.", next_step=await asyncio.to_thread(_near, name))
    return json_response({"published_as": named.published_as, "price": entry.spelled_out()})


async def _probed(request: Request, state: State, ask: Ask) -> tuple[dict[str, Any], LLM]:
    """The entry that a request describes, and the LLM once `ask` was content with it. Raises as `registry.joining.probe`."""
    wanted, entry = await _wanted(request, state)
    try:
        return entry, await ask(wanted.id, entry, pool_file=state.settings.pool_file, client=state.client)
    except ProbeFailed as exc:
        raise _told(wanted, exc) from exc


async def _wanted(request: Request, state: State) -> tuple[LLM, dict[str, Any]]:
    """The LLM that a request describes, at an address that admin keys may name, and its entry."""
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
    return wanted, entry


def _told(wanted: LLM, failed: ProbeFailed) -> JoiningRefused:
    """What stands at an address is not for whoever can name one."""
    said = failed.error if failed.status is None else f"{failed.error}, HTTP {failed.status}"
    return JoiningRefused(f"{wanted.id} does not answer its probe ({said}).", next_step="Check address, served name and key.")


def _price_entry(written: dict[str, Any]) -> PriceEntry:
    try:
        return PriceEntry.model_validate(written)
    except ValidationError as exc:
        raise PoolRefused(explain(exc, PriceEntry, where="price"), next_step="Correct the price.") from exc


def _near(name: str) -> str:
    """What may be meant."""
    try:
        genai.published(name, datetime.now(UTC).date())
    except PriceUnknown as exc:
        return exc.next_step
    return "Give its rates by hand."


def _llm(llm: Any) -> dict[str, Any]:
    """JSON-ready; sets are sorted lists."""
    return {name: _plain(value) for name, value in asdict(llm).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return sorted(value) if isinstance(value, frozenset) else value
