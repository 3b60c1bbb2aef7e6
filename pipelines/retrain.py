"""Goes once round the loop: harvest, pin the data, `dvc repro`, say what was registered: `python -m pipelines.retrain [--reason WHY]`.

Progress is a line a step (`registry.progress`) on standard output; every other line is DVC's or a stage's.
Nothing is promoted: the new scorer version is a challenger.
"""

import argparse
import re
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout
from ruamel.yaml import YAML

from pipelines import json_files
from pipelines.errors import PipelineError, RetrainRefused
from pipelines.harvest import harvest
from pipelines.project import Project
from registry import pool
from registry.child_process import Child, end_with_parent
from registry.errors import ChildFailed
from registry.progress import Progress
from registry.settings import Settings
from scorer.errors import RouteMoAError

STARTED = re.compile(r"Running stage '([^']+)'|Stage '([^']+)' (?:didn't change, skipping|is cached)")
SHARE_OF_REPRO = (0.05, 1.0)  # of the whole progress; before it lies the harvest


@dataclass(slots=True)
class ReproProgress:
    """How far `dvc repro` is: stages begun of all, and the share of the present one where it reports progress of its own."""

    stages: int
    begun: int = 0
    stage: str = "starting"

    def read(self, line: str) -> Progress | None:
        """The progress of the whole after a line of DVC's output, None where the line is about something else."""
        started, own = STARTED.search(line), Progress.parse(line)
        if started:
            self.begun += 1
            self.stage = (started[1] or started[2]).replace("@", " ")
            return self._whole(Progress(self.stage, 0.0))
        return self._whole(Progress(f"{self.stage} ({own.step})", own.share)) if own else None

    def _whole(self, present: Progress) -> Progress:
        """The progress of all stages, from that of the present one."""
        first, last = SHARE_OF_REPRO
        done = min(max(self.begun - 1, 0) + present.share, self.stages) / max(self.stages, 1)
        return Progress(present.step, first + (last - first) * done * 0.99)


@dataclass(slots=True)
class Dvc:
    """DVC in a process group of its own, so that stopping reaches the stage it runs."""

    home: Path
    _child: Child = field(default_factory=lambda: Child(own_group=True))

    def run(self, *arguments: str, progress: ReproProgress | None = None) -> None:
        """Runs `dvc` with `arguments`, echoing its output; a stage's own progress is replaced by that of the whole.

        Raises RetrainRefused where another DVC command holds the project, PipelineError with its last lines where it fails.
        """

        def echo(line: str) -> None:
            if Progress.parse(line) is None:
                print(line, end="", flush=True)
            whole = progress.read(line) if progress else None
            if whole:
                print(whole.line(), flush=True)

        try:
            self._child.run([sys.executable, "-m", "dvc", *arguments], echo, cwd=self.home, DVC_NO_ANALYTICS="1")
        except ChildFailed as exc:
            raise _explained(arguments, exc) from exc

    def stop(self, number: int = signal.SIGINT) -> None:
        """Ends DVC as Ctrl-C would, which lets it release its locks and the stage keep what it has."""
        self._child.stop(number)


def _explained(arguments: tuple[str, ...], failure: ChildFailed) -> PipelineError:
    """Why DVC failed, from its last lines: the project is locked, or a stage failed."""
    lines = [line for line in failure.lines if line and Progress.parse(line) is None]
    command = f"`dvc {' '.join(arguments)}`"
    if any("is busy" in line or "blocked by" in line or "Unable to acquire lock" in line for line in lines):
        blocker = next((line.strip() for line in lines if "(PID" in line), "another DVC command")
        return RetrainRefused(f"{command}: the project is locked by {blocker}.", next_step="Wait for it to end, then retrain again.")
    stage = next((line for line in reversed(lines) if "failed to reproduce" in line), "")
    reason = " ".join(
        line.removeprefix("ERROR: ") for line in lines[-6:] if "failed to reproduce" not in line and not line.startswith("> ")
    )
    return PipelineError(f"{command} ended with code {failure.code}. {reason} {stage}".strip(), next_step="Correct it and run `dvc repro`.")


def retrain(settings: Settings, dvc: Dvc) -> str:
    """One round; returns what came of it, in words.

    Raises RetrainRefused where another one runs, PipelineError where a stage fails.
    """
    project = Project(settings.home)
    lock = FileLock(project.retrain_lock, timeout=0)
    project.var.mkdir(parents=True, exist_ok=True)
    try:
        with lock:
            return _round(project, settings.pool_file, dvc)
    except Timeout as exc:
        raise RetrainRefused("Another retraining of this project runs.", next_step="Wait for it: `routemoa jobs` shows it.") from exc


def _round(project: Project, pool_file: Path, dvc: Dvc) -> str:
    llms = len(pool.load(pool_file).llms)  # a malformed pool is refused before anything is changed
    before = _version(project)
    print(Progress("harvest", 0.0).line(), flush=True)
    harvested = harvest(project)
    print(harvested, flush=True)
    if harvested.changed:
        dvc.run("add", "data")
    dvc.run("repro", progress=ReproProgress(_count_stages(project, llms)))
    version = _version(project)
    if version == before:
        return f"no new scorer version, {before} stays: {harvested}"
    passed = "passed" if json_files.read(project.gate, "gate").get("passed") else "failed"
    return f"scorer version {version} registered, gate {passed}"


def _version(project: Project) -> object:
    """The version registered last, None before the first."""
    return json_files.read(project.registered, "register")["version"] if project.registered.exists() else None


def _count_stages(project: Project, llms: int) -> int:
    """How many stages dvc.yaml comes to; `foreach` ones count once an LLM. data.dvc is not one that DVC reports as run."""
    stages = YAML(typ="safe").load(project.stages)["stages"]
    return sum(llms if "foreach" in stage else 1 for stage in stages.values())


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line and goes round once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", default="", help="the job this is done for")
    parser.add_argument("--reason", default="a person asked for it", help="why, for the log")
    parser.add_argument("--with-parent", action="store_true", help="end when stdin closes")
    command_line = parser.parse_args(arguments)
    settings = Settings()
    dvc = Dvc(settings.home)

    def stop(*_: int | FrameType | None) -> None:
        dvc.stop()
        raise SystemExit("Stopped; what was answered is kept.")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if command_line.with_parent:
        end_with_parent(lambda: dvc.stop(signal.SIGKILL))
    print(f"Retraining {f'for job {command_line.job} ' if command_line.job else ''}because: {command_line.reason}", flush=True)
    try:
        print(Progress(retrain(settings, dvc), 1.0).line(), flush=True)
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
