"""From a chat request to one for the mixture: scores of the query, candidates of the pool, and the options in force."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate
from mixture.choose.restrict import Requested, restrict
from mixture.choose.strategy import Strategy
from mixture.client.native import Native
from mixture.llm import LLM
from mixture.run.bounded_fields import unbounded
from mixture.run.request import Request
from scorer.recorded_calls import RecordedCalls
from scorer.types import Floats
from serving.access.keys import KeyEntry
from serving.choice import certified, learned, unfamiliar
from serving.choice.virtual_models import VIRTUAL
from serving.errors import LLMNotAllowed, RequestRefused
from serving.observed.latency import RequestSize
from serving.request.protocol import ChatRequest, passed_on
from serving.request.querytext import query_text
from serving.scorers.active_scorer import Active
from serving.scorers.beside import Assigned
from serving.scorers.scored_request import NO_QUERY, Asked, ScoredRequest
from serving.sessions.naming import name_of
from serving.sessions.turn import SessionTurn
from serving.state import State

NO_HEADERS: Mapping[str, str] = {}


async def scored_request(
    state: State,
    chat: ChatRequest,
    written: Mapping[str, Any],
    holder: KeyEntry,
    native: Native | None = None,
    *,
    headers: Mapping[str, str] = NO_HEADERS,
    by: Active | None = None,
) -> ScoredRequest:
    """Scores the request of a key with the version in force; its deadline counts from before. Raises NotReady without one.

    headers: the request's, among which may be its session's name.
    by: the version, where it is not the traffic that says which.
    """
    champion, messages, asked = state.active, written["messages"], Asked(chat, written, holder, native)
    name = name_of({**written, **(chat.model_extra or {}), "routemoa": {"session": chat.routemoa.session}}, headers)
    turn = await state.sessions.open(holder.id, name, messages, passed_on(written))
    assigned = Assigned(by) if by is not None else state.beside.assign(champion, holder.id, turn, name.text, messages)
    active = assigned.active
    asking, text = _asking(state, active, asked, turn), query_text(messages, active.scorer.manifest.max_tokens, state.settings.harness)
    if turn is not None and (kept := turn.kept_scores(active.version)) is not None:
        request = asking.of(kept)
        if not request.may_switch():
            return ScoredRequest(active, text, kept, NO_QUERY, request, asked, session=turn.scored(active.version, kept))
    started = time.perf_counter()
    prediction = await asyncio.get_running_loop().run_in_executor(state.scoring, active.scorer.score, [text])
    state.metrics.scoring.observe(time.perf_counter() - started)
    scores = dict(zip(active.scorer.roster, map(float, prediction.scores_QL[0]), strict=True))
    turn = turn and turn.scored(active.version, scores)
    query_D = prediction.queries_QD[0]
    request = asking.learnt(scores, query_D)
    scored = ScoredRequest(active, text, scores, query_D, request, asked, session=turn, unit=assigned.unit)
    return unfamiliar.applied(state.settings.unfamiliar, scored)


def by_another(state: State, active: Active, scored: ScoredRequest, scores: Mapping[str, float], query_D: Floats) -> ScoredRequest:
    """What the version `active`, which gives these scores, makes of a request that another one was asked for. Raises as it would."""
    asking = _asking(state, active, scored.asked, scored.session)
    request = asking.learnt(scores, query_D)
    other = ScoredRequest(active, scored.text, scores, query_D, request, scored.asked, session=scored.session, unit=scored.unit)
    return unfamiliar.applied(state.settings.unfamiliar, other)


def _asking(state: State, active: Active, asked: Asked, turn: SessionTurn | None) -> "_Asking":
    """What is asked of a version. Raises RequestRefused."""
    chat, written, holder = asked.chat, asked.written, asked.holder
    virtual, rule = VIRTUAL[chat.model], certified.rule(state, active)
    strategy = virtual.strategy(state.settings, active.posterior)
    options = restricted(
        rule.options(virtual.options(state.settings)), chat, written, holder, strategy, budgeted=bool(state.gate.limits(holder))
    )
    messages, fields = written["messages"], passed_on(written)
    explore = state.exploration.of(holder, wanted=chat.routemoa.explore, certified=rule.certified)
    session = None if turn is None else turn.session()
    bare = Request(messages, (), options, strategy, fields, native=asked.native, session=session, explore=explore)
    return _Asking(state, active, holder, rule, RequestSize.of(messages, fields), turn, bare)


@dataclass(frozen=True, slots=True)
class _Asking:
    """What a request asks for, but for the scores. bare: the request without candidates."""

    state: State
    active: Active
    holder: KeyEntry
    rule: certified.Rule
    size: RequestSize
    turn: SessionTurn | None
    bare: Request

    def of(self, scores: Mapping[str, float]) -> Request:
        """The request with the LLMs that have a score and can be called as candidates."""
        pool = {llm.id: llm for llm in self.state.llms.llms}
        uncallable = cannot_be_called(scores, pool) | not_allowed(scores, self.holder)
        uncallable |= self.rule.excluded(llm for llm in scores if llm not in uncallable)
        candidates = tuple(self._candidate(pool[llm], score) for llm, score in scores.items() if llm not in uncallable)
        return replace(self.bare, candidates=candidates, uncallable=uncallable)

    def learnt(self, scores: Mapping[str, float], query_D: Floats) -> Request:
        """The same by scores with what was learnt since; not under a certificate, which was measured on the scorer's own choices."""
        known = None if self.rule.certified else learned.of_version(self.state, self.active.version)
        return self.of(scores) if known is None else learned.applied(known, scores, query_D, self.of)

    def _candidate(self, llm: LLM, score: float) -> Candidate:
        recorded, turn = self.active.scorer.recorded_calls.get(llm.id), self.turn
        candidate = self.rule.candidate(_candidate(self.state, llm, score, self.size, recorded), recorded)
        if turn is None:
            return candidate
        caches = turn.writes_cache and candidate.llm.price.cache_write is not None
        return replace(candidate, cached_tokens=turn.cached_tokens(candidate.llm), caches=caches)


def request_to_named_llm(
    state: State, chat: ChatRequest, written: Mapping[str, Any], holder: KeyEntry, native: Native | None = None
) -> Request | None:
    """The request to the LLM of the pool that it names, None where there is none that can be called. Raises LLMNotAllowed."""
    llm = next((llm for llm in state.llms.llms if llm.id == chat.model and why_not(llm) is None), None)
    if llm is None:
        return None
    if not holder.may_use(llm.id):
        next_step = f"It may use {', '.join(holder.llms or ())}."
        raise LLMNotAllowed(f"The key {holder.name!r} may not use {llm.id}.", next_step=next_step)
    options = restricted(state.settings.mixture.options(), chat, written, holder, budgeted=bool(state.gate.limits(holder)))
    size = RequestSize.of(written["messages"], passed_on(written))
    unsized = replace(
        _candidate(state, llm, 0.0, size, state.recorded_calls.get(llm.id)), input_tokens=None
    )  # nobody asked whether the request fits
    return Request(written["messages"], (unsized,), options, fields=passed_on(written), native=native)


def _candidate(state: State, llm: LLM, prior: float, size: RequestSize, recorded: RecordedCalls | None) -> Candidate:
    llm = llm.priced_at(datetime.now(UTC))
    return state.silences.applied(state.experience.candidate(llm, prior, size, recorded), time.monotonic())


def restricted(
    operator: Options,
    chat: ChatRequest,
    written: Mapping[str, Any],
    holder: KeyEntry,
    strategy: Strategy | None = None,
    *,
    budgeted: bool = False,
) -> Options:
    """The operator's options, narrowed by what this key may do, and by what this request asks for.

    budgeted: whether the key or the platform has a budget, which this request has to hold, too.
    Raises RequestRefused for a weight that would widen them, and for a field that no budget can hold.
    """
    if holder.data_policy is not None:
        operator = restrict(operator, Requested(data_policy=frozenset(holder.data_policy)))
    requested = chat.routemoa.requested(operator, time.monotonic())
    if requested.weights is not None:
        _refuse_wider(operator.weights, requested.weights)
    options = restrict(operator, requested, synthesis=strategy is not None and strategy.synthesis_gain(0.0, operator) > 0)
    if (budgeted or options.budget_usd is not None) and (field := unbounded(passed_on(written))) is not None:
        whose = "this key has a budget" if options.budget_usd is None else f"this request has a budget of {options.budget_usd:g} USD"
        what = f"{field}: a call with it may cost more than can be reserved, and {whose}."
        next_step = "Leave the field out, or say max_tokens where it limits the answer."
        raise RequestRefused(what, next_step=next_step, param=field)
    return options


def _refuse_wider(operator: Weights, requested: Weights) -> None:
    """Weights are no limits that the tighter one of two could hold: what is not obeyed is said."""
    for name, wider in (
        ("quality", requested.quality > operator.quality),
        ("usd", requested.usd < operator.usd),
        ("second", requested.second < operator.second),
        ("kwh", requested.kwh < operator.kwh),
    ):
        if wider:
            allowed, wanted = getattr(operator, name), getattr(requested, name)
            raise RequestRefused(
                f"routemoa.weights.{name}: {wanted:g} would let a request cost more than this server allows, whose weight is {allowed:g}.",
                next_step=f"Give {allowed:g} or {'less' if name == 'quality' else 'more'}, or leave it out.",
                param=f"routemoa.weights.{name}",
            )


def not_allowed(roster: Iterable[str], holder: KeyEntry) -> dict[str, str]:
    """Roster id -> why this key may not use it."""
    return {llm: "this key may not use it" for llm in roster if not holder.may_use(llm)}


def cannot_be_called(roster: Iterable[str], pool: Mapping[str, LLM]) -> dict[str, str]:
    """Roster id -> why it cannot be called."""
    return {llm: why for llm in roster if (why := why_not(pool.get(llm))) is not None}


def why_not(llm: LLM | None) -> str | None:
    """Why an LLM cannot be called at all, None where it can."""
    if llm is None:
        return "not in the pool"
    if llm.status == "retired":
        return "retired"
    return "recorded, not served" if llm.endpoint is None else None
