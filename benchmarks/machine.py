"""The machine a figure was measured on, and figures printed as JSON beside it."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil


def facts(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Processor, cores, memory, load, Python, commit, and the versions of `packages`."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load_1_min": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "packages": {name: version(name) for name in packages},
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 and mean in milliseconds."""
    p50, p99 = np.percentile(seconds, [50, 99])
    return {"p50_ms": round(1000 * p50, 3), "p99_ms": round(1000 * p99, 3), "mean_ms": round(1000 * float(np.mean(seconds)), 3)}


def report(figures: Mapping[str, Any], packages: Sequence[str] = ()) -> None:
    """Prints figures and facts as one JSON object."""
    json.dump({"command": command(), **figures, "machine": facts(packages)}, sys.stdout, indent=2)
    print()


def command(*folders: Path) -> str:
    """How this benchmark was started; `folders` outside the project without where this machine keeps them."""
    typed = " ".join(["python -m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]])
    for folder in folders:
        if folder.is_absolute() or ".." in folder.parts:
            typed = typed.replace(str(folder), f"FOLDER/{folder.name}")
    return typed


def write(folder: Path, shown: Sequence[str], results: Mapping[str, Any], packages: Sequence[str] = ()) -> None:
    """table.md of the blocks `shown`, and results.json with the command and facts beside `results`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text("\n\n".join(shown) + "\n", encoding="utf-8")
    about = {"command": command(), "machine": facts(packages)}
    (folder / "results.json").write_text(json.dumps({**results, **about}, indent=2) + "\n", encoding="utf-8")


def _processor() -> str:
    """The processor's name where Linux tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else ""
