"""Keeps a streamed answer back until its first word: up to then another LLM can still answer in its place."""

from collections.abc import Callable
from dataclasses import dataclass, field

from mixture.client.protocol import Chunk, Reply, says_nothing
from mixture.decision import empty
from mixture.errors import LLMFailed
from mixture.run.calls import Calls, Emit
from mixture.run.ledger import Reservation


@dataclass(slots=True)
class FromFirstWord:
    """An `Emit` that passes chunks on to another from the first one that says something. began: whether there was one."""

    emit: Emit
    began: bool = False
    _kept_back: list[Chunk] = field(default_factory=list)

    async def __call__(self, chunk: Chunk) -> None:
        """Takes the next chunk."""
        self.began = self.began or not says_nothing(chunk)
        self._kept_back.append(chunk)
        while self.began and self._kept_back:
            await self.emit(self._kept_back.pop(0))


async def ask_from_first_word(
    calls: Calls,
    reserved: Reservation,
    late_s: float,
    replace_after_s: float,
    emit: Emit | None,
    *,
    layer: int,
    is_empty: Callable[[Reply], bool],
) -> Reply | None:
    """The reply, passed to `emit` from its first word; None where the LLM failed or said nothing, which is noted under `layer`.

    late_s: seconds after which it is late; replace_after_s: after which it is given up, infinite where nobody can stand in for it.
    Raises LLMFailed where it fails after its first word: nobody can stand in for it then.
    """
    passed_on = None if emit is None else FromFirstWord(emit)
    try:
        reply = await calls.ask(reserved, late_s, limit_s=replace_after_s, emit=passed_on)
        if is_empty(reply):
            raise empty(reply)
    except LLMFailed as failed:
        calls.fail(layer, failed)
        if passed_on is not None and passed_on.began:
            raise
        return None
    return reply
