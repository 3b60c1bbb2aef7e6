"""POST /v1/feedback: how good a served answer was."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from serving.body import read
from serving.errors import DecisionUnknown
from serving.protocol import parse
from serving.responses import json_response
from serving.state import state_of

router = APIRouter()


class Feedback(BaseModel):
    """One report; the last one of a decision counts. `source` says who judged (`user`, `audit`, `grader:exact` ...)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    decision_id: Annotated[str, Field(min_length=1, max_length=64)]
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    source: Annotated[str, Field(pattern="^[a-z][a-z0-9:_-]{0,39}$")] = "user"


@router.post("/v1/feedback")
async def feedback(request: Request) -> Response:
    """Keeps the outcome; answered only when it is durable."""
    state = state_of(request)
    report, _ = parse(Feedback, await read(request, state.settings.max_request_bytes))
    decision_id = report.decision_id.removeprefix("chatcmpl-")
    if not await state.records.report_outcome(decision_id, report.score, report.source):
        raise DecisionUnknown(
            f"No decision is called {report.decision_id!r}.", next_step="It is `routemoa.decision_id` of an answer.", param="decision_id"
        )
    return json_response({"decision_id": decision_id, "score": report.score, "source": report.source})
