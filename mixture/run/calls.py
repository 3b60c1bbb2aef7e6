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
from mixture.client.protocol import Call, Chunk, Client, Reply
from mixture.errors import LLMCutOff, LLMFailed, LLMGarbled, LLMTimedOut, NoAnswer, Why
from mixture.llm import LLM, Message
from mixture.run.account import Account, FailedCall
from mixture.run.ledger import Ledger, Reservation

Clock = Callable[[], float]  # monotonic seconds
Emit = Callable[[Chunk], Awaitable[None]]  # takes an answer's chunks as they are written
SHARE_OF_TIME = 0.6  # of what is left to the deadline, that an LLM gets which nobody has seen answer; others need the rest
MOST_REPLACED = 2
LEAST_SILENCE_S = 1.0  # however short the operator's deadline is
MOST_RETRIES = 4  # of all calls of a request together: when much is broken, retries must not multiply the load

_NO_ANSWER: Mapping[Why, tuple[str, str]] = {
    "failed": ("Every LLM asked failed.", "Check the endpoints in pool.yaml."),
    "deadline": ("The deadline passed before an LLM answered.", "Give the request more time."),
    "budget": ("No LLM is certain to answer within the budget.", "Raise budget_usd, or lower max_tokens."),
}


@dataclass(slots=True)
class Calls:
    """Made for one request and dropped with it. fields: of the OpenAI request. account: what its calls bring and cost."""

    client: Client
    clock: Clock
    options: Options
    fields: Mapping[str, Any]
    account: Account
    started_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = self.clock()

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

    def reserve(self, llm: LLM, messages: Sequence[Message], fields: Mapping[str, Any] | None = None) -> Reservation | None:
        """A call with the request's own fields and further `fields`, None where the budget has no room for it."""
        call = Call(llm, messages, {**self.fields, **(fields or {})}, self.options.deadline, silent_after_s=self._silent_after_s)
        return self.ledger.reserve(replace(call, may_retry=partial(self._may_retry, call)))

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
        if emit is not None:
            return await self._stream(reserved, late_s, limit_s, emit)
        with self._accounted(reserved, late_s):
            async with self._in_time(limit_s):
                reply = await self.client.ask(reserved.call)
        self._settle(reserved, reply)
        return reply

    def fail(self, layer: int, error: LLMFailed) -> None:
        """Writes down a call that brought no answer."""
        self.account.failed.append(FailedCall(layer, error, self.elapsed_s))

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

    def _may_retry(self, call: Call, failed: LLMFailed) -> bool:
        """Whether an attempt that failed may be followed by another."""
        if len(self.account.retried) >= MOST_RETRIES or not self.ledger.reserve_retry(call, failed):
            return False
        self.account.retried.append(FailedCall(0, failed, self.elapsed_s))
        return True

    def _in_time(self, limit_s: float) -> asyncio.Timeout:
        limit_s = min(limit_s, self.remaining_s)
        return asyncio.timeout(None if math.isinf(limit_s) else limit_s)

    def _settle(self, reserved: Reservation, reply: Reply) -> None:
        self.ledger.settle(reserved, reply.cost_usd)
        self.account.replies.append(reply)

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
            raise
        except TimeoutError as exc:
            raise self._given_up(reserved.call.llm, self.clock() - started, late_s) from exc

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


@asynccontextmanager
async def _closing(chunks: AsyncIterator[Chunk]) -> AsyncIterator[AsyncIterator[Chunk]]:
    """`chunks`, closed at the end where they can be, which ends the work at the endpoint."""
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
