"""One request's way to the LLMs: every call passes here, under the request's one ledger and deadline."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from mixture.choose.options import Options
from mixture.choose.ranking import Candidate
from mixture.choose.session import Session
from mixture.client import signed_thinking
from mixture.client.native import Native
from mixture.client.protocol import LOGPROBS, Call, Chunk, Client, Reply
from mixture.errors import LLMCutOff, LLMFailed, LLMGarbled, LLMOverloaded, LLMTimedOut, NoAnswer, Why
from mixture.llm import LLM, Message
from mixture.run.account import Account, FailedCall
from mixture.run.ledger import Ledger, Reservation

Clock = Callable[[], float]  # monotonic seconds
Emit = Callable[[Chunk], Awaitable[None]]  # takes an answer's chunks as they are written
SHARE_OF_TIME = 0.6  # of what is left to the deadline, that an LLM gets which nobody has seen answer; others need the rest
MOST_REPLACED = 2
LEAST_SILENCE_S = 1.0  # however short the operator's deadline is
MOST_RETRIES = 4  # of all calls of a request together: when much is broken, retries must not multiply the load
RETRY_AFTER_S = 0.2  # where nobody is left to ask and the endpoint names no wait
MOST_RETRY_AFTER_S = 5.0  # a longer wait is told to the caller, who knows whether he has the time

_NO_ANSWER: Mapping[Why, tuple[str, str]] = {
    "failed": ("Every LLM asked failed.", "Check the endpoints in pool.yaml."),
    "deadline": ("The deadline passed before an LLM answered.", "Give the request more time."),
    "budget": ("No LLM is certain to answer within the budget.", "Raise budget_usd, or lower max_tokens."),
}


@dataclass(slots=True)
class Calls:
    """Made for one request and dropped with it. fields: of the OpenAI request. account: what its calls bring and cost.

    session: what is known of the request's session: another LLM's provider state is left out of its messages.
    """

    client: Client
    clock: Clock
    options: Options
    fields: Mapping[str, Any]
    account: Account
    session: Session | None = None
    started_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = self.account.started_at = self.clock()

    @property
    def ledger(self) -> Ledger:
        """The request's money."""
        return self.account.ledger

    @property
    def failed(self) -> Sequence[FailedCall]:
        """The calls that brought no answer."""
        return self.account.failed

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request began."""
        return self.clock() - self.started_at

    @property
    def remaining_s(self) -> float:
        """Seconds to the deadline, infinite without one."""
        return math.inf if self.options.deadline is None else self.options.deadline - self.clock()

    def reserve(
        self,
        llm: LLM,
        messages: Sequence[Message],
        fields: Mapping[str, Any] | None = None,
        *,
        alone: bool = False,
        native: Native | None = None,
    ) -> Reservation | None:
        """A call with the request's own fields and further `fields`, None where the budget has no room for it.

        alone: nobody else can answer, so the client may try again by itself. native: `Request.native`, where nothing is added to it.
        """
        optional = frozenset(LOGPROBS.keys() - self.fields.keys())  # what the caller asked for is not ours to leave out
        sent = {**self.fields, **(fields or {})}
        if (
            self.session is not None
            and (bare := signed_thinking.without(messages, self.session.foreign_until(llm.id, len(messages)))) is not messages
        ):
            messages, native = bare, None  # the caller's own request would bring it
        call = Call(llm, messages, sent, self.options.deadline, silent_after_s=self._silent_after_s, optional=optional, native=native)
        return self.ledger.reserve(replace(call, may_retry=partial(self._may_retry, call, self.elapsed_s) if alone else _never))

    def late_after_s(self, candidate: Candidate) -> float:
        """How long a call that starts now may take before it is late."""
        return min(candidate.late_after_s, SHARE_OF_TIME * self.remaining_s) if candidate.unproven else candidate.late_after_s

    def replace_after_s(self, candidate: Candidate, successor: Candidate | None, messages: Sequence[Message]) -> float:
        """How long one LLM is waited for before another is asked in its place.

        For ever where there is no other, or too little money or time left for its answer, and once MOST_REPLACED were late: asking
        more of them would make it worse.
        """
        late_s = self.late_after_s(candidate)
        late = sum(isinstance(each.error, LLMTimedOut) for each in self.failed)
        if successor is None or late >= MOST_REPLACED or late_s + (successor.latency_s or 0.0) > self.remaining_s:
            return math.inf
        return late_s if self.ledger.has_room(Call(successor.llm, messages, self.fields)) else math.inf

    async def ask(self, reserved: Reservation, late_s: float, *, limit_s: float = math.inf, emit: Emit | None = None) -> Reply:
        """The reply. With `emit` it is streamed: `emit` gets each chunk, and only the first has to be there in `limit_s`.

        late_s: seconds after which it is late, and a deadline that passes then is the LLM's fault.
        Raises LLMFailed, before the first chunk or after any.
        """
        started = self.clock()
        try:
            if emit is not None:
                return await self._stream(reserved, late_s, limit_s, emit)
            with self._accounted(reserved, late_s):
                async with self._in_time(limit_s):
                    reply = await self.client.ask(reserved.call)
        except LLMFailed as failed:
            failed.took_s = self.clock() - started
            raise
        self._settle(reserved, reply)
        return reply

    def fail(self, layer: int, error: LLMFailed) -> None:
        """Writes down a call that brought no answer."""
        self.account.failed.append(FailedCall(layer, error, self.elapsed_s))

    def next_retry(self, layer: int) -> FailedCall | None:
        """The call of `layer` that is worth another attempt now that nobody else is left to ask: each LLM once, the shortest wait first."""
        retried = self.account.retried
        if len(retried) >= MOST_RETRIES:
            return None
        before = {each.error.llm for each in retried}
        worth_it = [each for each in self.failed if each.layer == layer and each.error.llm not in before and _may_pass(each.error)]
        return min((each for each in worth_it if self._wait_s(each) < self.remaining_s), key=self._wait_s, default=None)

    def retry(self, failed: FailedCall) -> float:
        """Writes down that another attempt follows a failed call; the seconds after which it may."""
        self.account.failed.remove(failed)
        self.account.retried.append(failed)
        return self._wait_s(failed)

    def no_answer(self, why: Why) -> NoAnswer:
        """The error of a request to which nobody answered, though somebody might have."""
        what, next_step = _NO_ANSWER[why]
        reasons = [f"{each.error.llm}: {type(each.error).__name__}." for each in self.failed]
        return NoAnswer(" ".join([what, *reasons]), why=why, failures=[each.error for each in self.failed], next_step=next_step)

    async def _stream(self, reserved: Reservation, late_s: float, limit_s: float, emit: Emit) -> Reply:
        began = False
        async with _closing(self.client.stream(reserved.call)) as chunks:
            while True:
                with self._accounted(reserved, late_s, began=began):
                    async with self._in_time(limit_s):
                        chunk = await anext(chunks, None)
                    began, late_s, limit_s = True, math.inf, math.inf
                    if chunk is None:
                        raise LLMGarbled(reserved.call.llm.id, "the stream ended without its reply.")
                if chunk.reply is not None:
                    self._settle(reserved, chunk.reply)
                await emit(chunk)
                if chunk.reply is not None:
                    return chunk.reply

    def _may_retry(self, call: Call, since_s: float, failed: LLMFailed) -> bool:
        """Whether an attempt that failed may be followed by another. since_s: when its call began."""
        failed.took_s = self.elapsed_s - since_s
        if len(self.account.retried) >= MOST_RETRIES or not _may_pass(failed) or not self.ledger.reserve_retry(call, failed):
            return False
        self._note_paid(call.llm, failed, 0.0)
        self.account.retried.append(FailedCall(0, failed, self.elapsed_s))
        return True

    def _wait_s(self, failed: FailedCall) -> float:
        """Seconds until a failed call should be tried again."""
        return max(0.0, failed.at_s + (_retry_after_s(failed.error) or RETRY_AFTER_S) - self.elapsed_s)

    def _in_time(self, limit_s: float) -> asyncio.Timeout:
        limit_s = min(limit_s, self.remaining_s)
        return asyncio.timeout(None if math.isinf(limit_s) else limit_s)

    def _settle(self, reserved: Reservation, reply: Reply) -> None:
        self.ledger.settle(reserved, reply.cost_usd)
        self.account.note(reply, self.elapsed_s, reserved.call.llm.energy)

    @contextmanager
    def _accounted(self, reserved: Reservation, late_s: float, *, began: bool = False) -> Iterator[None]:
        """Frees the money of a call that failed for free; says of one that was given up whether it was late.

        began: whether a part of the answer was there, which may be charged whatever the error is.
        """
        started = self.clock()
        try:
            yield
        except LLMCutOff as exc:
            raise self._given_up(reserved.call.llm, self.clock() - started, late_s) from exc
        except LLMFailed as failed:
            if isinstance(failed, LLMTimedOut):
                failed.waited_s = self.clock() - started
            failed.billable = failed.billable or began
            self.ledger.fail(reserved, failed)
            self._note_paid(reserved.call.llm, failed, self.clock() - started)
            raise
        except TimeoutError as exc:
            raise self._given_up(reserved.call.llm, self.clock() - started, late_s) from exc

    def _note_paid(self, llm: LLM, failed: LLMFailed, waited_s: float) -> None:
        """A reply that was of no use and whose tokens the endpoint counted was one all the same."""
        cost_usd, input_tokens, output_tokens = failed.paid
        if any(failed.paid):
            reply = Reply(failed.llm, "", "error", input_tokens, output_tokens, cost_usd, waited_s)
            self.account.note(reply, self.elapsed_s, llm.energy)

    def _given_up(self, llm: LLM, waited_s: float, late_s: float) -> LLMTimedOut:
        """The error of a call that the request ended: at its deadline, or because it was later than it may be."""
        at_deadline = self.remaining_s <= 0
        kind = LLMCutOff if at_deadline and waited_s < late_s else LLMTimedOut
        what = "the request's deadline passed" if at_deadline else "given up, being later than it usually is,"
        error = kind(llm.id, f"{what} after {self.elapsed_s:.2f} s.")
        error.waited_s = waited_s
        return error

    @property
    def _silent_after_s(self) -> float:
        """How long an LLM may say nothing before that is its fault whoever's deadline ends it: never, where the caller set that."""
        if self.options.own_deadline or self.options.deadline is None:
            return math.inf
        return max(LEAST_SILENCE_S, SHARE_OF_TIME * (self.options.deadline - self.started_at))


def _never(_: LLMFailed) -> bool:
    return False


def _may_pass(failed: LLMFailed) -> bool:
    """Whether the error may pass, and soon enough for whoever waits for the answer."""
    return failed.retryable and (_retry_after_s(failed) or 0.0) <= MOST_RETRY_AFTER_S


def _retry_after_s(failed: LLMFailed) -> float | None:
    return failed.retry_after_s if isinstance(failed, LLMOverloaded) else None


@asynccontextmanager
async def _closing(chunks: AsyncIterator[Chunk]) -> AsyncIterator[AsyncIterator[Chunk]]:
    """`chunks`, closed at the end where they can be, which ends the work at the endpoint."""
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
