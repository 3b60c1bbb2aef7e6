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
from mixture.decision import Failure
from mixture.errors import LLMFailed, LLMGarbled, LLMTimedOut, NoAnswer, Why
from mixture.llm import LLM, Message
from mixture.run.ledger import Ledger, Reservation

Clock = Callable[[], float]  # monotonic seconds
Emit = Callable[[Chunk], Awaitable[None]]  # takes an answer's chunks as they are written
PATIENCE = 2.0  # times its expected latency, after which a call is late
MOST_REPLACED = 2
MOST_RETRIES = 4  # of all calls of a request together: when much is broken, retries must not multiply the load

_NO_ANSWER: Mapping[Why, tuple[str, str]] = {
    "failed": ("Every LLM asked failed.", "Check the endpoints in pool.yaml."),
    "deadline": ("The deadline passed before an LLM answered.", "Give the request more time."),
    "budget": ("No LLM is certain to answer within the budget.", "Raise budget_usd, or lower max_tokens."),
}


def late_after_s(candidate: Candidate) -> float:
    """How long a call may take before it is late, for ever where no latency is expected."""
    return math.inf if candidate.latency_s is None else PATIENCE * candidate.latency_s


@dataclass(frozen=True, slots=True)
class FailedCall:
    """A call that brought no answer. layer: from 1, 0 for the aggregator. at_s: seconds from the request's start."""

    layer: int
    error: LLMFailed
    at_s: float

    def as_failure(self) -> Failure:
        """For the decision."""
        return Failure.of(self.layer, self.error, self.at_s)


@dataclass(slots=True)
class Calls:
    """Made for one request and dropped with it. fields: of the OpenAI request.

    retried: attempts that failed and were followed by another.
    """

    client: Client
    clock: Clock
    options: Options
    fields: Mapping[str, Any]
    ledger: Ledger = field(init=False)
    started_at: float = field(init=False)
    replies: list[Reply] = field(default_factory=list)
    failed: list[FailedCall] = field(default_factory=list)
    retried: list[FailedCall] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger, self.started_at = Ledger(self.options.budget_usd), self.clock()

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
        call = Call(llm, messages, {**self.fields, **(fields or {})}, self.options.deadline)
        return self.ledger.reserve(replace(call, may_retry=partial(self._may_retry, call)))

    def replace_after_s(self, candidate: Candidate, successor: Candidate | None, messages: Sequence[Message]) -> float:
        """How long one LLM is waited for before another is asked in its place.

        For ever where there is no other, or too little money or time left for its answer, and once MOST_REPLACED failed: where
        several are late, asking more of them would make it worse.
        """
        late_s = late_after_s(candidate)
        if successor is None or len(self.failed) >= MOST_REPLACED or late_s + (successor.latency_s or 0.0) > self.remaining_s:
            return math.inf
        return late_s if self.ledger.has_room(Call(successor.llm, messages, self.fields)) else math.inf

    async def ask(self, reserved: Reservation, limit_s: float = math.inf, emit: Emit | None = None) -> Reply:
        """The reply. With `emit` it is streamed: `emit` gets each chunk, and only the first has to be there in `limit_s`.

        Raises LLMFailed, before the first chunk or after any.
        """
        if emit is not None:
            return await self._stream(reserved, limit_s, emit)
        with self._accounted(reserved):
            async with self._in_time(limit_s):
                reply = await self.client.ask(reserved.call)
        self._settle(reserved, reply)
        return reply

    def fail(self, layer: int, error: LLMFailed) -> None:
        """Writes down a call that brought no answer."""
        self.failed.append(FailedCall(layer, error, self.elapsed_s))

    def no_answer(self, why: Why) -> NoAnswer:
        """The error of a request to which nobody answered, though somebody might have."""
        what, next_step = _NO_ANSWER[why]
        reasons = [f"{each.error.llm}: {type(each.error).__name__}." for each in self.failed]
        return NoAnswer(" ".join([what, *reasons]), why=why, failures=[each.error for each in self.failed], next_step=next_step)

    async def _stream(self, reserved: Reservation, limit_s: float, emit: Emit) -> Reply:
        async with _closing(self.client.stream(reserved.call)) as chunks:
            while True:
                with self._accounted(reserved):
                    async with self._in_time(limit_s):
                        chunk = await anext(chunks, None)
                    limit_s = math.inf
                    if chunk is None:
                        raise LLMGarbled(reserved.call.llm.id, "the stream ended without its reply.")
                if chunk.reply is not None:
                    self._settle(reserved, chunk.reply)
                await emit(chunk)
                if chunk.reply is not None:
                    return chunk.reply

    def _may_retry(self, call: Call, failed: LLMFailed) -> bool:
        """Whether an attempt that failed may be followed by another."""
        if len(self.retried) >= MOST_RETRIES or not self.ledger.reserve_retry(call, failed):
            return False
        self.retried.append(FailedCall(0, failed, self.elapsed_s))
        return True

    def _in_time(self, limit_s: float) -> asyncio.Timeout:
        limit_s = min(limit_s, self.remaining_s)
        return asyncio.timeout(None if math.isinf(limit_s) else limit_s)

    def _settle(self, reserved: Reservation, reply: Reply) -> None:
        self.ledger.settle(reserved, reply.cost_usd)
        self.replies.append(reply)

    @contextmanager
    def _accounted(self, reserved: Reservation) -> Iterator[None]:
        """Frees the money of a call that failed for free; a time-out of ours is the LLM's."""
        try:
            yield
        except LLMFailed as failed:
            self.ledger.fail(reserved, failed)
            raise
        except TimeoutError as exc:
            what = "the request's deadline passed" if self.remaining_s <= 0 else "given up, being later than it usually is,"
            raise LLMTimedOut(reserved.call.llm.id, f"{what} after {self.elapsed_s:.2f} s.") from exc


@asynccontextmanager
async def _closing(chunks: AsyncIterator[Chunk]) -> AsyncIterator[AsyncIterator[Chunk]]:
    """`chunks`, closed at the end where they can be, which ends the work at the endpoint."""
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
