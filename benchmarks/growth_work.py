"""One kind of work on so many queries, measured in this process: what a row of `benchmarks.growth queries` is made of.

A stub endpoint is asked, its answers graded, the queries embedded by the packaged encoder as it trains and as it is served, and read again
from the cache. CPU is of all processes of this machine that the work starts, the endpoint's aside; memory is the largest resident size of
this process, and the largest sum of its children's, looked at twice a second. Ray is a cluster of three node processes: a head without
places and two of one CPU each.
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil

WORKERS = 2
LOOK_EVERY_S = 0.5
ROOT = Path(__file__).parents[1]
ANSWERED, GRADED, TRAINED_ON, SERVED, AGAIN = "ask", "grade", "embed (training)", "embed (served)", "read the cache"


def texts(count: int, seed: int = 0) -> list[str]:
    """Queries of 8 to 60 words; every tenth is an earlier one with a word changed."""
    dice = random.Random(seed)
    words = [f"w{number}" for number in range(20_000)]
    made: list[str] = []
    for at in range(count):
        if at % 10 == 9:
            changed = dice.choice(made).split()
            changed[dice.randrange(len(changed))] = dice.choice(words)
            made.append(" ".join(changed))
        else:
            made.append(" ".join(dice.choices(words, k=dice.randint(8, 60))))
    return made


@contextmanager
def stub() -> Iterator[str]:
    """An endpoint in a process of its own, which answers at once."""
    program = "from tests.pipelines.endpoint import running\nwith running() as e:\n print(e.url, flush=True)\n input()"
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as served:
        if served.stdout is None:
            raise RuntimeError("no pipe")
        try:
            yield served.stdout.readline().strip()
        finally:
            served.communicate("\n")


@contextmanager
def cluster() -> Iterator[None]:
    """Node processes of Ray that this process starts and ends, named to the executor by RAY_ADDRESS."""
    import ray
    from ray.cluster_utils import Cluster

    started = Cluster()
    try:
        started.add_node(num_cpus=0, include_dashboard=False)
        for _ in range(WORKERS):
            started.add_node(num_cpus=1)
        started.wait_for_nodes()
        os.environ["RAY_ADDRESS"] = started.address
        yield
    finally:
        ray.shutdown()
        started.shutdown()


class Meter:
    """CPU seconds of this process and of those that it started, and the largest sum of what these hold at once; a context."""

    def __init__(self) -> None:
        self._me = psutil.Process()
        self._ended = threading.Event()
        self._looks = threading.Thread(target=self._look, daemon=True)
        self.children_mb = 0.0

    def __enter__(self) -> Self:
        self._looks.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._looks.join()

    def cpu_s(self) -> tuple[float, float]:
        """Of this process with its ended children, and of those that run."""
        own = self._me.cpu_times()
        return own.user + own.system + own.children_user + own.children_system, sum(self._each(lambda one: sum(one.cpu_times()[:4])))

    def _look(self) -> None:
        while True:
            self.children_mb = max(self.children_mb, sum(self._each(lambda one: one.memory_info().rss)) / 1e6)
            if self._ended.wait(LOOK_EVERY_S):
                return

    def _each(self, what: Callable[[psutil.Process], float]) -> Iterator[float]:
        for one in self._me.children(recursive=True):
            try:
                yield what(one)
            except psutil.Error:
                continue


def one_size(count: int, work: str, url: str) -> dict[str, float]:
    """CPU seconds and peak megabytes: `own` of this process, `workers` of the others."""
    from pipelines.executor import door

    far = os.environ["ROUTEMOA_EXECUTOR"] == "ray"
    with tempfile.TemporaryDirectory(prefix="growth-") as home, cluster() if far else nullcontext():
        prepared = prepare(count, work, url, Path(home))
        list(door.chosen().map(_nothing, [0] * WORKERS, size=1))  # the workers have been started, and what that costs is told apart
        with Meter() as meter:
            before, began = meter.cpu_s(), time.monotonic()
            prepared()
            own, workers = (after - earlier for after, earlier in zip(meter.cpu_s(), before, strict=True))
            took = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"own_s": own, "workers_s": workers, "wall_s": took, "own_mb": peak, "workers_mb": meter.children_mb}


def _nothing(items: Any) -> Iterator[tuple[int, int]]:
    yield from enumerate(items)


def prepare(count: int, work: str, url: str, home: Path) -> Callable[[], object]:
    """What is measured, everything that it needs made. home: an empty folder."""
    from mixture.llm import LLM, Decoding, Endpoint, Limits
    from mixture.price import Price
    from mixture.run.ledger import Ledger
    from pipelines import embeddings, params
    from pipelines.graders.kinds import Task
    from pipelines.graders.query import Query
    from pipelines.graders.workers import grade_all
    from pipelines.missing_answers import Missing, ask
    from pipelines.project import Project

    asked = texts(count)
    if work == ANSWERED:
        llm = LLM("stub", "Stub", Price(0.1, 0.1), Endpoint(url, "stub"), decoding=Decoding(max_tokens=10), limits=Limits(concurrency=16))
        named = {f"q{at}": text for at, text in enumerate(asked)}
        return lambda: ask(Project(home), [Missing.of(llm, named, named, Ledger(1e6))], 3)
    if work == GRADED:
        tasks = [Task(Query(f"q{at}", text, "number", reference="3"), f"There are {at % 5}.", 5.0) for at, text in enumerate(asked)]
        return lambda: grade_all(tasks)
    settings = params.load(ROOT / "params.yaml").train
    encoder = embeddings.load_encoder(settings)
    if work == SERVED:
        served = embeddings.int8_encoder(encoder, embeddings.exported(encoder, ROOT / "build" / "embeddings"))
        return lambda: embeddings.served(served, asked, home)
    if work == TRAINED_ON:
        return lambda: embeddings.trained_on(encoder, asked, home)
    from pipelines import vector_cache

    def made(missing: list[str]) -> Iterator[tuple[range, Any]]:
        for start in range(0, len(missing), 32):
            places = range(start, min(start + 32, len(missing)))
            yield places, np.ones((len(places), encoder.dims), dtype=np.float32)

    vector_cache.vectors(home / "fp32", asked, made, "made up")
    return lambda: vector_cache.vectors(home / "fp32", asked, made, "read")
