"""The executor on a Ray cluster: RAY_ADDRESS names it; without that one is started here for as long as the process runs.

This process keeps everything that must not be lost or done twice: which shard is where, results, journals, budgets. Workers hold nothing:
one that dies, alone or with its machine, costs the work on its shards, which others do again.
"""

import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from mixture.client.openai import OpenAIClient
from pipelines.errors import PipelineError
from pipelines.executor.ray_client import Callers, RayClient

Item = TypeVar("Item")
Result = TypeVar("Result")
Done = list[tuple[int, Any]]
AHEAD = 2  # shards that a worker has at once: the next one is there when one ends
TRIES = 3  # of a shard whose worker dies: a shard that kills what works on it would do so for ever
NOBODY_S = 120.0  # without one worker that can be started
LOOK_EVERY_S = 1.0
OWN = "local"  # Ray's word for a cluster that is started here; without an address it would take any that runs on this machine
STARTS = 4  # Ray gives its own start thirty seconds, which a busy machine may take
NOTHING_YET = -1  # in the place of a shard: a worker's word that it runs


def threads() -> int:
    """Threads of one worker: as many as this process would use, since sums in another number of threads round otherwise."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def connected() -> Any:
    """The module `ray`, connected to the cluster, which a line on standard error names. Raises PipelineError where none can be reached."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a worker without a GPU leaves the variables alone
    import ray

    address = os.environ.get("RAY_ADDRESS") or OWN
    for left in range(STARTS, 0, -1):
        if ray.is_initialized():
            break
        try:
            ray.init(address, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
        except Exception as exc:  # Ray raises nothing more exact where a node does not come up
            ray.shutdown()
            if left > 1 and "timed out during startup" in str(exc):
                continue
            reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
            where = "Ray does not start here" if address == OWN else f"no Ray cluster at RAY_ADDRESS={address}"
            next_step = (
                "See `ray start`."
                if address == OWN
                else "See `ray status` on its head; without RAY_ADDRESS one is started on this machine."
            )
            raise PipelineError(f"{where}: {reason}", next_step=next_step) from exc
        print(f"Works on {_said_of(ray, address)}.", file=sys.stderr, flush=True)
    return ray


def _said_of(ray: Any, address: str) -> str:
    """The cluster, for people."""
    which = "a Ray cluster of its own (RAY_ADDRESS names none)" if address == OWN else f"the Ray cluster at RAY_ADDRESS={address}"
    alive = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    return f"{which}, {ray.get_runtime_context().gcs_address}: {len(alive)} machine{'s' * (len(alive) > 1)}, {sum(alive):.0f} CPUs"


class Worker:
    """An actor. The work is kept from one shard to the next, what it imported from one work to the next."""

    def __init__(self) -> None:
        self._of: Any = None
        self._work: Callable[[Sequence[Any]], Iterable[tuple[int, Any]]] = enumerate

    def ready(self) -> bool:
        """Answers once the actor runs."""
        return True

    def run(self, works: Sequence[Any], items: Sequence[Any]) -> Done:
        """Every result of a shard. works: one reference, in a list, or Ray would send what it refers to with each shard."""
        if self._of != works[0]:
            import ray

            self._of, self._work = works[0], ray.get(works[0])
        return list(self._work(items))


@dataclass(slots=True, eq=False)
class _Hand:
    """A worker as this process knows it: the shards it has, by the reference to their results."""

    actor: Any
    shards: dict[Any, int] = field(default_factory=dict)
    runs: bool = False


class RayExecutor:
    """Implements `pipelines.executor.door.Executor`."""

    def __init__(self) -> None:
        self._ray = connected()
        self._crew: _Crew | None = None  # that has nothing to do: the next work takes it

    def map(
        self, work: Callable[[Sequence[Item]], Iterable[tuple[int, Result]]], items: Sequence[Item], *, size: int, gpu: bool = False
    ) -> Iterator[tuple[int, Result]]:
        """Shards of `size` items, given to workers on the cluster's free places; results come shard by shard.

        Raises what `work` raises, and PipelineError where a shard's worker died TRIES times or no worker can be started.
        """
        if not items:
            return
        crew = self._taken(gpu=gpu and self._ray.cluster_resources().get("GPU", 0) >= 1)
        shards = [items[start : start + size] for start in range(0, len(items), size)]
        ended = False
        try:
            for shard, done in crew.done(self._ray.put(work), shards):
                for place, result in done:
                    yield shard * size + place, result
            ended = True
        finally:
            if ended and self._crew is None:
                self._crew = crew
            else:
                crew.dismiss()

    def _taken(self, *, gpu: bool) -> "_Crew":
        """Workers of that kind; others give their places back."""
        crew, self._crew = self._crew, None
        if crew is not None and crew.gpu != gpu:
            crew.dismiss()
            crew = None
        return crew or _Crew(self._ray, gpu=gpu)

    def client(self, *, attempts: int = 3, cool_down_s: float = 10.0) -> OpenAIClient:
        """Asks from the cluster's machines; retries, breaker, limits and money are this process's."""
        return RayClient(self._callers, attempts=attempts, cool_down_s=cool_down_s)

    @cached_property
    def _callers(self) -> Callers:
        return Callers(self._ray, places(self._ray, 1))


def places(ray: Any, cpus: int) -> int:
    """How many workers with so many CPUs each the cluster's machines hold; at least one."""
    alive = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    return max(1, sum(int(count // cpus) for count in alive))


class _Crew:
    """Workers of one kind."""

    def __init__(self, ray: Any, *, gpu: bool) -> None:
        self._ray, self.gpu = ray, gpu
        largest = max((node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"]), default=1)
        self._threads = max(1, min(threads(), int(largest)))
        self._most = int(ray.cluster_resources()["GPU"]) if gpu else places(ray, self._threads)
        named = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(self._threads))
        self._options = {
            "num_cpus": self._threads,
            "num_gpus": int(gpu),
            "max_restarts": 0,
            "scheduling_strategy": "SPREAD",
            "runtime_env": {"env_vars": named},
        }
        self._hands: list[_Hand] = []
        self._tries: Counter[int] = Counter()

    def done(self, work: Any, shards: Sequence[Sequence[Any]]) -> Iterator[tuple[int, Done]]:
        """Every shard's number and results, as they end; a lost worker's shards are given to others first."""
        lost = (self._ray.exceptions.RayActorError, self._ray.exceptions.ObjectLostError)
        todo = deque(range(len(shards)))
        self._tries.clear()
        self._hands += [self._hired() for _ in range(min(self._most, len(shards)) - len(self._hands))]
        heard = time.monotonic()
        while todo or any(hand.shards for hand in self._hands if hand.runs):
            self._give(work, shards, todo)
            ended, _ = self._ray.wait([ref for hand in self._hands for ref in hand.shards], num_returns=1, timeout=LOOK_EVERY_S)
            if ended:
                heard = time.monotonic()
            elif not any(hand.runs for hand in self._hands) and time.monotonic() - heard > NOBODY_S:
                raise PipelineError(
                    f"Ray started no worker in {NOBODY_S:.0f} s: it has no free place for {self._options['num_cpus']} CPUs.",
                    next_step="See `ray status`; OMP_NUM_THREADS=1 makes workers of one CPU.",
                )
            for ref in ended:
                hand = next(hand for hand in self._hands if ref in hand.shards)
                shard = hand.shards.pop(ref)
                try:
                    result = self._ray.get(ref)
                except lost as exc:
                    self._replace(hand, [shard, *hand.shards.values()], todo, exc)
                    break  # the others' references may be this one's
                if shard == NOTHING_YET:
                    hand.runs = True
                else:
                    yield shard, result

    def dismiss(self) -> None:
        """Ends every worker."""
        for hand in self._hands:
            self._ray.kill(hand.actor)

    def _hired(self) -> _Hand:
        hand = _Hand(self._ray.remote(Worker).options(**self._options).remote())
        hand.shards[hand.actor.ready.remote()] = NOTHING_YET
        return hand

    def _give(self, work: Any, shards: Sequence[Sequence[Any]], todo: deque[int]) -> None:
        """Shards to those that run and have room: evenly, so that the last ones do not queue behind each other."""
        for round_ in range(1, AHEAD + 1):
            for hand in self._hands:
                if todo and hand.runs and len(hand.shards) < round_:
                    shard = todo.popleft()
                    hand.shards[hand.actor.run.remote([work], shards[shard])] = shard

    def _replace(self, hand: _Hand, shards: Sequence[int], todo: deque[int], why: Exception) -> None:
        """A new worker in the place of one that is lost; its shards come first again. Raises PipelineError where one was lost too often."""
        self._hands.remove(hand)
        self._ray.kill(hand.actor)
        again = sorted(shard for shard in shards if shard >= 0)
        lost_at = again[0] if again else NOTHING_YET  # the one it was at; the next had not begun
        self._tries[lost_at] += 1
        if self._tries[lost_at] >= TRIES:
            reason = str(why).strip().splitlines()[0]
            what = f"shard {lost_at} lost its Ray worker" if again else "a Ray worker ended before it had begun"
            next_step = "out of memory?" if again else "is the platform installed there, in the same version?"
            raise PipelineError(f"{what} {TRIES} times: {reason}", next_step=f"Read the worker's log (`ray logs`): {next_step}") from why
        todo.extendleft(reversed(again))
        self._hands.append(self._hired())
