"""Goes once round the loop: `python -m pipelines.retrain [--harvest] [--reason WHY]`.

Takes served queries in where it is told to (`--harvest`), pins the data, asks all LLMs at once what they lack, has `dvc repro` do the
rest, says what was registered and what that bought for the groups of unknown queries that the job names, and saves it as a DVC experiment,
which `dvc exp apply scorer-N && dvc checkout` restores.

Progress is a line a step (`registry.progress`) on standard output; every other line is DVC's or a stage's.
Nothing is promoted: the new scorer version is a challenger.
"""

import argparse
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from ruamel.yaml import YAML

from monitoring.audits.group_actions import Chosen, groups_of
from pipelines import data_pin, harvest, json_files, params, plan, scorer_run
from pipelines.errors import PipelineError, RetrainRefused
from pipelines.project import Project
from pipelines.project_lock import END_WITHIN_S, alone
from registry import gains, lineage, local_store, pool, versions
from registry.child_process import Child, end_with_parent
from registry.errors import ChildFailed
from registry.progress import Progress
from registry.settings import Settings
from scorer.errors import RouteMoAError

STARTED = re.compile(r"Running stage '([^']+)'|Stage '([^']+)' (?:didn't change, skipping|is cached)")
BY_HAND = "a person asked for it"
SHARE_OF_ASKING = (0.05, 0.4)  # of the whole progress; before it lies the harvest
SHARE_OF_REPRO = (0.4, 1.0)


@dataclass(frozen=True, slots=True)
class AskingProgress:
    """How far asking is, as a part of the whole."""

    def read(self, line: str) -> Progress | None:
        """The progress of the whole after a line of `pipelines.ask_all`, None where the line is about something else."""
        own, (first, last) = Progress.parse(line), SHARE_OF_ASKING
        return Progress(f"asking {own.step}", first + (last - first) * own.share) if own else None


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
class Steps:
    """What a round runs, in a process group of its own, so that stopping reaches the stage that DVC runs, and so does `kill -9` of us."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)  # of the stages: what they are run for (`pipelines.scorer_run`)
    _child: Child = field(default_factory=lambda: Child(own_group=True, tied=True))

    def dvc(self, *arguments: str, progress: ReproProgress | None = None) -> None:
        """Runs `dvc` with `arguments`.

        Raises RetrainRefused where another DVC command holds the project, PipelineError with its last lines where it fails.
        """
        try:
            self._run("dvc", *arguments, progress=progress)
        except ChildFailed as exc:
            raise _explained(arguments, exc) from exc

    def ask_all(self) -> None:
        """Asks every LLM what it lacks. Raises PipelineError where one could not be asked to the end."""
        try:
            self._run("pipelines.ask_all", progress=AskingProgress())
        except ChildFailed as exc:
            reason = " ".join(_said(exc)[-5:]) or exc.what
            raise PipelineError(reason) from exc

    def consensus(self, job: str) -> None:
        """Asks the pool what nothing else grades of the job's groups. Raises PipelineError where an LLM could not be asked to the end."""
        try:
            self._run("pipelines.consensus", "--job", job, progress=AskingProgress())
        except ChildFailed as exc:
            raise PipelineError(" ".join(_said(exc)[-5:]) or exc.what) from exc

    def stop(self, number: int = signal.SIGINT) -> None:
        """Ends what runs as Ctrl-C would: DVC releases its locks, and what was answered is kept."""
        self._child.stop(number)

    def end(self) -> None:
        """Kills what runs and returns when it is gone, or refuses to go: until then DVC takes the project for locked."""
        self._child.end(END_WITHIN_S)

    def _run(self, module: str, *arguments: str, progress: AskingProgress | ReproProgress | None) -> None:
        """Runs a module, echoing its output; its own progress is replaced by that of the whole. Raises ChildFailed."""

        def echo(line: str) -> None:
            if Progress.parse(line) is None:
                print(line, end="", flush=True)
            whole = progress.read(line) if progress else None
            if whole:
                print(whole.line(), flush=True)

        command = [sys.executable, "-m", "registry.tied", module, *arguments]
        self._child.run(command, echo, cwd=self.home, DVC_NO_ANALYTICS="1", **self.environment)


def _said(failure: ChildFailed) -> list[str]:
    """The last lines of a child's output that are not about progress."""
    return [line for line in failure.lines if line.strip() and Progress.parse(line) is None]


def _explained(arguments: tuple[str, ...], failure: ChildFailed) -> PipelineError:
    """Why DVC failed, from its last lines: the project is locked, or a stage failed."""
    lines = _said(failure)
    command = f"`dvc {' '.join(arguments)}`"
    if any("is busy" in line or "blocked by" in line or "Unable to acquire lock" in line for line in lines):
        blocker = next((line.strip() for line in lines if "(PID" in line), "another DVC command")
        return RetrainRefused(f"{command}: the project is locked by {blocker}.", next_step="Wait for it to end, then retrain again.")
    stage = next((line for line in reversed(lines) if "failed to reproduce" in line), "")
    reason = " ".join(
        line.removeprefix("ERROR: ") for line in lines[-6:] if "failed to reproduce" not in line and not line.startswith("> ")
    )
    return PipelineError(f"{command} ended with code {failure.code}. {reason} {stage}".strip(), next_step="Correct it and run `dvc repro`.")


@dataclass(frozen=True, slots=True)
class Order:
    """What a round is for. job: its id, empty where a person started it; reason: empty where nothing but that is known.

    groups: of unknown queries that caused it (`monitoring.audits.group_actions`).
    """

    job: str = ""
    reason: str = ""
    harvesting: bool = False
    groups: tuple[Chosen, ...] = ()

    @property
    def decisions(self) -> frozenset[str]:
        """Those of all groups."""
        return frozenset(each for group in self.groups for each in group.members)


def only_harvest(settings: Settings, order: Order) -> str:
    """Takes in what can be graded of the order's groups, or of everything where it names none; asks nobody. Raises as `retrain` does."""
    project = Project(settings.home)
    with alone(project):
        found = harvest.look(project, params.load(project.params).label, of=order.decisions if order.groups else None)
        harvest.take(project, found)
    return str(found)


def retrain(settings: Settings, steps: Steps, order: Order) -> str:
    """One round; returns what came of it, in words.

    Raises RetrainRefused where another one runs, PipelineError where an LLM cannot be asked or a stage fails.
    """
    project = Project(settings.home)
    with alone(project), scorer_run.of_a_job(settings, order.job, order.reason) as environment:
        steps.environment.update(environment)
        return _round(project, settings, steps, order)


def _round(project: Project, settings: Settings, steps: Steps, order: Order) -> str:
    entries = pool.load(settings.pool_file)  # malformed files are refused before anything is changed
    parsed = params.load(project.params)
    before, served = _version(project), served_scorer(settings)
    said = "nothing was harvested (`routemoa harvest` says what served queries would bring)."
    if order.harvesting:
        print(Progress("harvest", 0.0).line(), flush=True)
        harvested = harvest.look(project, parsed.label)
        plan.make(project, entries, parsed, harvested, order.groups).show(Console(soft_wrap=True))
        harvest.take(project, harvested)
        said = str(harvested)
        if order.groups:
            steps.consensus(order.job)
    print(Progress("asking", SHARE_OF_ASKING[0]).line(), flush=True)
    if not data_pin.is_pinned(project):
        steps.dvc("add", "data")
    steps.ask_all()
    steps.dvc("repro", progress=ReproProgress(_count_stages(project, len(entries.llms))))
    version = _version(project)
    if version == before:
        return f"no new scorer version, {before} stays: {said}"
    save_experiment(project, settings, steps, str(version))
    bought = _bought(project, settings, order, str(version), served)
    return f"scorer version {version} registered, {_judged(json_files.read(project.gate, 'gate'), version)}{'.' if bought else ''}{bought}"


def served_scorer(settings: Settings) -> Path | None:
    """The folder of the scorer that serves on this host now, None where none does."""
    active = local_store.current(settings.var)
    return None if active is None else settings.var / "scorers" / active.folder


def _bought(project: Project, settings: Settings, order: Order, version: str, served: Path | None) -> str:
    """What the round did for the groups that caused it, in words; also written down. What cannot be told ends no retraining."""
    from pipelines import gain

    try:
        found = gain.of_groups(project, order.groups, served)
        if found:
            against = None if served is None else served.name.partition("-")[0]  # a folder may have a hash after its version
            gains.keep(settings, order.job, version, against, [each.as_dict() for each in found])
    except RouteMoAError as exc:
        print(f"What the groups gained cannot be told: {' '.join(str(exc).split())}", flush=True)
        return ""
    return "".join(f" {each}" for each in found)


def save_experiment(project: Project, settings: Settings, steps: Steps, version: str) -> None:
    """Saves pool, parameters, data and stages as the DVC experiment `scorer-N`, and notes its name on the version.

    Where that cannot be done the version stands all the same, and a line says why. The pool's file is as it was committed for a moment
    meanwhile, so nobody may change it; a server waits until a changed one has settled.
    """
    if lineage.git_commit(project.home) is None:
        print("Not saved as a DVC experiment: the project is not under git, or has no commit.", flush=True)
        return
    name = f"scorer-{version}"
    new = lineage.untracked(project.home, (project.lock, project.data_pin, settings.pool_file, project.params))
    try:
        with pool.held(settings.pool_file):
            steps.dvc("exp", "save", "--force", "--name", name, *(each for path in new for each in ("--include-untracked", path)))
        versions.note_experiment(version, name, settings=settings)
    except RouteMoAError as exc:
        print(f"Version {version} is not saved as a DVC experiment: {' '.join(str(exc).split())}", flush=True)


def _judged(gate: Mapping[str, Any], version: object) -> str:
    """What the gate found, and what a person does next, in words."""
    summary = f": {gate['summary']}" if gate.get("summary") else ""
    if gate.get("passed"):
        return f"gate passed{summary}. Promote: routemoa promote {version}"
    return f"gate failed{summary}. See why: routemoa show {version}"


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
    parser.add_argument("--harvest", action="store_true", help="first take in the served queries that can be graded")
    parser.add_argument("--only-harvest", action="store_true", help="end after that")
    parser.add_argument("--reason", default=BY_HAND, help="why: for the log, and the name of the run in MLflow")
    parser.add_argument("--with-parent", action="store_true", help="end when stdin closes")
    command_line = parser.parse_args(arguments)
    settings = Settings()
    steps = Steps(settings.home)

    def stop(*_: int | FrameType | None) -> None:
        steps.stop()
        raise SystemExit("Stopped; what was answered is kept.")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if command_line.with_parent:
        end_with_parent(steps.end)
    print(f"Retraining {f'for job {command_line.job} ' if command_line.job else ''}because: {command_line.reason}", flush=True)
    try:
        reason = "" if command_line.reason == BY_HAND else command_line.reason
        order = Order(command_line.job, reason, command_line.harvest, groups_of(settings, command_line.job))
        said = only_harvest(settings, order) if command_line.only_harvest else retrain(settings, steps, order)
        print(Progress(said, 1.0).line(), flush=True)
    except RouteMoAError as exc:
        sys.exit(" ".join(str(exc).split()))  # one line: the last one is what the worker writes into the job


if __name__ == "__main__":
    main()
