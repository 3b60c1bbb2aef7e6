"""One request, in whatever dialect, from its bytes to an answer that is recorded before it leaves."""

import asyncio
import time
import uuid

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mixture.run.account import Account
from scorer.errors import RouteMoAError
from serving.answers import answer_headers
from serving.answers.recording import ServedRequest
from serving.answers.streaming import streamed
from serving.choice import routing
from serving.choice.named import model_unknown
from serving.choice.virtual_models import VIRTUAL
from serving.dialects.dialect import Arrived, Dialect
from serving.json_answers import json_response
from serving.request.body import read, unless_disconnected
from serving.state import answer_headers_of, holder_of, state_of

CLIENT_GONE = 499  # nginx's; nobody reads it but our metrics


async def answered(request: Request, dialect: Dialect) -> Response:
    """The answer by a virtual model or an LLM of the pool, streamed or whole. Errors that it raises leave in the dialect of the address."""
    state, started, holder = state_of(request), time.perf_counter(), holder_of(request)
    content = await read(request, state.settings.max_request_bytes)
    asked = await dialect.read(Arrived(content, request.headers, holder, state))
    chat = asked.chat
    scored = None
    if chat.model in VIRTUAL:
        scored = await routing.scored_request(state, chat, asked.written, holder, asked.native, headers=request.headers)
    to_answer = routing.request_to_named_llm(state, chat, asked.written, holder, asked.native) if scored is None else scored.request
    if to_answer is None:
        raise model_unknown(state, chat.model, dialect=dialect.name)
    decision_id = uuid.uuid4().hex
    tab = await state.gate.open(holder, to_answer, answer_headers_of(request), named=scored is None)
    to_answer = state.exploration.drawn(tab.within(to_answer))
    account = Account.of(to_answer.options)
    served = ServedRequest(state, decision_id, chat, scored, to_answer, started, account, holder.name, tab)
    answer = asked.answer(decision_id, int(time.time()), scored)
    try:
        if chat.stream:
            return await streamed(request, served, answer)
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
        return dialect.error(tab.reason(exc), {"x-routemoa-decision": decision_id})
    except Exception:  # a fault of ours is charged, too
        tab.close_later(account)
        raise
    await served.keep(decision)
    await answer.keep(decision)
    return json_response(answer.whole(decision), headers={**answer.headers, **answer_headers.at_the_end(decision_id, scored, decision)})
