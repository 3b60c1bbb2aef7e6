"""One request's way to the LLMs: every call passes here, under the request's one budget and deadline."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from mixture.choose.options import Options
from mixture.choose.ranking import Candidate, late_after_s
from mixture.client.protocol import Call, Chunk, Client, Reply
from mixture.client.request_size import worst_case_usd
from mixture.decision import Failure
from mixture.errors import LLMFailed, LLMGarbled, LLMTimedOut, NoAnswer, Why
from mixture.llm import LLM, Message
from mixture.snapshot import Snapshot

Clock = Callable[[], float]  # monotonic seconds
MOST_REPLACED = 2
MOST_RETRIES = 4  # of all calls of a request together: when much is broken, retries must not multiply the load

_NO_ANSWER: Mapping[Why, tuple[str, str]] = {
    "failed": ("Every LLM asked failed.", "Check the endpoints in pool.yaml."),
    "deadline": ("The deadline passed before an LLM answered.", "Give the request more time."),
    "budget": ("No LLM is certain to answer within the budget.", "Raise budget_usd, or lower max_tokens."),
    "nobody": ("No LLM may answer this request.", "Loosen what it asks for, or add an LLM."),
}


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """A call that may be made: its worst-case cost is set aside from the budget."""

    call: Call
    most_usd: float


@dataclass(slots=True)
class Ledger:
    """Made for one request and dropped with it.

    held: the calls that run, were cut off or broke, and attempts before the last one: what may still be charged.
    retried: attempts that failed and were followed by another.
    """

    client: Client
    clock: Clock
    options: Options
    request: Mapping[str, Any]
    started_at: float
    given: Snapshot | None = None
    replies: list[Reply] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    errors: list[LLMFailed] = field(default_factory=list)
    held: list[Reservation] = field(default_factory=list)
    retried: list[Failure] = field(default_factory=list)

    @property
    def spent_usd(self) -> float:
        """Cost of the replies so far."""
        return math.fsum(reply.cost_usd for reply in self.replies)

    @property
    def unsettled_usd(self) -> float:
        """At most what the calls without a reply may cost on top."""
        return math.fsum(each.most_usd for each in self.held)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request began."""
        return self.clock() - self.started_at

    @property
    def remaining_s(self) -> float:
        """Seconds to the deadline, infinite without one."""
        return math.inf if self.options.deadline is None else self.options.deadline - self.clock()

    def hold(self, llm: LLM, messages: Sequence[Message], fields: Mapping[str, Any] | None = None) -> Reservation | None:
        """A call with the request's own fields, further `fields` and the deadline.

        None where, with all that is held, it could pass the budget.
        """
        call = Call(llm, messages, {**self.request, **(fields or {})}, self.options.deadline)
        attempt = Reservation(call, worst_case_usd(call))
        held = replace(attempt, call=replace(call, again=partial(self._again, attempt)))
        return held if self._set_aside(held) else None

    def patience_s(self, candidate: Candidate, successor: Candidate | None, messages: Sequence[Message]) -> float:
        """How long one LLM is waited for before another is asked in its place.

        For ever where there is no other, or too little money or time left for its answer, and once MOST_REPLACED failed: where
        several are late, asking more of them would make it worse.
        """
        late_s = late_after_s(candidate, self.options)
        if successor is None or len(self.failures) >= MOST_REPLACED or late_s + (successor.latency_s or 0.0) > self.remaining_s:
            return math.inf
        return late_s if self._has_room(worst_case_usd(Call(successor.llm, messages, self.request))) else math.inf

    async def ask(self, held: Reservation, patience_s: float = math.inf) -> Reply:
        """One complete reply. Raises LLMFailed."""
        with self._accounted(held):
            async with self._in_time(patience_s):
                reply = await self.client.ask(held.call)
        self._settle(held, reply)
        return reply

    async def stream(self, held: Reservation, patience_s: float = math.inf) -> AsyncGenerator[Chunk, None]:
        """The same in pieces, the last with the reply; only the first has to be there in `patience_s`.

        Raises LLMFailed, before the first chunk or after any.
        """
        async with _closing(self.client.stream(held.call)) as chunks:
            while True:
                with self._accounted(held):
                    async with self._in_time(patience_s):
                        chunk = await anext(chunks, None)
                    patience_s = math.inf
                    if chunk is None:
                        raise LLMGarbled(held.call.llm.id, "the stream ended without its reply.")
                if chunk.reply is not None:
                    self._settle(held, chunk.reply)
                yield chunk
                if chunk.reply is not None:
                    return

    def pieces(self, held: Reservation, patience_s: float, *, live: bool) -> AsyncGenerator[Chunk, None]:
        """`stream` where the caller wants the answer as it is written, else one chunk that is all of it."""
        return self.stream(held, patience_s) if live else self._whole(held, patience_s)

    def failed(self, layer: int, failure: LLMFailed) -> None:
        """Writes down a call that brought no answer."""
        self.errors.append(failure)
        self.failures.append(self._written(layer, failure))

    def no_answer(self, why: Why) -> NoAnswer:
        """The error of a request to which nobody answered."""
        told = " ".join(f"{each.llm}: {each.error}." for each in self.failures)
        what, next_step = _NO_ANSWER[why]
        return NoAnswer(f"{what} {told}".strip(), why=why, failures=self.errors, next_step=next_step)

    async def _whole(self, held: Reservation, patience_s: float) -> AsyncGenerator[Chunk, None]:
        reply = await self.ask(held, patience_s)
        yield Chunk(reply.text, reply=reply)

    def _set_aside(self, held: Reservation) -> bool:
        """Takes a call's worst case out of the budget; False where that has no room for it."""
        if not self._has_room(held.most_usd):
            return False
        self.held.append(held)
        return True

    def _has_room(self, most_usd: float) -> bool:
        budget_usd = self.options.budget_usd
        return budget_usd is None or self.spent_usd + self.unsettled_usd + most_usd <= budget_usd

    def _again(self, attempt: Reservation, failed: LLMFailed) -> bool:
        """Whether an attempt that failed may be followed by another; where it may be charged, the next one needs money of its own."""
        if len(self.retried) >= MOST_RETRIES or (failed.billable and not self._set_aside(replace(attempt))):
            return False
        self.retried.append(self._written(0, failed))
        return True

    def _written(self, layer: int, failure: LLMFailed) -> Failure:
        cost_usd, input_tokens, output_tokens = failure.paid
        return Failure(
            layer=layer,
            llm=failure.llm,
            error=type(failure).__name__,
            what=failure.what,
            billable=failure.billable,
            cost_usd=cost_usd,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            at_s=self.elapsed_s,
        )

    def _in_time(self, patience_s: float) -> asyncio.Timeout:
        limit_s = min(patience_s, self.remaining_s)
        return asyncio.timeout(None if math.isinf(limit_s) else limit_s)

    def _settle(self, held: Reservation, reply: Reply) -> None:
        self.held.remove(held)
        self.replies.append(reply)

    @contextmanager
    def _accounted(self, held: Reservation) -> Iterator[None]:
        """Lets go of the money held for a call that failed for free; the end of the patience or the deadline is the LLM's time-out."""
        try:
            yield
        except LLMFailed as failed:
            if not failed.billable:
                self.held.remove(held)
            raise
        except TimeoutError as exc:
            what = "the request's deadline passed" if self.remaining_s <= 0 else "given up, being later than it usually is,"
            raise LLMTimedOut(held.call.llm.id, f"{what} after {self.elapsed_s:.2f} s.") from exc


@asynccontextmanager
async def _closing(chunks: AsyncIterator[Chunk]) -> AsyncIterator[AsyncIterator[Chunk]]:
    """`chunks`, closed at the end where they can be, which ends the work at the endpoint."""
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
