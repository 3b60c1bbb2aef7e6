"""GET /admin/quality: how good served answers are, estimated from the audits, for all and by scorer version, domain, LLM and key.

    {"since": 1796040000.0, "until": 1796049276.5, "confidence": 0.95, "newest": null, "all": ESTIMATE,
     "by": {"version": {"2": ESTIMATE}, "domain": {"near law": ESTIMATE}, "llm": {...}, "key": {...}},
     "waiting": 7, "machine_usd_today": 0.012}

An ESTIMATE:

    {"answers": 812, "audited": 41, "judged": 0, "promised": 0.71, "value": 0.66, "low": 0.55, "high": 0.77, "cost_usd": 0.31,
     "weight": 0.8, "why": ""}

newest: 20000 where more were answered in this time: the estimates are of that many, the newest, alone. promised: mean promise. value
(without an audit), low and high are null where they cannot be told, and `why` then says what is missing.
"""

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from monitoring.audits.audit_queue import AuditQueue
from monitoring.quality import served_answers
from monitoring.records.store import RecordStore
from serving.json_answers import json_response
from serving.state import state_of

router = APIRouter(prefix="/admin/quality")
DAY_S = 86_400.0


@router.get("")
async def quality(
    request: Request,
    days: Annotated[float, Query(gt=0, le=3650)] = 30.0,
    confidence: Annotated[float, Query(ge=0.5, lt=1)] = 0.95,
) -> Response:
    """The estimates of the last `days`."""
    return json_response(await asyncio.to_thread(_told, state_of(request).records, days, confidence))


def _told(records: RecordStore, days: float, confidence: float) -> dict[str, Any]:
    now, queue = time.time(), AuditQueue(records)
    found = served_answers.quality(records, since=now - days * DAY_S, until=now, confidence=confidence)
    return {**found.as_dict(), "waiting": queue.count(), "machine_usd_today": queue.spent_usd(now - now % DAY_S)}
