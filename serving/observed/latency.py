"""What a request's call to an LLM is expected to take: as recorded at first, and as seen in this process while the LLM is asked."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mixture.choose.ranking import PATIENCE, TOKENS_IN, TOKENS_OUT, Candidate
from mixture.choose.work import work
from mixture.client.request_size import expected_input_tokens, most_output_tokens
from mixture.errors import LLMTimedOut
from mixture.llm import LLM, Message
from mixture.run.account import Account
from mixture.run.calls import Clock
from mixture.run.request import Request
from scorer.recorded_calls import RecordedCalls
from serving.observed.calls import Means, SeenCalls

SURE = 0.4  # weight of what was seen, from which on an LLM's pace here is known: five calls of late, or two dozen in the last day
# Recorded seconds may be another machine's: where nothing else is known, a call is not late before it took so many times as long.
PATIENCE_ELSEWHERE = 8.0
LEAST_PATIENCE_S = 1.0  # a network or a scheduler may hesitate so long


@dataclass(frozen=True, slots=True)
class RequestSize:
    """How much a request asks for. input_tokens: as far as its characters tell. fields: of the OpenAI request."""

    input_tokens: int
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, messages: Sequence[Message], fields: Mapping[str, Any]) -> "RequestSize":
        """Of a request with these messages and fields."""
        return cls(expected_input_tokens(messages, fields), fields)

    @property
    def choices(self) -> int:
        """Answers asked for (`n`), which are written side by side."""
        return self.fields.get("n") or 1


@dataclass(frozen=True, slots=True)
class Expected:
    """Of one call. uncut_tokens, output_tokens: of one answer, without and with the request's limit.

    latency_s, usual_s, patience_s: as `mixture.choose.ranking.Candidate` has them.
    """

    uncut_tokens: float
    output_tokens: float
    work: float
    latency_s: float | None
    usual_s: float | None
    patience_s: float | None


@dataclass(slots=True)
class Experience:
    """Means of the calls of each LLM. They start from what was recorded and fade back to it. clock: monotonic seconds.

    What is expected counts the calls that were given up; what is late is told by those that were answered. Else an LLM would be waited for
    the longer the later it is.
    """

    clock: Clock = time.monotonic
    _seen: dict[str, SeenCalls] = field(default_factory=dict)  # by LLM id
    _answered: dict[str, SeenCalls] = field(default_factory=dict)  # of these, the calls that were answered

    def candidate(self, llm: LLM, prior: float, size: RequestSize, recorded: RecordedCalls | None) -> Candidate:
        """`llm` as a candidate for a request of this size; its latency is unknown where neither a record nor a call shows it."""
        expected = self._expected(llm, size, recorded)
        return Candidate(
            llm,
            prior,
            input_tokens=size.input_tokens,
            output_tokens=max(1, round(expected.output_tokens * size.choices)),
            latency_s=expected.latency_s,
            usual_s=expected.usual_s,
            patience_s=expected.patience_s,
        )

    def note(self, request: Request, account: Account, recorded: Mapping[str, RecordedCalls]) -> None:
        """Takes in a request's answers, and the calls that were waited for in vain: each would have taken at least so long.

        An answer that was cut counts as long as others are: without the limit it would have been longer. An aggregator that did not answer
        says nothing, for it was asked more than the request.
        """
        size, now_s = RequestSize.of(request.messages, request.fields), self.clock()
        expected = {each.llm.id: self._expected(each.llm, size, recorded.get(each.llm.id)) for each in request.candidates}
        for reply in account.replies:
            written = reply.output_tokens / size.choices
            uncut = max(written, expected[reply.llm].uncut_tokens) if reply.finish_reason == "length" else written
            call = Means(reply.latency_s, work(reply.input_tokens, written), uncut)
            for calls in (self._seen, self._answered):
                calls[reply.llm] = calls.get(reply.llm, SeenCalls()).after(call, now_s)
        for failed in account.failed:
            error = failed.error
            if isinstance(error, LLMTimedOut) and failed.layer > 0:
                usual = expected[error.llm]
                call = Means(max(error.waited_s, usual.latency_s or 0.0), usual.work, usual.uncut_tokens)
                self._seen[error.llm] = self._seen.get(error.llm, SeenCalls()).after(call, now_s)

    def _expected(self, llm: LLM, size: RequestSize, recorded: RecordedCalls | None) -> Expected:
        seen, answered = (calls.get(llm.id, SeenCalls()).faded(self.clock()) for calls in (self._seen, self._answered))
        recorded = recorded or _elsewhere(llm)
        usual = seen.before(recorded) or Means(None, 1.0, min(TOKENS_OUT, llm.decoding.max_tokens))
        output_tokens = min(usual.output_tokens, most_output_tokens(llm, size.fields))
        done = work(size.input_tokens, output_tokens)
        latency_s, usual_s = (_latency_s(means, done) for means in (usual, answered.before(recorded)))
        return Expected(usual.output_tokens, output_tokens, done, latency_s, usual_s, _patience_s(latency_s, usual_s, answered.weight))


def _elsewhere(llm: LLM) -> RecordedCalls | None:
    """A usual call as others saw it, where its pool entry has their pace."""
    output_tokens = min(TOKENS_OUT, llm.decoding.max_tokens)
    return None if llm.pace is None else RecordedCalls(1, TOKENS_IN, output_tokens, llm.pace.latency_s(output_tokens))


def _latency_s(means: Means | None, done: float) -> float | None:
    """Of a call of so much work, None where nobody knows."""
    return None if means is None or means.latency_s is None else means.latency_s / means.work * done


def _patience_s(expected_s: float | None, usual_s: float | None, answered: float) -> float | None:
    """How long to wait before a call is late, None where PATIENCE times `usual_s` is right. answered: the weight of answered calls."""
    if expected_s is None:
        return None
    if usual_s is not None and answered >= SURE and PATIENCE * usual_s >= LEAST_PATIENCE_S:
        return None
    here = 0.0 if usual_s is None else min(1.0, answered / SURE)
    return max(LEAST_PATIENCE_S, here * PATIENCE * (usual_s or 0.0) + (1.0 - here) * PATIENCE_ELSEWHERE * expected_s)
