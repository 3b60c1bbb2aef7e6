"""Goes once round the loop: harvest, pin the data, `dvc repro`, say what was registered: `python -m pipelines.retrain [--reason WHY]`.

Progress is a JSON line a step (`{"step": ..., "progress": 0..1}`) on standard output, everything else is what DVC and the stages say.
Nothing is promoted: the new scorer version is a challenger.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import FileLock, Timeout
from ruamel.yaml import YAML

from pipelines.errors import PipelineError, RetrainRefused
from pipelines.harvest import harvest
from registry import pool
from registry.child_env import with_this_python
from registry.settings import Settings
from scorer.errors import RouteMoAError

REGISTERED = Path("build/registered.json")
GATE = Path("build/gate.json")
STARTED = re.compile(r"Running stage '([^']+)'|Stage '([^']+)' (?:didn't change, skipping|is cached)")
COUNTED = re.compile(r"^[a-z0-9-]+: (\d+)/(\d+)$")  # pipelines.asking
SHARE_OF_REPRO = (0.05, 1.0)  # of the whole progress; before it lies the harvest


@dataclass(slots=True)
class Progress:
    """How far `dvc repro` is: stages begun of all, and the share of the present one where it counts."""

    stages: int
    begun: int = 0
    name: str = "starting"

    def read(self, line: str) -> str | None:
        """The progress line to print for a line of DVC's output, None where it says nothing new."""
        stage, counted = STARTED.search(line), COUNTED.match(line.strip())
        if stage:
            self.begun += 1
            self.name = (stage[1] or stage[2]).replace("@", " ")
            return self.told(0.0)
        if counted and int(counted[2]):
            return self.told(int(counted[1]) / int(counted[2]), f" ({counted[1]} of {counted[2]})")
        return None

    def told(self, share: float, detail: str = "") -> str:
        """The line for the present stage, `share` of it done."""
        first, last = SHARE_OF_REPRO
        done = min(max(self.begun - 1, 0) + share, self.stages) / max(self.stages, 1)
        return progress_line(self.name + detail, first + (last - first) * done * 0.99)


@dataclass(slots=True)
class Dvc:
    """DVC in a process group of its own, so that stopping reaches the stage it runs."""

    home: Path
    _child: subprocess.Popen[str] | None = None
    _last: deque[str] = field(default_factory=lambda: deque(maxlen=30))

    def run(self, *arguments: str, progress: Progress | None = None) -> None:
        """Runs `dvc` with `arguments`, echoing what it says.

        Raises RetrainRefused where another DVC command holds the project, PipelineError with its last words where it fails.
        """
        command = [sys.executable, "-m", "dvc", *arguments]
        environment = {**with_this_python(), "DVC_NO_ANALYTICS": "1", "PYTHONUNBUFFERED": "1", "ROUTEMOA_HOME": str(self.home)}
        with subprocess.Popen(
            command,
            cwd=self.home,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as child:
            self._child = child
            for line in child.stdout or ():
                self._last.append(line.rstrip())
                print(line, end="", flush=True)
                told = progress.read(line) if progress else None
                if told:
                    print(told, flush=True)
        if child.returncode != 0:
            self._explain(arguments, child.returncode)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Ends DVC as Ctrl-C would, which lets it release its locks and the stage keep what it has."""
        if self._child is not None and self._child.poll() is None:
            os.killpg(self._child.pid, number)

    def _explain(self, arguments: tuple[str, ...], code: int) -> None:
        said = [line for line in self._last if line]
        shown = f"`dvc {' '.join(arguments)}`"
        if any("is busy" in line or "blocked by" in line or "Unable to acquire lock" in line for line in said):
            blocker = next((line.strip() for line in said if "(PID" in line), "another DVC command")
            raise RetrainRefused(f"{shown}: the project is locked by {blocker}.", next_step="Wait for it to end, then retrain again.")
        stage = next((line for line in reversed(said) if "failed to reproduce" in line), "")
        words = " ".join(
            line.removeprefix("ERROR: ") for line in said[-6:] if "failed to reproduce" not in line and not line.startswith("> ")
        )
        raise PipelineError(f"{shown} ended with code {code}. {words} {stage}".strip(), next_step="Correct it and run `dvc repro`.")


def retrain(settings: Settings, dvc: Dvc) -> str:
    """One round; returns what came of it, in words.

    Raises RetrainRefused where another one runs, PipelineError where a stage fails.
    """
    lock = FileLock(settings.var / "retrain.lock", timeout=0)
    settings.var.mkdir(parents=True, exist_ok=True)
    try:
        with lock:
            return _round(settings, dvc)
    except Timeout as exc:
        raise RetrainRefused("Another retraining of this project runs.", next_step="Wait for it: `routemoa jobs` shows it.") from exc


def _round(settings: Settings, dvc: Dvc) -> str:
    pool.load(settings.pool_file)  # a malformed pool is refused before anything is changed
    before = _version(settings)
    print(progress_line("harvest", 0.0), flush=True)
    brought = harvest(settings.var / "records.db", settings.home / "data")
    print(brought, flush=True)
    if brought.changed:
        dvc.run("add", "data")
    dvc.run("repro", progress=Progress(_count_stages(settings)))
    registered, gate = (_json(settings.home / path) for path in (REGISTERED, GATE))
    if registered["version"] == before:
        return f"no new scorer version, {before} stays: {brought}"
    passed = "passed" if gate.get("passed") else "failed"
    return f"scorer version {registered['version']} registered, gate {passed}"


def _version(settings: Settings) -> object:
    """The version registered last, None before the first."""
    path = settings.home / REGISTERED
    return _json(path)["version"] if path.exists() else None


def _count_stages(settings: Settings) -> int:
    """How many stages dvc.yaml comes to; `foreach` ones count once an LLM. data.dvc is not one that DVC reports as run."""
    stages = YAML(typ="safe").load(settings.home / "dvc.yaml")["stages"]
    each = len(pool.load(settings.pool_file).llms)
    return sum(each if "foreach" in stage else 1 for stage in stages.values())


def _json(path: Path) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as exc:
        raise PipelineError(f"{path}: cannot be read ({exc}).", next_step="Does dvc.yaml still write it?") from exc
    return loaded


def progress_line(step: str, progress: float) -> str:
    """What the worker reads."""
    return json.dumps({"step": step, "progress": round(progress, 4)})


def _end_with_parent(dvc: Dvc) -> None:
    """Ends DVC and this process when stdin closes: its other end is the worker's, so even `kill -9` of the worker closes it."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        dvc.stop(signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line and goes round once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", default="", help="the job this is done for")
    parser.add_argument("--reason", default="a person asked for it", help="why, for the log")
    parser.add_argument("--with-parent", action="store_true", help="end when stdin closes")
    given = parser.parse_args(arguments)
    settings = Settings()
    dvc = Dvc(settings.home)

    def stop(*_: int | FrameType | None) -> None:
        dvc.stop()
        raise SystemExit("Stopped; what was answered is kept.")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if given.with_parent:
        _end_with_parent(dvc)
    print(f"Retraining {f'for job {given.job} ' if given.job else ''}because: {given.reason}", flush=True)
    try:
        print(progress_line(retrain(settings, dvc), 1.0), flush=True)
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
