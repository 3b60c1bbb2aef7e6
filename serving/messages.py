"""POST /v1/messages and /v1/messages/count_tokens."""

from fastapi import APIRouter, Request, Response

from serving.answering import answered
from serving.body import read
from serving.dialects.messages_count import expected_tokens
from serving.dialects.messages_schema import CountRequest, parse
from serving.dialects.spoken import MESSAGES
from serving.named import require_named
from serving.responses import json_response
from serving.state import holder_of, state_of

router = APIRouter()


@router.post(MESSAGES.path)
async def messages(request: Request) -> Response:
    """A message by a virtual model or an LLM of the pool, streamed or whole."""
    return await answered(request, MESSAGES)


@router.post(f"{MESSAGES.path}/count_tokens")
async def count_tokens(request: Request) -> Response:
    """About how many tokens a request has, before anybody is asked: LLMs count differently. Nothing is recorded or charged."""
    state = state_of(request)
    counted, _ = parse(CountRequest, await read(request, state.settings.max_request_bytes))
    require_named(state, counted.model, holder_of(request))
    return json_response({"input_tokens": expected_tokens(counted)}, headers={"x-routemoa-estimated": "true"})
