"""One LLM's answer unchanged: of those that are ranked, or of the one that the caller named."""

import asyncio
import math
from dataclasses import replace
from itertools import zip_longest

from mixture.choose.ranking import Candidate, Ranked
from mixture.client.protocol import Chunk, Reply, says_nothing
from mixture.decision import Decision, Layer, Run
from mixture.errors import LLMFailed
from mixture.run.calls import Calls, Emit
from mixture.run.decided import decided
from mixture.run.first_word import ask_from_first_word
from mixture.run.ledger import Reservation
from mixture.run.request import Request


async def answer_alone(calls: Calls, request: Request, emit: Emit | None) -> Decision:
    """The first LLM's answer; the next one's where one fails, is late or says nothing before its first word.

    Once all have failed, those whose failure may pass are asked again.
    """
    opened, action = request.opened()
    ranking = opened[: 1 + request.options.spares]
    for ranked, successor in zip_longest(ranking, [each.candidate for each in ranking[1:]]):
        reserved = calls.reserve(ranked.candidate.llm, request.messages, alone=len(ranking) == 1, native=request.native)
        replace_after_s = calls.replace_after_s(ranked.candidate, successor, request.messages)
        if reserved is not None and (reply := await _asked(calls, ranked, reserved, replace_after_s, emit)) is not None:
            return replace(_chosen(calls, request, ranked, reply), action=action)
    by_id = {each.id: each for each in ranking}
    while (failed := calls.next_retry(layer=1)) is not None:
        ranked = by_id[failed.error.llm]
        if (reserved := calls.reserve(ranked.candidate.llm, request.messages, native=request.native)) is None:
            break
        await asyncio.sleep(calls.retry(failed))
        if (reply := await _asked(calls, ranked, reserved, math.inf, emit)) is not None:
            return replace(_chosen(calls, request, ranked, reply), action=action)
    raise calls.no_answer("failed" if calls.failed else "budget")


async def _asked(calls: Calls, ranked: Ranked, reserved: Reservation, replace_after_s: float, emit: Emit | None) -> Reply | None:
    """The reply, None where the call failed. Raises NoAnswer once there is no time left for another."""
    late_s = calls.late_after_s(ranked.candidate)
    reply = await ask_from_first_word(calls, reserved, late_s, replace_after_s, emit, layer=1, is_empty=_brings_nothing)
    if reply is None and calls.remaining_s <= 0:
        raise calls.no_answer("deadline")
    return reply


async def pass_through(calls: Calls, candidate: Candidate, request: Request, emit: Emit | None) -> Decision:
    """The answer of one LLM, whatever it says: nobody chose it, and nobody stands in for it. Raises LLMFailed where it fails."""
    if (reserved := calls.reserve(candidate.llm, request.messages, alone=True, native=request.native)) is None:
        raise calls.no_answer("budget")
    try:
        reply = await calls.ask(reserved, calls.late_after_s(candidate), emit=emit)
    except LLMFailed as failed:
        calls.fail(1, failed)
        raise
    layer = Layer((Run.of(reply, reply.text, at_s=calls.elapsed_s),), {}, {}, latency_s=calls.elapsed_s)
    return decided(calls, (layer,), layer.runs[0], way="single", reason="passed through", score=0.0, reply=reply)  # nobody predicted one


def _brings_nothing(reply: Reply) -> bool:
    """Neither words nor a tool call."""
    return says_nothing(Chunk("", reply=reply))


def _chosen(calls: Calls, request: Request, ranked: Ranked, reply: Reply) -> Decision:
    priors = {each.llm.id: each.prior for each in request.candidates if math.isfinite(each.prior)}
    layer = Layer((Run.of(reply, reply.text, at_s=calls.elapsed_s),), priors, priors, latency_s=calls.elapsed_s)
    return decided(calls, (layer,), layer.runs[0], way="single", reason="single", score=ranked.quality, reply=reply)
