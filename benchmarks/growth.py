"""What work costs as it grows, here and on a Ray cluster of this machine: `python -m benchmarks.growth queries|again|pools|duplicates`.

queries: asking, grading and embedding (`benchmarks.growth_work`), each size and executor in a process of its own. What was measured is kept
in build/growth and not measured again: a run that was stopped goes on, and embedding 100,000 takes hours of CPU. 1,000,000 queries are
reckoned: on from the largest size that was measured, each further query at what one more cost between the two largest.
again: what 1,000 new queries cost where 100,000 are there (`benchmarks.growth_again`).
pools: a head is trained for pools of LLMs on synthetic queries and written as an artifact holds it; then it decides.
duplicates: near-duplicates of synthetic texts.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.growth_again import again
from benchmarks.growth_work import AGAIN, ANSWERED, GRADED, ROOT, SERVED, TRAINED_ON, one_size, stub, texts

SIZES = (1_000, 10_000, 100_000)
RECKONED = 1_000_000
POOLS = (10, 100, 1_000)
KEPT = ROOT / "build" / "growth" / "queries.jsonl"
ROWS = [(work, executor) for work in (ANSWERED, GRADED, TRAINED_ON, SERVED) for executor in ("local", "ray")] + [(AGAIN, "local")]
Measured = dict[tuple[str, str, int], dict[str, float]]  # by work, executor and size


def queries(most: int, wanted: str) -> None:
    """Measures each kind of work (`wanted` alone, if named), executor and size that was not measured before, and prints the tables."""
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    measured: Measured = {(work, executor, count): told for work, executor, count, told in map(json.loads, lines)}
    todo = [(work, executor, count) for work, executor in ROWS for count in SIZES if count <= most and wanted in {"", work}]
    with stub() as url, KEPT.open("a") as file:
        for row in todo:
            if row not in measured:
                measured[row] = in_a_process(*row, url)
                file.write(json.dumps([*row, measured[row]]) + "\n")
                file.flush()
    print_tables(measured)


def print_tables(measured: Measured) -> None:
    """CPU a query and peak memory by size; both of this process + of those that it started."""
    for unit, kind, form in (("CPU ms a query", "s", ".3g"), ("peak MB", "mb", ",.0f")):
        print(f"\n| {unit}: own + others' | executor | " + " | ".join(f"{count:,}" for count in SIZES) + f" | {RECKONED:,}, reckoned |")
        print("|---|---|" + "---|" * (len(SIZES) + 1))
        for work, executor in ROWS:
            sizes = {count: measured[work, executor, count] for count in SIZES if (work, executor, count) in measured}
            if not sizes:
                continue
            both = [{count: told[f"{whose}_{kind}"] for count, told in sizes.items()} for whose in ("own", "workers")]
            if kind == "s":
                shown = [{count: 1e3 * value / count for count, value in each.items()} for each in both]
                last = f"{sum(map(reckoned, both)) / 3600:.2f} h in all"
            else:
                shown, last = both, " + ".join(f"{reckoned(each):,.0f}" for each in both)
            cells = [" + ".join(f"{each[count]:{form}}" for each in shown) if count in sizes else "" for count in SIZES]
            print(f"| {work} | {executor} | " + " | ".join(cells) + f" | {last if len(sizes) > 1 else ''} |")


def reckoned(by_size: dict[int, float]) -> float:
    """What RECKONED queries take, on the line through the two largest sizes; no less than the largest of them."""
    if len(by_size) == 1:
        return float("nan")
    (less, at_less), (more, at_more) = sorted(by_size.items())[-2:]
    return at_more + max(0.0, (at_more - at_less) / (more - less)) * (RECKONED - more)


def in_a_process(work: str, executor: str, count: int, url: str) -> dict[str, float]:
    """`one_size` in a fresh process, whose last line it is."""
    command = [sys.executable, "-m", "benchmarks.growth", "--one", json.dumps([count, work, url])]
    environment = {
        **os.environ,
        "ROUTEMOA_EXECUTOR": executor,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
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
    parser.add_argument("what", nargs="?", choices=["queries", "again", "pools", "duplicates"])
    parser.add_argument("--most", type=int, default=SIZES[-1])
    parser.add_argument("--work", choices=sorted({work for work, _ in ROWS}), default="", help="measure this kind alone")
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
    elif chosen.what == "again":
        again(chosen.most)
    elif chosen.what == "duplicates":
        duplicates(chosen.most)
    else:
        queries(chosen.most, chosen.work)


if __name__ == "__main__":
    main()
