"""POST /v1/chat/completions: the answer, recorded before it leaves."""

import asyncio
import time
import uuid

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from mixture.run.account import Account
from scorer.errors import RouteMoAError
from scorer.near_matches import did_you_mean
from serving import routing
from serving.body import read, unless_disconnected
from serving.completion import Completion
from serving.errors import ModelUnknown
from serving.protocol import ChatRequest, parse
from serving.recording import ServedRequest
from serving.responses import error_response, json_response
from serving.routing import why_not
from serving.state import State, answer_headers_of, holder_of, state_of
from serving.streaming import streamed
from serving.virtual_models import VIRTUAL

router = APIRouter()
CLIENT_GONE = 499  # nginx's; nobody reads it but our metrics


@router.post("/v1/chat/completions")
async def chat_completions(request: Request) -> Response:
    """A chat completion by a virtual model or an LLM of the pool, streamed or whole."""
    state, started = state_of(request), time.perf_counter()
    chat, written = parse(ChatRequest, await read(request, state.settings.max_request_bytes))
    holder = holder_of(request)
    scored = await routing.scored_request(state, chat, written, holder) if chat.model in VIRTUAL else None
    to_answer = routing.request_to_named_llm(state, chat, written, holder) if scored is None else scored.request
    if to_answer is None:
        raise model_unknown(state, chat.model)
    decision_id = uuid.uuid4().hex
    tab = await state.gate.open(holder, to_answer, answer_headers_of(request), named=scored is None)
    to_answer = tab.within(to_answer)
    account = Account.of(to_answer.options)
    served = ServedRequest(state, decision_id, chat, scored, to_answer, started, account, holder.name, tab)
    completion = Completion(decision_id, chat.model, int(time.time()), scored, chat.routemoa.explain)
    try:
        if chat.stream:
            return await streamed(request, served, completion)
        decision = await unless_disconnected(request, served.answer())
    except ClientDisconnect as exc:
        await served.keep_failure(exc)
        return Response(status_code=CLIENT_GONE)
    except asyncio.CancelledError as exc:
        await asyncio.shield(served.keep_failure(exc))
        raise
    except RouteMoAError as exc:
        if served.is_refused_by(exc):
            await tab.close(account)
            raise tab.reason(exc) from exc
        await served.keep_failure(exc)
        return error_response(tab.reason(exc), {"x-routemoa-decision": decision_id})
    except Exception:  # a fault of ours is charged, too
        tab.close_later(account)
        raise
    await served.keep(decision)
    return json_response(completion.whole(decision), headers={"x-routemoa-decision": decision_id})


def model_unknown(state: State, name: str) -> ModelUnknown:
    """The refusal of a `model` nobody can call, with the near ones."""
    names = [*VIRTUAL, *(llm.id for llm in state.llms.llms if why_not(llm) is None)]
    listed = next((llm for llm in state.llms.llms if llm.id == name), None)
    what = f"The model {name!r} does not exist" if listed is None else f"The LLM {name!r} cannot be called ({why_not(listed)})"
    return ModelUnknown(f"{what}.", next_step=f"{did_you_mean(name, names)} GET /v1/models lists all.", param="model")
