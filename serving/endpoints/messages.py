"""POST /v1/messages and /v1/messages/count_tokens."""

import time
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from mixture.client.native import usable
from mixture.client.native_count import NativeCount
from mixture.client.protocol import Call
from mixture.errors import LLMFailed
from serving.answers.answering import answered
from serving.choice.named import require_named
from serving.dialects.messages_count import expected_tokens
from serving.dialects.messages_request import betas_of, passed_on
from serving.dialects.messages_schema import CountRequest, parse
from serving.dialects.spoken import MESSAGES
from serving.json_answers import json_response
from serving.request.body import read
from serving.state import State, holder_of, state_of

COUNT_S = 10.0  # that an endpoint's own count is waited for
router = APIRouter()


@router.post(MESSAGES.path)
async def messages(request: Request) -> Response:
    """A message by a virtual model or an LLM of the pool, streamed or whole."""
    return await answered(request, MESSAGES)


@router.post(f"{MESSAGES.path}/count_tokens")
async def count_tokens(request: Request) -> Response:
    """The tokens of a request: counted by the endpoint that it names, if that can, else about so many. Nothing is recorded or charged."""
    state = state_of(request)
    counted, written = parse(CountRequest, await read(request, state.settings.max_request_bytes))
    require_named(state, counted.model, holder_of(request))
    exact = await _counted(state, counted.model, written, betas_of(request.headers))
    if exact is not None:
        return json_response({"input_tokens": exact})
    return json_response({"input_tokens": expected_tokens(counted)}, headers={"x-routemoa-estimated": "true"})


async def _counted(state: State, model: str, written: Mapping[str, Any], betas: str) -> int | None:
    """By the endpoint of the LLM that the request names; None where it does not speak the dialect, or cannot say."""
    native = NativeCount(passed_on(written), betas)
    llm = next((each for each in state.llms.llms if each.id == model), None)
    if llm is None or not usable(native, llm):
        return None
    try:
        reply = await state.client.ask(Call(llm, (), deadline=time.monotonic() + COUNT_S, native=native))
    except LLMFailed:
        return None
    return reply.input_tokens
