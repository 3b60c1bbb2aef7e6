"""GET /admin/savings: what routing saved, net, against always asking one LLM, by day, key or domain; /admin/savings.csv: the same lines.

    {"since": "2026-11-01", "until": "2026-11-30", "by": "day", "baseline": "gpt-4o", "assumed": "...", "total": ROW, "rows": [ROW, ...]}

A ROW:

    {"name": "2026-11-02", "requests": 120, "failed": 2, "routed": 110, "explored": 3, "unpriced": 0, "spent_usd": 1.23, "routed_usd": 1.1,
     "others_usd": 0.2, "failed_usd": 0.01, "rebilled_usd": 0.03, "explored_usd": 0.02, "judged_usd": 0.05, "compared": 108,
     "baseline_usd": 3.1, "saved_usd": 1.95, "saved_share": 0.63,
     "quality": {"change": -0.012, "low": -0.04, "high": 0.02, "audits": 41, "baseline_audits": 22, "why": ""}}

baseline_usd, saved_usd and saved_share are null where nothing was compared; low and high where quality is not known, as `why` says then.
"""

import asyncio
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from monitoring.savings.savings import By, Savings, report
from serving.admin import audit
from serving.json_answers import json_response
from serving.state import state_of

router = APIRouter(prefix="/admin", route_class=audit.Audited)


async def _found(
    request: Request,
    since: date | None = None,
    until: date | None = None,
    by: By = "day",
    baseline: Annotated[str | None, Query(max_length=256)] = None,
) -> Savings:
    """since, until: UTC days, both counted; unsaid, the last 30. baseline: unsaid, the LLM with the best mean score."""
    state = state_of(request)
    return await asyncio.to_thread(lambda: report(state.records, state.llms, since=since, until=until, by=by, baseline=baseline))


Found = Annotated[Savings, Depends(_found)]


@router.get("/savings")
async def savings(found: Found) -> Response:
    """What was spent and saved, and what quality was given up; with its total."""
    return json_response(found.as_dict())


@router.get("/savings.csv")
async def as_csv(found: Found) -> Response:
    """The lines alone, as CSV."""
    return Response(found.csv(), media_type="text/csv; charset=utf-8")
