"""The whole loop on real LLMs, step by step: `routemoa demo [--small] [--stay]` (`make demo`, `make demo-small`, `make up`)."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from local import build_results, workspace
from local.errors import StepFailed
from local.stack import Stack, stack, stay, where
from local.story import Story
from local.traffic import Served, Visitor
from pipelines.project import Project
from registry import child_process, versions
from registry import pool as pools
from registry.errors import ChildFailed

JOINER = Path(__file__).parent / "joiner.yaml"
SWAP_S = 30.0  # servers look for another champion every few seconds

PREFERENCES = {
    "ROUTEMOA_MIXTURE__VALUE_PER_USD": "1000",  # local answers cost millionths of a dollar: weigh them all the same
    "ROUTEMOA_STORE_TEXT": "true",  # queries on one's own machine are kept, so that they can be harvested
}


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """How much of everything the demo does."""

    usual: int  # in-domain queries sent
    unusual: int  # out-of-domain queries sent
    mixed: int  # of them, through the whole mixture
    max_tokens: int  # of a served answer


FULL = DemoPlan(usual=16, unusual=16, mixed=1, max_tokens=48)
SMALL = DemoPlan(usual=24, unusual=36, mixed=1, max_tokens=16)


def run(*, source: Path, at: Path, small: bool, stay_up: bool) -> None:
    """Runs the loop in a project of its own at `at`; leaves what was built there, so that the next run redoes only what changed."""
    story, script = Story(), SMALL if small else FULL
    home = make_project(story, source, at, small=small)
    with stack(home, PREFERENCES) as platform:
        first_scorer(story, platform)
        serve(story, platform)
        usual_traffic(story, platform, script)
        one_more_llm(story, platform)
        unusual_traffic(story, platform, script)
        story.console.print(story.table(), where(platform))
        if stay_up:
            stay(platform)
    story.console.print("Everything that was started has been stopped.")


def make_project(story: Story, source: Path, at: Path, *, small: bool) -> Path:
    """A project of its own at `at`, with the query pool and the recorded answers that travel with the checkout."""
    with story.step("Make the project", "git status") as results:
        home = workspace.make(source, at, overlay="small" if small else None)
        results.append(f"{home}, a git and DVC repository of its own")
    with story.step("Build the query pool, fetch recorded answers", f"cd {home} && python -m pipelines.queries") as results:
        if not Project(home).queries.exists():
            _run(home, "pipelines.queries")
            _run(home, "dvc", "add", "--quiet", "data")
        stages = build_results.stages_to_pull(home)
        if stages:
            _run(home, "dvc", "pull", "--quiet", *stages)
        results.append(f"{build_results.query_count(home)} queries; recorded answers fetched: {len(stages)} LLMs")
    return home


def first_scorer(story: Story, platform: Stack) -> None:
    """Starts the LLMs and MLflow and runs the pipeline."""
    home = platform.settings.home
    with story.step("Start the LLMs and MLflow", "make demo") as results:
        results.append("llama.cpp: " + ", ".join(platform.start_llms()))
        platform.start_registry()
        results.append(f"MLflow at {platform.addresses.mlflow}")
    with story.step("Answer, label, validate, train, evaluate, register", f"cd {home} && dvc repro") as results:
        _run(home, "dvc", "repro")
        results.append(build_results.registered(home))


def serve(story: Story, platform: Stack) -> None:
    """Promotes the registered version and starts the server on it."""
    with story.step("Promote and serve", f"cd {platform.settings.home} && routemoa show") as results:
        results.append(promote(platform, reason="the demo's first scorer"))
        platform.start_serving()
        platform.wait_until_routing()
        results.append(f"serving at {platform.addresses.server}")


def usual_traffic(story: Story, platform: Stack, script: DemoPlan) -> None:
    """Sends queries like those the scorer was trained on, through one LLM and through the mixture, and runs the monitor."""
    home, visitor = platform.settings.home, _visitor(platform)
    with story.step("Usual traffic", f"cd {home} && routemoa verdict") as results:
        usual = build_results.sample(home, script.usual, "test")
        single = visitor.ask_all(usual, virtual_model="routemoa-single", max_tokens=script.max_tokens, title="routemoa-single")
        mixed = visitor.ask_all(usual[: script.mixed], virtual_model="routemoa", max_tokens=script.max_tokens, title="routemoa")
        results.extend([summary(single), "mixture: " + summary(mixed), _verdict(_monitor(platform))])


def one_more_llm(story: Story, platform: Stack) -> None:
    """Registers one more LLM over HTTP; the platform asks it, labels it, retrains; its version is promoted and swapped in."""
    with story.step("One more LLM joins", f"cd {platform.settings.home} && routemoa jobs") as results:
        visitor, entry = _visitor(platform), joiner(platform)
        follow(platform, visitor, visitor.request("POST", "/admin/llms", entry)["job"]["id"])
        results.extend([f"{entry['id']} joined", build_results.registered(platform.settings.home)])
        results.append(promote(platform, reason=f"{entry['id']} joined"))
        results.append(_swapped(visitor, build_results.version(platform.settings.home)))


def unusual_traffic(story: Story, platform: Stack, script: DemoPlan) -> None:
    """Sends queries of the domains that no scorer was trained on, and runs the monitor."""
    home, visitor = platform.settings.home, _visitor(platform)
    with story.step("Unusual traffic", f"cd {home} && routemoa verdict") as results:
        unusual = build_results.sample(home, script.unusual, "ood")
        served = visitor.ask_all(unusual, virtual_model="routemoa-single", max_tokens=script.max_tokens, title="out of domain")
        latest = _monitor(platform)
        results.extend([summary(served), _verdict(latest)])
        if latest["job"] is not None:
            results.append(f"job {latest['job']} (one a verdict): {follow(platform, visitor, latest['job'])}")


def joiner(platform: Stack) -> dict[str, Any]:
    """The pool entry of the demo's new LLM: joiner.yaml, on the server that already runs its weights.

    Raises StepFailed where no LLM of the pool runs there.
    """
    entry: dict[str, Any] = yaml.safe_load(JOINER.read_text())
    served_name = entry.pop("served_name")
    endpoints = [llm.endpoint for llm in pools.load(platform.settings.pool_file).active if llm.endpoint is not None]
    base_url = next((endpoint.base_url for endpoint in endpoints if endpoint.served_name == served_name), None)
    if base_url is None:
        raise StepFailed(
            f"No LLM of the pool runs on {served_name}, where the demo's new LLM would.", next_step="git restore registry/pool.yaml"
        )
    return {**entry, "endpoint": {"base_url": base_url, "served_name": served_name, "api_key_env": None}}


def follow(platform: Stack, visitor: Visitor, job_id: str) -> str:
    """Waits for a job, showing its progress; returns what came of it.

    Raises StepFailed where the job fails, ProcessFailed where its worker ends.
    """
    job = visitor.request("GET", f"/admin/jobs/{job_id}")
    with Console().status("retraining") as status:
        while job["state"] in {"queued", "running"}:
            time.sleep(1.0)
            platform.processes.check("worker")
            job = visitor.request("GET", f"/admin/jobs/{job_id}")
            status.update(f"{job['step'] or job['state']}  {job['progress']:.0%}")
    if job["state"] != "done":
        raise StepFailed(f"The retraining job {job_id} failed: {job['error']}", next_step=f"Read {platform.processes.log('worker')}.")
    return str(job["step"])


def promote(platform: Stack, *, reason: str) -> str:
    """Makes the registered version champion; where its gate failed, says so and overrides it with `reason`, which the registry records."""
    home = platform.settings.home
    version, passed = build_results.version(home), build_results.gate_passed(home)
    versions.promote(version, override=None if passed else f"demo: {reason}", settings=platform.settings)
    return f"version {version} promoted (" + ("gate passed" if passed else f"gate overridden: {reason}") + ")"


def summary(served: list[Served]) -> str:
    """Who answered, how many of the graded answers are right, what they cost."""
    scores = [one.score for one in served if one.score is not None]
    by_llm = sorted({one.llm or "synthesis" for one in served})
    share = f"{sum(scores) / len(scores):.0%} right of {len(scores)} graded" if scores else "none graded"
    return f"{len(served)} answered by {', '.join(by_llm)}: {share}, {sum(one.cost_usd for one in served):.6f} USD"


def _swapped(visitor: Visitor, version: str) -> str:
    """Waits until the server routes with `version`. Raises StepFailed after SWAP_S."""
    began = time.monotonic()
    while visitor.request("GET", "/admin/scorer")["version"] != version:
        if time.monotonic() - began > SWAP_S:
            raise StepFailed(
                f"The server did not swap to version {version} within {SWAP_S:.0f} s.", next_step="Read var/logs/sync.log and server.log."
            )
        time.sleep(0.1)
    return f"the server swapped to version {version} after {time.monotonic() - began:.1f} s"


def _monitor(platform: Stack) -> dict[str, Any]:
    """Runs the monitor once; returns what it wrote."""
    _run(platform.settings.home, "monitoring.watch", "--once")
    return dict(json.loads((platform.settings.var / "reports" / "latest.json").read_text()))


def _verdict(latest: dict[str, Any]) -> str:
    return f"verdict: {latest['verdict']['kind']} ({'; '.join(latest['verdict']['reasons'])})"


def _visitor(platform: Stack) -> Visitor:
    return Visitor(platform.addresses.server, platform.api_key)


def _run(home: Path, module: str, *arguments: str) -> None:
    """Runs `python -m module` for the project in `home`, whatever ROUTEMOA_HOME says; its progress goes straight to the terminal."""
    try:
        child_process.run([sys.executable, "-m", module, *arguments], cwd=home, ROUTEMOA_HOME=str(home))
    except ChildFailed as exc:
        raise StepFailed(exc.what, next_step="What it printed is above.") from exc
