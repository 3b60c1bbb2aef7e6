"""Writes down what was served, before it is acknowledged."""

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from mixture.choose.action import Action
from mixture.decision import Decision
from mixture.errors import LLMFailed, NoAnswer
from mixture.run.account import Account
from mixture.run.calls import Emit
from mixture.run.request import Request
from monitoring.errors import RecordNotKept
from monitoring.records.redaction import redact, redact_texts
from monitoring.records.store import Record
from scorer.errors import RouteMoAError
from serving.access.gate import Tab
from serving.choice import shadow_scoring
from serving.events import RecordLost
from serving.request.protocol import ChatRequest
from serving.request.querytext import query_text
from serving.scorers.scored_request import NO_QUERY, ScoredRequest
from serving.state import State
from serving.tracing.finished import Finished

log = structlog.get_logger("serving")

WORDS = frozenset({"text", "what", "stopped_because"})  # of a decision: what may hold an answer's or an endpoint's words
LEAST_WAIT_S = 2.0  # for the disk, where the deadline has passed: a commit takes milliseconds, on a very busy machine a second
MOST_WAIT_S = 30.0
MOST_TEXT_TOKENS = 4096  # of a passed-through conversation, where texts are stored


@dataclass(frozen=True, slots=True)
class ServedRequest:
    """One request that is answered. scored: what the scorer made of it, None where it names an LLM. started: `time.perf_counter`.

    account: what it spends, however it ends. asked_by: the name of the key. tab: what its key is charged.
    """

    state: State
    decision_id: str
    chat: ChatRequest
    scored: ScoredRequest | None
    request: Request
    started: float
    account: Account
    asked_by: str
    tab: Tab

    async def answer(self, emit: Emit | None = None) -> Decision:
        """By the LLMs that are chosen, or by the one that the request names."""
        answer = self.state.mixture.pass_through if self.scored is None else self.state.mixture.answer
        return await answer(self.request, emit, self.account)

    def is_refused_by(self, error: RouteMoAError) -> bool:
        """Whether no LLM may answer, or not the one that the request names: the caller's fault, kept as little as a malformed request.

        Recorded, such requests would fill drift windows with what nobody was asked.
        """
        return isinstance(error, NoAnswer) and (error.why in {"nobody", "too_long"} or self.scored is None)

    async def keep(self, decision: Decision) -> None:
        """Returns when the answer may leave. Raises RecordNotKept: then it may not."""
        texts = self.state.settings.store_text
        tree = redact_texts(decision.as_dict(), WORDS) if texts else decision.as_dict(texts=False)
        self._count()
        self._count_exploration(decision.action)
        try:
            await self._append(
                decision=tree,
                llm=decision.llm,
                cost_usd=decision.cost_usd,
                input_tokens=decision.input_tokens,
                output_tokens=decision.output_tokens,
                status="ok",
            )
        except RecordNotKept as exc:
            self._trace(decision, exc)
            raise
        self._trace(decision)
        scored, metrics = self.scored, self.state.metrics
        if scored is not None and scored.session is not None:
            llms = {each.llm.id: each.llm for each in self.request.candidates}
            await self.state.sessions.answered(scored.session, decision, self.account, llms)
        metrics.answers.labels(self.chat.model, decision.llm or "synthesis").inc()
        if scored is not None and shadow_scoring.wanted(self.state, scored):
            self.state.shadowing.note(self.decision_id, scored)

    async def keep_failure(self, error: BaseException) -> None:
        """Keeps a request that got no answer, with what it spent; that it failed is said to the caller in any case."""
        account, action = self.account, self._action()
        tree = redact_texts(failure_tree(error, account, action, texts=self.state.settings.store_text), WORDS)
        self._count()
        if account.ledger.spent_usd + account.ledger.unsettled_usd:
            self._count_exploration(action)
        if self.scored is not None and self.scored.session is not None:
            await self.state.sessions.failed(self.scored.session, self.account)
        try:
            await self._append(
                decision=tree,
                llm=None,
                cost_usd=account.ledger.spent_usd,
                input_tokens=account.input_tokens,
                output_tokens=account.output_tokens,
                status="error",
            )
        except RecordNotKept:
            return  # told as an event already; the caller gets the first error
        finally:
            self._trace(error=error)

    def _trace(self, decision: Decision | None = None, error: BaseException | None = None) -> None:
        self.state.tracing.finish(
            lambda: Finished(
                decision_id=self.decision_id,
                model=self.chat.model,
                streamed=bool(self.chat.stream),
                asked_by=self.asked_by,
                scorer_version="" if self.scored is None else self.scored.active.version,
                messages=self.request.messages,
                llms={each.llm.id: each.llm for each in self.request.candidates},
                account=self.account,
                decision=decision,
                error=error,
                ended_at=time.monotonic(),
            )
        )

    async def _append(self, **what: Any) -> None:
        scored, state = self.scored, self.state
        record = Record(
            id=self.decision_id,
            created_at=time.time(),
            virtual_model=self.chat.model,
            scorer_version="" if scored is None else scored.active.version,
            roster=() if scored is None else tuple(scored.scores),
            scores=() if scored is None else tuple(scored.scores.values()),
            embedding=NO_QUERY if scored is None else scored.query_D,
            latency_s=time.perf_counter() - self.started,
            domain=self.chat.routemoa.domain,
            asked_by=self.asked_by,
            text=redact(self._text()) if state.settings.store_text else None,
            **what,
        )
        try:
            await state.records.append(record, within_s=self._time_left())
        except RecordNotKept as exc:
            state.events.emit(RecordLost(self.decision_id, str(exc)))
            raise
        finally:
            await self.tab.close(self.account)

    def _time_left(self) -> float:
        deadline = self.request.options.deadline
        return MOST_WAIT_S if deadline is None else max(deadline - time.monotonic(), LEAST_WAIT_S)

    def _text(self) -> str:
        return query_text(self.request.messages, MOST_TEXT_TOKENS, self.state.settings.harness) if self.scored is None else self.scored.text

    def _count(self) -> None:
        """Every call of the request, whatever came of it."""
        metrics, account = self.state.metrics, self.account
        for reply, kwh in zip(account.replies, account.kwh, strict=True):
            metrics.calls.labels(reply.llm).inc()
            if kwh is None:
                metrics.unmetered.labels(reply.llm).inc()
            else:
                metrics.energy.labels(reply.llm).inc(kwh)
            metrics.cost.labels(reply.llm).inc(reply.cost_usd)
            if not reply.cost_known:
                metrics.unpriced.labels(reply.llm).inc()
            self.state.stated_costs.compare(reply, time.monotonic())
        for failed in account.failed:
            metrics.failures.labels(failed.error.llm, type(failed.error).__name__).inc()
            self._log(failed.error)
        metrics.unsettled.inc(account.ledger.unsettled_usd)
        metrics.tokens.labels("in").inc(account.input_tokens)
        metrics.tokens.labels("out").inc(account.output_tokens)
        self.state.silences.note(account.replies, [failed.error for failed in account.failed], time.monotonic())
        self.state.experience.note(self.request, account, self.state.recorded_calls)

    def _action(self) -> Action | None:
        """Who was asked first, of a request without an answer; None where it named its LLM, or where nobody could be asked."""
        if self.scored is None:
            return None
        try:
            return self.request.with_requirements().opened()[1]
        except NoAnswer:
            return None

    def _count_exploration(self, action: Action | None) -> None:
        if action is None or not action.explored:
            return
        self.state.exploration.note(action)
        self.state.metrics.explored.labels(action.first).inc()
        self.state.metrics.exploration.inc(max(0.0, action.extra_usd))

    def _log(self, error: LLMFailed) -> None:
        """A call that brought no answer, also where another LLM answered; an endpoint's own words may repeat a prompt."""
        facts = {"llm": error.llm, "error": type(error).__name__, "status": error.status, "decision": self.decision_id}
        with suppress(OSError):  # a full disk
            log.warning("a call brought no answer", **facts)


def failure_tree(error: BaseException, account: Account, action: Action | None = None, *, texts: bool) -> dict[str, Any]:
    """What is kept of a request that got no answer, and of what it spent; without `texts` nothing that an endpoint said.

    action: who was asked first, so that failures of those that chance chose can be counted. calls: those that were answered, and paid.
    unsettled_usd: at most what calls that were cut off or broke may cost on top.
    """
    name = type(error).__name__
    own_words = texts or isinstance(error, NoAnswer)  # any other error may repeat an endpoint's
    kept = [failure if texts else failure.without_words() for failure in account.failures()]
    return {
        "error": name,
        "stopped_because": (str(error) if own_words or not str(error) else name) or "the caller hung up",
        "failures": [{"llm": failure.llm, "error": failure.error, "what": failure.what} for failure in kept],
        "action": None if action is None else asdict(action),
        "calls": [
            {"llm": each.llm, "cost_usd": each.cost_usd, "input_tokens": each.input_tokens, "output_tokens": each.output_tokens}
            for each in account.replies
        ],
        "cost_usd": account.ledger.spent_usd,
        "unsettled_usd": account.ledger.unsettled_usd,
        "energy_kwh": account.energy_kwh,
        "unmetered": list(account.unmetered),
    }
