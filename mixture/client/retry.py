"""Whether and when a failed attempt of a call is followed by another."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

from mixture.client.protocol import Call
from mixture.client.timeouts import until_deadline
from mixture.errors import LLMFailed, LLMTimedOut

# Its own hooks log what went wrong in an endpoint's words, and with them the prompt or the key that those repeat.
stamina.instrumentation.set_on_retry_hooks([])

MOST_RETRY_AFTER_S = 30.0  # a longer wait that an endpoint asks for would hold the caller and a place of the LLM for nothing
T = TypeVar("T")


async def retried(call: Call, attempts: int, attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of `attempt`, made at most `attempts` times with growing, jittered waits between.

    Only an error that is retryable is tried again, and only where the caller (`Call.may_retry`) allows it and the wait that the endpoint
    asks for ends before the call's deadline.
    Raises the last attempt's LLMFailed.
    """
    last: LLMFailed | None = None
    left = attempts

    def retry_after(exc: Exception) -> bool | float:
        if not isinstance(exc, LLMFailed) or not exc.retryable or not left:
            return False
        wait_s = min(getattr(exc, "retry_after_s", None) or 0.0, MOST_RETRY_AFTER_S)
        in_time = call.deadline is None or time.monotonic() + wait_s < call.deadline
        return in_time and call.may_retry(exc) and (wait_s or True)

    try:
        async with until_deadline(call):
            async for trial in stamina.retry_context(on=retry_after, attempts=attempts, timeout=None, wait_initial=0.2, wait_max=5.0):
                left -= 1
                with trial:
                    try:
                        return await attempt()
                    except LLMFailed as exc:
                        last = exc
                        raise
    except LLMTimedOut as exc:
        if last is None or last is exc:
            raise
        raise last from exc  # the deadline passed while waiting to retry: what was wrong says more than that
    raise AssertionError("unreachable: the last attempt returns or raises")
