"""The executor without an engine: everything is done in this process, in one go."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from mixture.client.openai import OpenAIClient

Item = TypeVar("Item")
Result = TypeVar("Result")


class LocalExecutor:
    """Implements `pipelines.executor.door.Executor`."""

    def map(
        self, work: Callable[[Sequence[Item]], Iterable[tuple[int, Result]]], items: Sequence[Item], *, size: int, gpu: bool = False
    ) -> Iterator[tuple[int, Result]]:
        """All items as one shard: `size` and `gpu` change nothing here."""
        del size, gpu
        yield from work(items)

    def client(self, *, attempts: int = 3, cool_down_s: float = 10.0) -> OpenAIClient:
        """Asks from this process."""
        return OpenAIClient(attempts=attempts, cool_down_s=cool_down_s)
