"""Answers a request with the LLMs of the pool: ranking, layers and aggregation over one LLM client."""

import math
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from mixture.choose.options import Options
from mixture.choose.ranking import Candidate, Ranked, rank, refusal
from mixture.choose.stopping import Reason
from mixture.client.protocol import Chunk, Client, Reply, says_nothing
from mixture.client.request_size import abilities, expected_input_tokens, one_llm_only
from mixture.decision import Decision, Layer, Piece, Run, empty
from mixture.errors import LLMFailed
from mixture.llm import Message
from mixture.run.aggregation import Way
from mixture.run.final_answer import Ending, ending
from mixture.run.layers import LayerLoop
from mixture.run.ledger import Clock, Ledger, Reservation
from mixture.snapshot import Snapshot

__all__ = ["Candidate", "Mixture", "Piece"]


class Mixture:
    """Stateless between requests: everything a request changes lives in its own `Ledger` and `LayerLoop`.

    clock: monotonic seconds; `Options.deadline` is on it.
    """

    def __init__(self, client: Client, clock: Clock = time.monotonic) -> None:
        self._client, self._clock = client, clock

    async def run(
        self, messages: Sequence[Message], candidates: Sequence[Candidate], options: Options, request: Mapping[str, Any] | None = None
    ) -> Decision:
        """The whole answer. `request`: further fields of the OpenAI request, passed through to the LLMs. Raises NoAnswer."""
        decision: Decision | None = None
        async with aclosing(self._pieces(messages, candidates, options, request or {}, live=False)) as pieces:
            async for piece in pieces:
                decision = piece.decision
        if decision is None:
            raise RuntimeError("A run ended without its decision; this is a defect in mixture.run.engine.")
        return decision

    def stream(
        self, messages: Sequence[Message], candidates: Sequence[Candidate], options: Options, request: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[Piece, None]:
        """The answer in pieces, the last with the decision; close it (`aclosing`) to cancel what runs.

        Raises NoAnswer before the first piece, LLMFailed where the LLM that writes the answer fails after it began.
        """
        return self._pieces(messages, candidates, options, request or {}, live=True)

    async def _pieces(
        self, messages: Sequence[Message], candidates: Sequence[Candidate], options: Options, request: Mapping[str, Any], *, live: bool
    ) -> AsyncGenerator[Piece, None]:
        options = _demanded(options, messages, request)
        tokens = expected_input_tokens(messages, request)
        candidates = [replace(each, input_tokens=tokens) for each in candidates]
        now = self._clock()
        deadline_s = None if options.deadline is None else options.deadline - now
        given = Snapshot.of(messages, request, candidates, deadline_s=deadline_s, live=live)
        desk = Ledger(self._client, self._clock, options, request, now, given)
        answer = _one(desk, messages, candidates, live=live) if options.single else _several(desk, messages, candidates, live=live)
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                yield piece


def _demanded(options: Options, messages: Sequence[Message], request: Mapping[str, Any]) -> Options:
    """`options` with the abilities the request needs; one LLM alone where its answer could not be combined with others."""
    able = replace(options, capabilities=options.capabilities | abilities(messages, request))
    return able.as_single() if one_llm_only(messages, request) else able


async def _one(desk: Ledger, messages: Sequence[Message], candidates: Sequence[Candidate], *, live: bool) -> AsyncGenerator[Piece, None]:
    """One LLM's answer unchanged; the next in the ranking where one fails, is late or says nothing before its first word."""
    ranking = rank(candidates, desk.options)[: 1 + desk.options.spares]
    if not ranking:
        raise desk.no_answer("nobody")
    for ranked, successor in zip_longest(ranking, [each.candidate for each in ranking[1:]]):
        held = desk.hold(ranked.candidate.llm, messages)
        if held is None:
            continue
        patience_s = desk.patience_s(ranked.candidate, successor, messages)
        began = False
        try:
            async with aclosing(_spoken(desk, held, patience_s, live=live)) as chunks:
                async for chunk in chunks:
                    began = True
                    if chunk.text or chunk.raw:
                        yield Piece(chunk.text, raw=chunk.raw)
                    if chunk.reply is not None:
                        yield Piece("", _single_decision(desk, ranked, candidates, chunk.reply))
                        return
        except LLMFailed as failure:
            if began:
                raise
            desk.failed(1, failure)
        if desk.remaining_s <= 0:
            raise desk.no_answer("deadline")
    raise desk.no_answer("failed" if desk.failures else "budget")


async def _spoken(desk: Ledger, held: Reservation, patience_s: float, *, live: bool) -> AsyncGenerator[Chunk, None]:
    """An answer's chunks, kept back until one says something. Raises LLMGarbled where none does, so that another LLM can be asked."""
    silent: list[Chunk] = []
    spoken = False
    async with aclosing(desk.pieces(held, patience_s, live=live)) as chunks:
        async for chunk in chunks:
            spoken = spoken or not says_nothing(chunk)
            if chunk.reply is not None and not spoken:
                raise empty(chunk.reply)
            silent.append(chunk)
            while spoken and silent:
                yield silent.pop(0)


async def _several(
    desk: Ledger, messages: Sequence[Message], candidates: Sequence[Candidate], *, live: bool
) -> AsyncGenerator[Piece, None]:
    """Layers of LLMs, then one answer made of theirs."""
    course = LayerLoop(desk, messages, candidates)
    await course.run()
    async with aclosing(ending(course, live=live)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Ending):
                yield Piece("", _course_decision(course, piece))
            else:
                yield Piece(piece)


def _single_decision(desk: Ledger, ranked: Ranked, candidates: Sequence[Candidate], reply: Reply) -> Decision:
    scores = {each.llm.id: each.prior for each in candidates if math.isfinite(each.prior)}
    run = Run.of(reply, reply.text, at_s=desk.elapsed_s)
    layer = Layer((run,), scores, scores, latency_s=desk.elapsed_s)
    return _decision(desk, candidates, run=run, way="single", reason="single", layers=(layer,), score=ranked.quality, reply=reply)


def _course_decision(course: LayerLoop, made: Ending) -> Decision:
    run, layers = made.run, tuple(course.layers)
    score = max(course.scores[llm] for llm in course.answers) if made.way == "synthesise" else course.scores[run.llm]
    return _decision(course.desk, course.candidates, run=run, way=made.way, reason=course.stopped_because, layers=layers, score=score)


def _decision(
    desk: Ledger,
    candidates: Sequence[Candidate],
    *,
    run: Run,
    way: Way,
    reason: Reason,
    layers: tuple[Layer, ...],
    score: float,
    reply: Reply | None = None,
) -> Decision:
    synthesised = way == "synthesise"
    return Decision(
        text=run.text,
        llm=None if synthesised else run.llm,
        finish_reason=run.finish_reason,
        layers=layers,
        stopped_because=reason,
        aggregation=way,
        score=score,
        cost_usd=desk.spent_usd,
        latency_s=desk.elapsed_s,
        input_tokens=sum(each.input_tokens for each in desk.replies),
        output_tokens=sum(each.output_tokens for each in desk.replies),
        unsettled_usd=desk.unsettled_usd,
        synthesis=run if synthesised else None,
        failures=tuple(desk.failures),
        retried=tuple(desk.retried),
        excluded={each.llm.id: why for each in candidates if (why := refusal(each, desk.options)) is not None},
        options=desk.options.as_dict(),
        given=desk.given,
        reply=reply,
    )
