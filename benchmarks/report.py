"""How a benchmark reports: figures with their intervals, Markdown tables, and the command and machine they were measured with."""

import json
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from registry.lineage import git_commit
from scorer import metrics
from scorer.machine import processor
from scorer.metrics import Interval

RESAMPLES = 2000  # of every bootstrap that is shown
BUILT = Path("build/benchmarks")  # where commands write


def interval(values_Q: metrics.Values) -> Interval:
    """Mean over queries, NaN left out, with its 95 % percentile bootstrap interval."""
    return metrics.interval(values_Q, resamples=RESAMPLES)


def difference(one_Q: metrics.Values, other_Q: metrics.Values) -> Interval:
    """Mean of `one_Q` minus `other_Q` on the same queries, with its paired bootstrap interval."""
    return metrics.difference(one_Q, other_Q, resamples=RESAMPLES)


def ratio(over_Q: metrics.Values, under_Q: metrics.Values) -> Interval:
    """Mean of one over mean of the other, on queries where both are known, with its paired bootstrap interval."""
    known_Q = ~np.isnan(over_Q) & ~np.isnan(under_Q)
    pairs_Q2 = np.stack([over_Q[known_Q], under_Q[known_Q]], axis=1)
    random = np.random.default_rng(0)
    means_R2 = np.array([pairs_Q2[random.integers(len(pairs_Q2), size=len(pairs_Q2))].mean(axis=0) for _ in range(RESAMPLES)])
    low, high = np.quantile(means_R2[:, 0] / means_R2[:, 1], [0.025, 0.975])
    over, under = pairs_Q2.mean(axis=0)
    return Interval(float(over / under), float(low), float(high))


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 and mean in milliseconds."""
    p50, p99 = np.percentile(seconds, [50, 99])
    return {"p50_ms": round(1000 * p50, 3), "p99_ms": round(1000 * p99, 3), "mean_ms": round(1000 * float(np.mean(seconds)), 3)}


def cell(value: Any) -> str:
    """A value in a table: floats with three digits, nothing for one that is undefined or None."""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.3f}"
    return "" if value is None else str(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as Markdown."""
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(map(cell, row))} |" for row in rows)])


def as_json(value: Any) -> Any:
    """Intervals as [mean, low, high]; None for a figure that is undefined (Agree@3 of three LLMs)."""
    if isinstance(value, Interval):
        return [as_json(part) for part in (value.mean, value.low, value.high)]
    if isinstance(value, Mapping):
        return {name: as_json(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value


def command(*folders: Path) -> str:
    """How this benchmark was started. Of `folders` outside the project only the last part is kept: FOLDER/NAME."""
    typed = shlex.join(["python", "-m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]])
    for folder in folders:
        if folder.is_absolute() or ".." in folder.parts:
            typed = typed.replace(str(folder), f"FOLDER/{folder.name}")
    return typed


def write(folder: Path, blocks: Sequence[str], results: Mapping[str, Any], packages: Sequence[str] = ()) -> None:
    """table.md of the Markdown `blocks`, and results.json: `results` with command and machine."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    about = {"command": command(), "machine": machine(packages)}
    (folder / "results.json").write_text(json.dumps({**results, **about}, indent=2) + "\n", encoding="utf-8")


def print_json(figures: Mapping[str, Any], packages: Sequence[str] = ()) -> None:
    """Prints command, figures and machine as one JSON object."""
    json.dump({"command": command(), **figures, "machine": machine(packages)}, sys.stdout, indent=2)
    print()


def machine(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Processor, cores, memory, load, Python, commit, and the versions of `packages`."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load_1_min": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": (git_commit(Path()) or "")[:7],
        "packages": {name: version(name) for name in packages},
    }
