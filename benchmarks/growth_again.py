"""What 1,000 new queries cost where 100,000 are there: `python -m benchmarks.growth again`.

The loop's stages as DVC runs them, `python -m pipelines.STAGE` in a project with one LLM, a stub: of 1,000 queries in a project of their
own; of 100,000 at once (their answers are written, not asked: `benchmarks.growth queries` asks); of 1,000 more beside these; and once more
with nothing new. CPU and largest resident size of each command with the processes that it waited for, by the operating system's account.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from benchmarks.growth_work import ROOT, stub, texts
from pipelines import tables
from pipelines.answer_store import asked_with
from pipelines.project import Project
from registry import pool

NEW = 1_000
STAGES = {"answer": ("stub",), "label": ("stub",), "validate": (), "assemble": ()}
COLUMNS = (f"{NEW:,} alone", "{most:,} at first", f"{NEW:,} more", "nothing new")


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds and peak megabytes of one command."""

    cpu_s: float
    peak_mb: float


def again(most: int) -> None:
    """A row a stage."""
    made = texts(most + NEW)
    with stub() as url, tempfile.TemporaryDirectory(prefix="growth-") as folder:
        alone, grown = (write_project(Path(folder) / name, url) for name in ("alone", "grown"))
        bring(alone, "first", made[:NEW])
        columns = [run_stages(alone)]
        bring(grown, "first", made[:most])
        write_answers(grown, made[:most])
        columns.append(run_stages(grown))
        bring(grown, "second", made[most:], start=most)
        columns += [run_stages(grown), run_stages(grown)]
    print("| CPU s, peak MB | " + " | ".join(COLUMNS).format(most=most) + " |\n" + "|---" * (len(COLUMNS) + 1) + "|")
    for stage in STAGES:
        cells = (f"{column[stage].cpu_s:.1f}, {column[stage].peak_mb:.0f}" for column in columns)
        print(f"| `{stage}` | " + " | ".join(cells) + " |")


def write_project(home: Path, url: str) -> Project:
    """A project without a query, whose pool is one stub at `url`."""
    (home / "registry").mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", home)
    entry = {
        "name": "Stub",
        "status": "active",
        "endpoint": {"base_url": url, "served_name": "stub"},
        "price": {"input": 0.1, "output": 0.1},
        "decoding": {"temperature": 0.0, "max_tokens": 10, "seed": 0},
        "limits": {"concurrency": 16, "connect_s": 30, "first_token_s": 60, "between_chunks_s": 60, "total_s": 120},
    }
    YAML().dump({"llms": {"stub": entry}}, home / "registry" / "pool.yaml")
    return Project(home)


def ids(start: int, count: int) -> list[str]:
    """Of queries by their places."""
    return [f"q{at:07}" for at in range(start, start + count)]


def bring(project: Project, name: str, made: Sequence[str], start: int = 0) -> None:
    """Imports queries."""
    frame = pd.DataFrame({"query_id": ids(start, len(made)), "text": made, "reference": "3", "grader": "number"})
    frame = frame.assign(dataset="made", domain="made", language="en", source="import:made", licence="CC0-1.0")
    frame["choices"] = [()] * len(made)
    project.imports.mkdir(parents=True, exist_ok=True)
    tables.write(project.imports / f"{name}.parquet", frame, tables.QUERIES)


def write_answers(project: Project, made: Sequence[str]) -> None:
    """What asking the stub would have brought."""
    llm = pool.load(project.home / "registry" / "pool.yaml").by_id("stub")
    frame = pd.DataFrame(
        {"query_id": [f"q{at:07}" for at in range(len(made))], "text": [f"There are {at % 5}." for at in range(len(made))]}
    )
    frame = frame.assign(asked_with=[asked_with(llm, text) for text in made], llm="stub", sample=0, finish_reason="stop", error=None)
    frame = frame.assign(input_tokens=20, output_tokens=5, cost_usd=2.5e-6, latency_s=0.01, mean_logprob=-0.5)
    frame = frame.assign(asked_at=pd.Timestamp("2026-01-01", tz="UTC"))
    project.answers("stub").parent.mkdir(parents=True)
    tables.write(project.answers("stub"), frame, tables.ANSWERS)


def run_stages(project: Project) -> dict[str, Cost]:
    """Each stage's cost, one after the other."""
    return {stage: _run([sys.executable, "-m", f"pipelines.{stage}", *arguments], project) for stage, arguments in STAGES.items()}


def _run(command: Sequence[str], project: Project) -> Cost:
    environment = {**os.environ, "ROUTEMOA_EXECUTOR": "local", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=project.home, env=environment, stdout=subprocess.DEVNULL) as started:
        _, status, used = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise subprocess.CalledProcessError(started.returncode, command)
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)
