"""The whole loop on real LLMs, told step by step: `routemoa demo [--small] [--stay]` (`make demo`, `make demo-small`, `make up`)."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local import workspace
from local.errors import StepFailed
from local.stack import Stack, stack, stay, where
from local.traffic import Served, Visitor
from pipelines import dataset
from pipelines.query_selection import in_hash_order
from registry import child_process, versions
from registry import pool as pools
from registry.errors import ChildFailed
from scorer.errors import RouteMoAError

JOINERS = Path(__file__).parent / "joiner.yaml"


PREFERENCES = {
    "ROUTEMOA_MIXTURE__VALUE_PER_USD": "1000",  # local answers cost millionths of a dollar: weigh them all the same
    "ROUTEMOA_STORE_TEXT": "true",  # queries on one's own machine are kept, so that they can be harvested
}


@dataclass(frozen=True, slots=True)
class Script:
    """How much of everything the demo does."""

    usual: int  # in-domain queries sent
    unusual: int  # out-of-domain queries sent
    mixed: int  # of them, through the whole mixture
    max_tokens: int  # of a served answer


FULL = Script(usual=16, unusual=16, mixed=1, max_tokens=48)
SMALL = Script(usual=24, unusual=36, mixed=1, max_tokens=16)


@dataclass
class Story:
    """What happened, step by step."""

    console: Console = field(default_factory=Console)
    rows: list[tuple[str, str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str, retry: str) -> Iterator[list[str]]:
        """One step: announced, timed, its outcome noted; a failure names the step, the reason and the command to try."""
        self.console.rule(f"[bold]{title}", align="left")
        began, outcome = time.monotonic(), list[str]()
        try:
            yield outcome
        except RouteMoAError as error:
            raise StepFailed(f"Step “{title}” failed: {error.what}", next_step=f"{error.next_step} Then try: {retry}".strip()) from error
        self.rows.append((title, "; ".join(outcome), time.monotonic() - began))
        self.console.print("\n".join(outcome), highlight=False, markup=False)

    def table(self) -> Table:
        """What happened, as a table."""
        table = Table("Step", "What happened", "Seconds", title="What happened", title_justify="left", show_lines=True)
        for title, outcome, seconds in self.rows:
            table.add_row(title, escape(outcome), f"{seconds:.0f}")
        return table


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
    with story.step("Make the project", "git status") as said:
        home = workspace.make(source, at, overlay="small" if small else None)
        said.append(f"{home}, a git and DVC repository of its own")
    with story.step("Build the query pool, fetch recorded answers", f"cd {home} && python -m pipelines.queries") as said:
        if not (home / "data" / "queries.parquet").exists():
            _run(home, "pipelines.queries")
            _run(home, "dvc", "add", "--quiet", "data")
        fetched = _not_here(home)
        if fetched:
            _run(home, "dvc", "pull", "--quiet", *fetched)
        said.append(f"{_count(home / 'data' / 'queries.parquet')} queries; recorded answers fetched: {len(fetched)} LLMs")
    return home


def first_scorer(story: Story, platform: Stack) -> None:
    """Starts the LLMs and MLflow and runs the pipeline."""
    home = platform.settings.home
    with story.step("Start the LLMs and MLflow", "make demo") as said:
        said.append("llama.cpp: " + ", ".join(platform.start_llms()))
        platform.start_registry()
        said.append(f"MLflow at {platform.addresses.mlflow}")
    with story.step("Answer, label, validate, train, evaluate, register", f"cd {home} && dvc repro") as said:
        _run(home, "dvc", "repro")
        said.append(_registered(home))


def serve(story: Story, platform: Stack) -> None:
    """Promotes the registered version and starts the server on it."""
    home = platform.settings.home
    with story.step("Promote and serve", f"cd {home} && routemoa show") as said:
        said.append(_promote(platform, _version(home), reason="the demo's first scorer"))
        platform.start_serving()
        platform.wait_until_routing()
        said.append(f"serving at {platform.addresses.server}")


def usual_traffic(story: Story, platform: Stack, script: Script) -> None:
    """Sends queries like those the scorer was trained on, through one LLM and through the mixture, and runs the monitor."""
    home, visitor = platform.settings.home, Visitor(platform.addresses.server, platform.api_key)
    with story.step("Usual traffic", f"cd {home} && routemoa verdict") as said:
        usual = _sample(home, script.usual, "test")
        single = visitor.ask_all(usual, virtual_model="routemoa-single", max_tokens=script.max_tokens, title="routemoa-single")
        mixed = visitor.ask_all(usual[: script.mixed], virtual_model="routemoa", max_tokens=script.max_tokens, title="routemoa")
        said.extend([_told(single), "mixture: " + _told(mixed), _verdict(_look(platform))])


def one_more_llm(story: Story, platform: Stack) -> None:
    """Registers one more LLM over HTTP; the platform asks it, labels it, retrains; its version is promoted and swapped in."""
    with story.step("One more LLM joins", f"cd {platform.settings.home} && routemoa jobs") as said:
        said.extend(_join(platform, Visitor(platform.addresses.server, platform.api_key)))


def unusual_traffic(story: Story, platform: Stack, script: Script) -> None:
    """Sends queries of the domains that no scorer was trained on, and runs the monitor."""
    home, visitor = platform.settings.home, Visitor(platform.addresses.server, platform.api_key)
    with story.step("Unusual traffic", f"cd {home} && routemoa verdict") as said:
        unusual = _sample(home, script.unusual, "ood")
        served = visitor.ask_all(unusual, virtual_model="routemoa-single", max_tokens=script.max_tokens, title="out of domain")
        look = _look(platform)
        said.extend([_told(served), _verdict(look)])
        if look["job"] is not None:
            said.append(f"job {look['job']} (one a verdict): {_follow(platform, visitor, look['job'])}")


def _join(platform: Stack, visitor: Visitor) -> list[str]:
    """Registers the demo's new LLM over HTTP and follows the job that asks it, labels it and retrains."""
    home = platform.settings.home
    entry: dict[str, Any] = yaml.safe_load(JOINERS.read_text())
    served_name = entry.pop("served_name")
    endpoints = [llm.endpoint for llm in pools.load(platform.settings.pool_file).active if llm.endpoint is not None]
    base_url = next((endpoint.base_url for endpoint in endpoints if endpoint.served_name == served_name), None)
    if base_url is None:
        raise StepFailed(
            f"No LLM of the pool runs on {served_name}, where the demo's new LLM would.", next_step="git restore registry/pool.yaml"
        )
    entry["endpoint"] = {"base_url": base_url, "served_name": served_name, "api_key_env": None}
    job = visitor.request("POST", "/admin/llms", entry)["job"]
    _follow(platform, visitor, job["id"])
    version = _version(home)
    told = [f"{entry['id']} joined", _registered(home), _promote(platform, version, reason=f"{entry['id']} joined")]
    began = time.monotonic()
    while visitor.request("GET", "/admin/scorer")["version"] != version:
        if time.monotonic() - began > 30:
            raise StepFailed(
                f"The server did not swap to version {version} within 30 s.", next_step="Read var/logs/sync.log and server.log."
            )
        time.sleep(0.1)
    return [*told, f"the server swapped to version {version} after {time.monotonic() - began:.1f} s"]


def _follow(platform: Stack, visitor: Visitor, job_id: str) -> str:
    """Waits for a job, showing its progress; returns what came of it."""
    job = visitor.request("GET", f"/admin/jobs/{job_id}")
    with Console().status("retraining") as status:
        while job["state"] in {"queued", "running"}:
            time.sleep(1.0)
            platform.processes.check("worker")
            job = visitor.request("GET", f"/admin/jobs/{job_id}")
            status.update(f"{job['step'] or job['state']}  {job['progress']:.0%}")
    if job["state"] != "done":
        log = platform.settings.var / "logs" / "worker.log"
        raise StepFailed(f"The retraining job {job_id} failed: {job['error']}", next_step=f"Read {log}.")
    return str(job["step"])


def _promote(platform: Stack, version: str, *, reason: str) -> str:
    """Makes `version` champion; where its gate failed, says so and overrides it with `reason`, which the registry records."""
    gate = json.loads((platform.settings.home / "build" / "gate.json").read_text())
    versions.promote(version, override=None if gate["passed"] else f"demo: {reason}", settings=platform.settings)
    return f"version {version} promoted (" + ("gate passed" if gate["passed"] else f"gate overridden: {reason}") + ")"


def _look(platform: Stack) -> dict[str, Any]:
    """Runs the monitor once; returns what it wrote."""
    _run(platform.settings.home, "monitoring.watch", "--once")
    return dict(json.loads((platform.settings.var / "reports" / "latest.json").read_text()))


def _verdict(look: dict[str, Any]) -> str:
    return f"verdict: {look['verdict']['kind']} ({'; '.join(look['verdict']['reasons'])})"


def _told(served: list[Served]) -> str:
    graded = [one.score for one in served if one.score is not None]
    by_llm = sorted({one.llm or "synthesis" for one in served})
    share = f"{sum(graded) / len(graded):.0%} right of {len(graded)} graded" if graded else "none graded"
    return f"{len(served)} answered by {', '.join(by_llm)}: {share}, {sum(one.cost_usd for one in served):.6f} USD"


def _sample(home: Path, count: int, split: str) -> list[dict[str, Any]]:
    """The first `count` queries of a split that no scorer was trained on, in hash order."""
    queries = dataset.load(home / "build" / "dataset").take(split).queries
    rows = {row["query_id"]: {str(name): value for name, value in row.items()} for row in queries.to_dict("records")}
    return [rows[query_id] for query_id in in_hash_order(rows)[:count]]


def _registered(home: Path) -> str:
    metrics = json.loads((home / "build" / "metrics.json").read_text())
    ours, single = metrics["test.ours.quality"], metrics["test.best_single.quality"]
    return f"version {_version(home)} registered, test quality {ours:.3f} (best single LLM {single:.3f})"


def _version(home: Path) -> str:
    return str(json.loads((home / "build" / "registered.json").read_text())["version"])


def _count(table: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(table).num_rows)


def _not_here(home: Path) -> list[str]:
    """The answer stages whose output travels with the checkout and is not here yet; a pull would remove newer answers that are."""
    locked = yaml.safe_load((home / "dvc.lock").read_text())["stages"] if (home / "dvc.lock").exists() else {}
    answers = home / "build" / "answers"
    ids = [llm.id for llm in pools.load(home / "registry" / "pool.yaml").active if not (answers / f"{llm.id}.parquet").exists()]
    return [f"answer@{llm}" for llm in ids if f"answer@{llm}" in locked]


def _run(home: Path, module: str, *arguments: str) -> None:
    """Runs `python -m module` in the project; its progress goes straight to the terminal."""
    try:
        child_process.run([sys.executable, "-m", module, *arguments], cwd=home)
    except ChildFailed as exc:
        raise StepFailed(exc.what, next_step="What it printed is above.") from exc
