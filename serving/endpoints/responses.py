"""POST /v1/responses, and DELETE of one that is kept."""

from fastapi import APIRouter, Request, Response

from serving.answers.answering import answered
from serving.dialects.spoken import RESPONSES
from serving.errors import PreviousResponseUnknown
from serving.json_answers import json_response
from serving.state import holder_of, state_of

router = APIRouter()


@router.post(RESPONSES.path)
async def responses(request: Request) -> Response:
    """A response by a virtual model or an LLM of the pool, streamed or whole."""
    return await answered(request, RESPONSES)


@router.delete(f"{RESPONSES.path}/{{response_id}}")
async def forget(request: Request, response_id: str) -> Response:
    """Forgets what was kept of it, where it is this key's."""
    if not await state_of(request).kept_responses.forget(holder_of(request).id, response_id):
        raise PreviousResponseUnknown(
            f"Response with id {response_id!r} not found: it is unknown, of another key, or no longer kept.",
            next_step="Nothing is left to delete, unless another key made it: then send that one.",
            param="response_id",
        )
    return json_response({"id": response_id, "object": "response", "deleted": True})
