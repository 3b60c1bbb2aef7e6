"""Keeps a streamed answer back until its first word: up to then another LLM can still answer in its place."""

from dataclasses import dataclass, field

from mixture.client.protocol import Chunk, says_nothing
from mixture.run.calls import Emit


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
