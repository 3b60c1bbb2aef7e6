"""How long a call is waited for: one limit of its LLM, or the deadline of the request it belongs to."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mixture.client.protocol import Call
from mixture.errors import LLMCutOff, LLMTimedOut
from mixture.llm import LLM


@asynccontextmanager
async def at_most(llm: LLM, seconds: float, name: str) -> AsyncGenerator[None]:
    """Ends what runs inside after `seconds` with LLMTimedOut, which names the limit."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as exc:
        raise LLMTimedOut(
            llm.id, f"no answer within {max(seconds, 0):.1f} s ({name}).", next_step=f"Raise {name} in pool.yaml, or ask for less."
        ) from exc


@asynccontextmanager
async def until_deadline(call: Call) -> AsyncGenerator[None]:
    """Ends what runs inside at the call's deadline."""
    if call.deadline is None:
        yield
        return
    try:
        async with asyncio.timeout(call.deadline - time.monotonic()):
            yield
    except TimeoutError as exc:
        raise LLMCutOff(call.llm.id, "the request's deadline passed.", next_step="Allow a longer deadline.") from exc
