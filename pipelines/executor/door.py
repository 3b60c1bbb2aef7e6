"""What an executor is, and which one this process has: ROUTEMOA_EXECUTOR, `local` or `ray`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Protocol, TypeVar

from mixture.client.openai import OpenAIClient
from pipelines.errors import PipelineError
from pipelines.executor.local import LocalExecutor
from pipelines.project import stage_settings
from scorer.near_matches import did_you_mean

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Sequence[Item]], Iterable[tuple[int, Result]]]  # of each item its place among those given, and its result; in any order
KNOWN = ("local", "ray")


class Executor(Protocol):
    """How a stage's own functions are applied to many items. What they give does not depend on who applies them."""

    def map(self, work: Work[Item, Result], items: Sequence[Item], *, size: int, gpu: bool = False) -> Iterator[tuple[int, Result]]:
        """Each item's place and its result, as each is known; every item once.

        work: what a shard of the items is given to; it may travel to another process, and is made there once for many shards.
        size: items of a shard, where there are shards: the boundaries follow from it alone. gpu: whether it would use an accelerator.
        """

    def client(self, *, attempts: int = 3, cool_down_s: float = 10.0) -> OpenAIClient:
        """A client that asks LLMs; retries, limits and money are decided in this process."""


@cache
def chosen() -> Executor:
    """The executor of this process. Raises PipelineError for an unknown name, or where Ray is not installed."""
    name = stage_settings().executor
    if name not in KNOWN:
        raise PipelineError(f"ROUTEMOA_EXECUTOR is {name!r}.", next_step=did_you_mean(name, KNOWN))
    if name == "local":
        return LocalExecutor()
    if find_spec("ray") is None:
        raise PipelineError(
            "ROUTEMOA_EXECUTOR is ray, which is not installed here.", next_step="Install the extra: pip install 'routemoa[ray]'."
        )
    from pipelines.executor.on_ray import RayExecutor

    return RayExecutor()
