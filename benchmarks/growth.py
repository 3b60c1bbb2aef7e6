"""What work costs as it grows, here and on a Ray cluster of this machine: `python -m benchmarks.growth queries|pools|duplicates`.

queries: a stub endpoint is asked, its answers graded, the queries embedded by the packaged encoder as it trains and as it is served, and
read again from the cache; each size and executor in a process of its own. CPU is of all processes of this machine that the work starts,
the endpoint's aside; memory is the largest resident size of the driver and the sum of the workers'.
pools: a head is trained for pools of LLMs on synthetic queries and written as an artifact holds it; then it decides.
duplicates: near-duplicates of synthetic texts.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

SIZES = (1_000, 10_000, 100_000)
POOLS = (10, 100, 1_000)
WORKERS = 2
ROOT = Path(__file__).parents[1]
ANSWERED, GRADED, TRAINED_ON, SERVED, AGAIN = "ask", "grade", "embed (training)", "embed (served)", "read the cache"
LIMITS = {
    ANSWERED: 10_000,
    TRAINED_ON: 10_000,
    SERVED: 10_000,
}  # the largest size that is measured; 100,000 embeddings take ten minutes of CPU


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


class Meter:
    """CPU seconds and resident bytes of this process and of those that Ray has here."""

    def __init__(self) -> None:
        self._me = psutil.Process()

    def cpu_s(self) -> tuple[float, float]:
        """Of this process with its ended children, and of the workers."""
        own = self._me.cpu_times()
        return own.user + own.system + own.children_user + own.children_system, sum(self._each(lambda one: sum(one.cpu_times()[:4])))

    def workers_mb(self) -> float:
        """Of the workers, now."""
        return sum(self._each(lambda one: one.memory_info().rss)) / 1e6

    def _each(self, what: Callable[[psutil.Process], float]) -> Iterator[float]:
        for one in self._me.children(recursive=True):  # Ray's processes, where this process started it
            try:
                yield what(one)
            except psutil.Error:
                continue


def one_size(count: int, work: str, url: str) -> dict[str, float]:
    """One kind of work on so many queries, in this process: CPU seconds and peak megabytes."""
    from pipelines.executor import door

    prepared = prepare(count, work, url)
    executor = door.chosen()
    list(executor.map(_nothing, [0] * WORKERS, size=1))  # the cluster has been started, and what it costs is told apart
    meter = Meter()
    before, began = meter.cpu_s(), time.monotonic()
    prepared()
    own, workers = (after - earlier for after, earlier in zip(meter.cpu_s(), before, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"driver_s": own, "workers_s": workers, "wall_s": time.monotonic() - began, "driver_mb": peak, "workers_mb": meter.workers_mb()}


def _nothing(items: Any) -> Iterator[tuple[int, int]]:
    yield from enumerate(items)


def prepare(count: int, work: str, url: str) -> Callable[[], object]:
    """What is measured, everything that it needs made."""
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
    home = Path(tempfile.mkdtemp(prefix="growth-"))
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


def queries(most: int) -> None:
    """A row for each kind of work, size and executor."""
    print("| work | queries | executor | CPU ms a query: driver + workers | peak MB: driver + workers |\n|---|---|---|---|---|", flush=True)
    with stub() as url:
        for work in (ANSWERED, GRADED, TRAINED_ON, SERVED, AGAIN):
            for count in (size for size in SIZES if size <= min(most, LIMITS.get(work, most))):
                for executor in ("local", "ray") if work != AGAIN else ("local",):
                    told = in_a_process(count, work, url, executor)
                    cpu = f"{1e3 * told['driver_s'] / count:.2f} + {1e3 * told['workers_s'] / count:.2f}"
                    print(f"| {work} | {count:,} | {executor} | {cpu} | {told['driver_mb']:.0f} + {told['workers_mb']:.0f} |", flush=True)


def in_a_process(count: int, work: str, url: str, executor: str) -> dict[str, float]:
    """`one_size` in a fresh process, whose last line it is."""
    command = [sys.executable, "-m", "benchmarks.growth", "--one", json.dumps([count, work, url])]
    environment = {
        **os.environ,
        "ROUTEMOA_EXECUTOR": executor,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "disabled",
        "RAY_ADDRESS": "local",
        "RAY_worker_niceness": "0",
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def pools_in_processes() -> None:
    """`pools`, each in a process of its own: memory is the largest that one ever had."""
    print("| LLMs | training CPU s | head MB | peak MB | decision CPU ms |\n|---|---|---|---|---|", flush=True)
    for count in POOLS:
        command = [sys.executable, "-m", "benchmarks.growth", "--pool", str(count)]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, stderr=subprocess.DEVNULL)


def pool(count: int, queries_count: int = 1_000, dims: int = 384) -> None:
    """Training, size and decision for a pool of so many LLMs; ten labels a query, and a tenth of all where that is more."""
    from safetensors.numpy import save

    from scorer import training
    from scorer.initialisation import Embedded, Shrinkage

    dice = np.random.default_rng(0)
    queries_QD = dice.normal(size=(queries_count, dims)).astype(np.float32)
    queries_QD /= np.linalg.norm(queries_QD, axis=1, keepdims=True)
    skills_LD = dice.normal(size=(count, dims))
    labels_QL = (queries_QD @ skills_LD.T + 0.3 > 0).astype(np.float64)
    labels_QL[dice.random(labels_QL.shape) > min(1.0, max(0.1, 10 / count))] = np.nan
    half = queries_count // 2
    seen, judged = (Embedded(queries_QD[part], labels_QL[part]) for part in (slice(0, half), slice(half, None)))
    began = time.process_time()
    plan = training.Plan(epochs=20, shrinkage=Shrinkage())
    trained = training.train(tuple(f"llm-{at}" for at in range(count)), seen, judged, plan)
    took = time.process_time() - began
    began = time.process_time()
    for at in range(200):
        trained.weights.logits(queries_QD[at : at + 1])
    decision_ms = (time.process_time() - began) / 200 * 1e3
    arrays = {name: np.ascontiguousarray(value) for name, value in _arrays(trained.weights).items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"| {count:,} | {took:.1f} | {len(save(arrays)) / 1e6:.2f} | {peak:.0f} | {decision_ms:.2f} |", flush=True)


def _arrays(weights: Any) -> dict[str, Any]:
    return {name: value for name in weights.__dataclass_fields__ if isinstance(value := getattr(weights, name), np.ndarray)}


def duplicates(most: int) -> None:
    """CPU and memory a text, and how many pairs were found."""
    from pipelines import near_duplicates

    print("| texts | CPU s | peak MB, texts aside | pairs |\n|---|---|---|---|", flush=True)
    for count in (size for size in (*SIZES, 1_000_000) if size <= most):
        made = texts(count)
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        found = len(near_duplicates.pairs(made))
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
        print(f"| {count:,} | {time.process_time() - began:.1f} | {peak:.0f} | {found:,} |", flush=True)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["queries", "pools", "duplicates"])
    parser.add_argument("--most", type=int, default=SIZES[-1])
    parser.add_argument("--pool", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        count, work, url = json.loads(chosen.one)
        print(json.dumps(one_size(count, work, url)))
    elif chosen.pool:
        pool(chosen.pool)
    elif chosen.what == "pools":
        pools_in_processes()
    elif chosen.what == "duplicates":
        duplicates(chosen.most)
    else:
        queries(chosen.most)


if __name__ == "__main__":
    main()
