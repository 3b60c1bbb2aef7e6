"""An answer while it is written: the mixture puts its chunks into a bounded queue, the response takes them out."""

import asyncio
from collections.abc import Awaitable, Callable

from mixture.client.protocol import Chunk
from mixture.decision import Decision
from mixture.run.calls import Emit

MOST_AHEAD = 16  # chunks; an LLM that writes faster than its caller reads is read no faster


class AnswerStream:
    """`async for` gives the chunks as they come, `decision()` what follows the last. Needs a running event loop; `cancel()` when done."""

    def __init__(self, answer: Callable[[Emit], Awaitable[Decision]]) -> None:
        self._answer = answer
        self._queue: asyncio.Queue[Chunk | None] = asyncio.Queue(MOST_AHEAD)
        self._task = asyncio.get_running_loop().create_task(self._write())
        self._task.add_done_callback(_retrieve)

    def __aiter__(self) -> "AnswerStream":
        """Itself: there is one reader."""
        return self

    async def __anext__(self) -> Chunk:
        """The next chunk. Raises what the answer failed with, and StopAsyncIteration after the last."""
        chunk = await self._queue.get()
        if chunk is not None:
            return chunk
        await self._task
        raise StopAsyncIteration

    async def decision(self) -> Decision:
        """The decision, once all chunks are read."""
        return await self._task

    def cancel(self) -> None:
        """Ends the work."""
        self._task.cancel()

    async def _write(self) -> Decision:
        try:
            decision = await self._answer(self._queue.put)
        except Exception:
            await self._queue.put(None)
            raise
        await self._queue.put(None)
        return decision


def _retrieve(task: asyncio.Task[Decision]) -> None:
    """A failure that came after the caller hung up is nobody's."""
    if not task.cancelled():
        task.exception()
