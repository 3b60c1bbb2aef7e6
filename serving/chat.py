"""POST /v1/chat/completions: who answers, and the answer, recorded before it leaves."""

import asyncio
import time
import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from mixture.choose.options import restrict
from mixture.choose.posterior import AgreementPosterior
from mixture.client.request_size import worst_case_usd
from mixture.errors import NoAnswer
from registry.near_matches import did_you_mean
from scorer.errors import RouteMoAError
from serving.body import read, unless_disconnected
from serving.completion import Completion
from serving.courses import Course, PassThrough, Routed
from serving.errors import ModelUnknown
from serving.protocol import ChatRequest, parse, passed_on
from serving.recording import Served
from serving.responses import error_response, json_response
from serving.routing import VIRTUAL, plan, why_not
from serving.state import State, state_of
from serving.streaming import streamed

router = APIRouter()
CLIENT_GONE = 499  # nginx's; nobody reads it but our metrics


@router.post("/v1/chat/completions")
async def chat_completions(request: Request) -> Response:
    """A chat completion by a virtual model or an LLM of the pool, streamed or whole."""
    state, started = state_of(request), time.perf_counter()
    chat, written = parse(ChatRequest, await read(request, state.settings.max_request_bytes))
    course = await choose(state, chat, written)
    decision_id = uuid.uuid4().hex
    served = Served(state, decision_id, chat, course, started)
    completion = Completion(decision_id, chat.model, int(time.time()), course.plan, chat.routemoa.explain)
    try:
        if chat.stream:
            return await streamed(request, served, completion)
        decision = await unless_disconnected(request, course.run())
    except ClientDisconnect as exc:
        await served.keep_failure(exc)
        return Response(status_code=CLIENT_GONE)
    except asyncio.CancelledError as exc:
        await asyncio.shield(served.keep_failure(exc))
        raise
    except RouteMoAError as exc:
        await served.keep_failure(exc)
        return error_response(exc, {"x-routemoa-decision": decision_id})
    await served.keep(decision)
    return json_response(completion.whole(decision), headers={"x-routemoa-decision": decision_id})


async def choose(state: State, chat: ChatRequest, written: Mapping[str, Any]) -> Course:
    """The way this request is answered. Raises ModelUnknown, NotReady, NoAnswer."""
    if chat.model in VIRTUAL:
        return Routed(state.mixture, await plan(state, chat, written))
    llm = next((llm for llm in state.llms.llms if llm.id == chat.model and why_not(llm) is None), None)
    if llm is None:
        raise model_unknown(state, chat.model)
    operator = state.settings.mixture.options(AgreementPosterior())  # one LLM: nothing is weighed
    options = restrict(operator, chat.routemoa.requested(operator, time.monotonic()))
    if options.data_policy is not None and not options.data_policy & llm.data_policy:
        tags = ", ".join(sorted(options.data_policy)) or "none"
        raise NoAnswer(f"{llm.id}: its data policy {sorted(llm.data_policy)} has none of the allowed tags ({tags}).", why="nobody")
    course = PassThrough(state.client, llm, written["messages"], passed_on(written), options.deadline)
    if options.budget_usd is not None and (most := worst_case_usd(course.call)) > options.budget_usd:
        raise NoAnswer(
            f"{llm.id}: may cost {most:.6f} USD, the budget is {options.budget_usd} USD.", why="budget", next_step="Lower max_tokens."
        )
    return course


def model_unknown(state: State, name: str) -> ModelUnknown:
    """The refusal of a `model` nobody can call, with the near ones."""
    known = [*VIRTUAL, *(llm.id for llm in state.llms.llms if why_not(llm) is None)]
    listed = next((llm for llm in state.llms.llms if llm.id == name), None)
    what = f"The model {name!r} does not exist" if listed is None else f"The LLM {name!r} cannot be called ({why_not(listed)})"
    return ModelUnknown(f"{what}.", next_step=f"{did_you_mean(name, known)} GET /v1/models lists all.", param="model")
