"""/admin/records and /admin/traffic: what was served, to look up, and in figures."""

import asyncio
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from monitoring.records.record_search import Wanted, search
from monitoring.records.traffic import Traffic
from serving.admin import audit
from serving.json_answers import json_response
from serving.state import state_of

router = APIRouter(prefix="/admin", route_class=audit.Audited)
Words = Annotated[str | None, Query(max_length=200)]
Name = Annotated[str | None, Query(max_length=256)]
MOST_HOURS = 24 * 366


@router.get("/records")
async def records(
    request: Request,
    *,
    words: Words = None,
    llm: Name = None,
    model: Name = None,
    status: Literal["ok", "error"] | None = None,
    domain: Name = None,
    asked_by: Name = None,
    version: Name = None,
    judged: bool | None = None,
    before: Annotated[int | None, Query(ge=1)] = None,
    most: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Records that fit, the newest first; `next` is the `before` of the next page, null where this is the last."""
    wanted = Wanted(words, llm, model, status, domain, asked_by, version, judged, before)
    found = await asyncio.to_thread(search, state_of(request).records, wanted, most + 1)
    page = found[:most]
    return json_response({"records": page, "next": page[-1]["number"] if len(found) > most else None})


@router.get("/traffic")
async def traffic(
    request: Request,
    hours: Annotated[float, Query(gt=0, le=MOST_HOURS)] = 24.0,
    parts: Annotated[int, Query(ge=1, le=96)] = 24,
) -> Response:
    """The last `hours` in figures: totals, `parts` spans of time, by LLM, and promised quality by domain."""
    now = time.time()
    window = Traffic(state_of(request).records, now - 3600 * hours, now)
    return json_response({"hours": hours} | await asyncio.to_thread(_figures, window, parts))


def _figures(window: Traffic, parts: int) -> dict[str, Any]:
    return {
        "totals": window.totals(),
        "over_time": window.over_time(parts),
        "by_llm": window.by_llm(),
        "promised": window.promised(),
    }
