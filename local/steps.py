"""What the demo's acts have in common: jobs that are followed, versions promoted, queries sent."""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from local import build_results, figures
from local.errors import StepFailed
from local.stage import Stage
from local.story import Act
from pipelines import dataset
from pipelines.project import Project
from registry import child_process, promotion
from registry.errors import ChildFailed

SWAP_S = 30.0  # servers look for another champion every few seconds


def follow(stage: Stage, job_id: str) -> str:
    """Waits for a job, showing its progress; returns what came of it.

    Raises StepFailed where the job fails, ProcessFailed where its worker ends.
    """
    visitor, platform = stage.visitor, stage.platform
    job = visitor.request("GET", f"/admin/jobs/{job_id}")
    said = ""
    with Console().status("retraining") as status:
        while job["state"] in {"queued", "running"}:
            time.sleep(1.0)
            platform.processes.check("worker")
            job = visitor.request("GET", f"/admin/jobs/{job_id}")
            status.update(f"{job['step'] or job['state']}  {job['progress']:.0%}")
            if not sys.stdout.isatty() and job["step"] != said:
                said = job["step"]
                stage.story.console.print(f"job {job_id}: {said or job['state']}  {job['progress']:.0%}", highlight=False)
    if job["state"] != "done":
        raise StepFailed(f"The retraining job {job_id} failed: {job['error']}", next_step=f"Read {job['log']}.")
    return str(job["step"])


def promote(stage: Stage, *, reason: str) -> str:
    """Makes the registered version champion; where its gate failed, says so and overrides it with `reason`, which the registry records."""
    version, passed = build_results.version(stage.home), build_results.gate_passed(stage.home)
    promotion.promote(version, override=None if passed else f"demo: {reason}", settings=stage.platform.settings)
    return f"version {version} promoted (" + ("gate passed" if passed else f"gate overridden: {reason}") + ")"


def promoted(stage: Stage, act: Act, *, reason: str) -> str:
    """Promotes the version that a job registered and waits until every server routes with it; returns its number.

    Raises StepFailed where one does not swap.
    """
    act.say(promote(stage, reason=reason))
    version, began, longest = keep_version(stage), time.monotonic(), SWAP_S * stage.plan.patience
    while any(visitor.request("GET", "/admin/scorer")["version"] != version for visitor in stage.visitors()):
        if time.monotonic() - began > longest:
            raise StepFailed(
                f"The server did not swap to version {version} within {longest:.0f} s.", next_step="Read var/logs/sync.log and server.log."
            )
        time.sleep(0.1)
    act.say(f"the server swapped to version {version} after {time.monotonic() - began:.1f} s")
    return version


def keep_version(stage: Stage) -> str:
    """Copies the artifact that was just registered, to be compared with later ones; returns its version."""
    version = build_results.version(stage.home)
    shutil.copytree(Project(stage.home).scorer, stage.version_folder(version), dirs_exist_ok=True)
    return version


def send(stage: Stage, act: Act, key: str, queries: list[dict[str, Any]], *, audited: int = 0) -> None:
    """Sends `queries` through one LLM each; the act says what came of them."""
    act.say(figures.traffic(stage.home, ask(stage, key, queries, audited=audited)))


def ask(stage: Stage, key: str, queries: list[dict[str, Any]], *, virtual_model: str = "routemoa-single", audited: int = 0) -> list[Any]:
    """Asks `queries`, those that an earlier try of the act had answered left out; a `Served` each."""
    return stage.visitor.ask_all(
        queries,
        virtual_model=virtual_model,
        max_tokens=stage.plan.max_tokens,
        title=key,
        audited=audited,
        kept=stage.served_file(key),
    )


def look(stage: Stage) -> dict[str, Any]:
    """Runs the monitor once; returns what it wrote."""
    run(stage.home, "monitoring.watch", "--once")
    return dict(json.loads((stage.platform.settings.var / "reports" / "latest.json").read_text()))


def verdict(latest: dict[str, Any]) -> str:
    """What the monitor wrote, in a line."""
    return f"verdict: {latest['verdict']['kind']} ({'; '.join(latest['verdict']['reasons'])})"


def roster(home: Path) -> str:
    """The LLMs of the dataset."""
    return ", ".join(llm.id for llm in dataset.load(Project(home).dataset).llms)


def run(home: Path, module: str, *arguments: str) -> None:
    """Runs `python -m module` for the project in `home`, whatever ROUTEMOA_HOME says; its progress goes straight to the terminal."""
    try:
        child_process.run([sys.executable, "-m", module, *arguments], cwd=home, ROUTEMOA_HOME=str(home))
    except ChildFailed as exc:
        raise StepFailed(exc.what, next_step="What it printed is above.") from exc
