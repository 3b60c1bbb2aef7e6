"""Answers one request with the LLMs of the pool: ranking, layers and aggregation over one LLM client."""

import time
from dataclasses import replace

from mixture.choose.ranking import refusal
from mixture.choose.strategies import as_json
from mixture.client.protocol import Client
from mixture.decision import Decision
from mixture.run.account import Account
from mixture.run.calls import Calls, Clock, Emit
from mixture.run.decided import decided
from mixture.run.final_answer import final_answer
from mixture.run.layers import LayerLoop
from mixture.run.request import Request, nobody_may_answer
from mixture.run.single import answer_alone, pass_through
from mixture.snapshot import Snapshot


class Mixture:
    """Stateless between requests: everything a request changes lives in its own `Calls` and `LayerLoop`.

    clock: monotonic seconds; `Options.deadline` is on it.
    """

    def __init__(self, client: Client, clock: Clock = time.monotonic) -> None:
        self._client, self._clock = client, clock

    async def answer(self, request: Request, emit: Emit | None = None, account: Account | None = None) -> Decision:
        """The answer and how it came about. With `emit` it is streamed: `emit` is awaited with each chunk, none before the first word.

        account: the request's own, for who wants to know what it spent where it fails.
        Raises NoAnswer, before anything was emitted; LLMFailed where the LLM that writes the answer fails after it began.
        """
        request = request.with_requirements()
        calls = self._calls(request, account)
        decision = await (answer_alone if request.options.single else _answer_in_layers)(calls, request, emit)
        deadline = request.options.deadline
        snapshot = Snapshot.of(
            request.messages,
            request.fields,
            request.candidates,
            deadline_s=None if deadline is None else deadline - calls.started_at,
            streamed=emit is not None,
            session=request.session,
            explore=request.explore,
        )
        options, strategy = request.options.as_dict(), as_json(request.strategy)
        asked = [run.llm for layer in decision.layers for run in layer.runs]
        session = request.session_after(decision.llm, asked)
        return replace(decision, excluded=request.excluded(), options=options, strategy=strategy, snapshot=snapshot, session=session)

    async def pass_through(self, request: Request, emit: Emit | None = None, account: Account | None = None) -> Decision:
        """Asks the only candidate, without checking its capabilities or its answer; data policy, budget and deadline still hold.

        Raises NoAnswer where these forbid it, LLMFailed where the LLM fails.
        """
        (candidate,) = request.candidates
        unweighed = replace(request.options, capabilities=frozenset(), weights=replace(request.options.weights, usd=0.0))
        if (why := refusal(candidate, unweighed)) is not None:
            raise nobody_may_answer({candidate.llm.id: why})
        return await pass_through(self._calls(request, account), candidate, request, emit)

    def _calls(self, request: Request, account: Account | None) -> Calls:
        account = account or Account.of(request.options)
        return Calls(self._client, self._clock, request.options, request.fields, account, request.session)


async def _answer_in_layers(calls: Calls, request: Request, emit: Emit | None) -> Decision:
    """Layers of LLMs, then one answer made of theirs."""
    loop = LayerLoop(calls, request)
    await loop.run()
    way, run = await final_answer(loop, emit)
    score = max(loop.scores[llm] for llm in loop.answers) if way == "synthesise" else loop.scores[run.llm]
    decision = decided(calls, tuple(loop.layers), run, way=way, reason=loop.stopped_because, score=score)
    return replace(decision, action=loop.action)
