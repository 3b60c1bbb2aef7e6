"""GET /v1/decisions/{id}: the record of a served request, with what came of it."""

from fastapi import APIRouter, Request, Response

from serving.answers.answer_ids import decision_of
from serving.errors import DecisionUnknown
from serving.json_answers import json_response
from serving.state import holder_of, state_of

router = APIRouter()


@router.get("/v1/decisions/{decision_id}")
async def decision(request: Request, decision_id: str) -> Response:
    """The record, without embedding and text, for the key that asked and for `admin`."""
    record = await state_of(request).records.get(decision_of(decision_id))
    if record is None or not holder_of(request).sees(record["asked_by"]):
        raise DecisionUnknown(f"No decision is called {decision_id!r}.", next_step="It is `routemoa.decision_id` of an answer.")
    return json_response(record)
