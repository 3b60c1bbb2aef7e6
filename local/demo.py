"""The whole loop on real LLMs, act by act: `routemoa demo [--small] [--stay]` (`make demo`, `make demo-small`, `make up`).

A scorer is trained on a pool and serves; an LLM joins and is used where it is better; queries of domains that nobody has seen come in,
the monitor says so, and a retraining learns them. What was played is kept (`local.story`): a demo that was interrupted goes on.
"""

import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from local import build_results, figures, plan, workspace
from local.errors import StepFailed
from local.held_back import HeldBack
from local.plan import FULL, SMALL, Plan
from local.stack import USUAL_LIMITS_S, Stack, stack, stay, where
from local.story import Act, Story
from local.traffic import Visitor, read
from pipelines import dataset
from pipelines.project import Project
from registry import child_process, promotion, versions
from registry import pool as pools
from registry.errors import ChildFailed

SWAP_S = 30.0  # servers look for another champion every few seconds
STORY = "story.json"

PREFERENCES = {
    "ROUTEMOA_MIXTURE__VALUE_PER_USD": "1000",  # local answers cost millionths of a dollar: weigh them all the same
    "ROUTEMOA_MIXTURE__DEADLINE_S": f"{USUAL_LIMITS_S['total_s']:.0f}",  # where an earlier demo was more patient
    "ROUTEMOA_STORE_TEXT": "true",  # queries on one's own machine are kept, so that they can be harvested
}


@dataclass
class Stage:
    """What the acts are played on."""

    story: Story
    platform: Stack
    plan: Plan

    @property
    def home(self) -> Path:
        """The project's folder."""
        return self.platform.settings.home

    @property
    def held_back(self) -> HeldBack:
        """What the first scorer does not know of."""
        return HeldBack(self.home)

    @property
    def visitor(self) -> Visitor:
        """A user of the server."""
        return Visitor(self.platform.addresses.server, self.platform.api_key, self.plan.patience)

    def act(self, key: str, title: str) -> Any:
        """One act; what to try where it fails is the demo again, which goes on there."""
        return self.story.act(key, title, f"{self.plan.command} (it goes on with this act)")

    def served_file(self, key: str) -> Path:
        """Where an act keeps what was served, query by query."""
        return self.held_back.folder / f"{key}.jsonl"

    def version_folder(self, version: str) -> Path:
        """A copy of a version's artifact."""
        return self.held_back.folder / "scorers" / version


def run(*, source: Path, at: Path, small: bool, stay_up: bool) -> None:
    """Plays the demo in a project of its own at `at`; leaves what was built there, so that the next run redoes only what changed."""
    script = SMALL if small else FULL
    home, story = make_project(source, at, script, small=small)
    with stack(home, PREFERENCES, own_registry=True) as platform:  # what it registers is nobody else's business
        stage = Stage(story, platform, script)
        start(stage)
        first_scorer(stage)
        serve(stage)
        usual_traffic(stage)
        one_more_llm(stage)
        unusual_traffic(stage)
        lesson(stage)
        story.console.print(story.table())
        story.end()
        if stay_up:
            story.console.print(where(platform))
            stay(platform)
    if not stay_up:
        story.console.print(
            f"Everything is stopped. `make up` plays it and stays up; to start this project again: cd {home} && routemoa up"
        )


def make_project(source: Path, at: Path, script: Plan, *, small: bool) -> tuple[Path, Story]:
    """A project of its own at `at` with the checkout's recorded answers, less what is held back; the story as far as it was told there."""
    at = at.resolve()
    story = Story.resumed(HeldBack(at).folder / STORY)
    if story.acts:
        story.console.print(f"The demo in {at} was interrupted after “{list(story.acts.values())[-1].title}”: it goes on there.")
        return at, story
    with story.act("project", "A project", "git status") as act:
        forget(at)
        home = workspace.make(source, at, overlay="small" if small else "full")
        held_back, project = HeldBack(home), Project(home)
        _run(home, "pipelines.queries")
        stages = build_results.stages_to_pull(home)
        if stages:
            _run(home, "dvc", "pull", "--quiet", *stages)
        held_back.keep_answers()
        kept = held_back.keep_queries(script.unusual)
        held_back.leave_out_unasked(script.joiner)
        held_back.keep_llm(script.joiner)
        _run(home, "dvc", "add", "--quiet", "data")
        count = build_results.query_count(home)
        act.say(f"{home}: {count} queries, recorded answers of {len(list((project.build / 'answers').glob('*.parquet')))} LLMs")
        act.say(f"Held back: {kept} queries of {', '.join(script.unusual)}, and the LLM {script.joiner}.")
    return home, story


def forget(at: Path) -> None:
    """Removes what an earlier demo served, harvested and registered; answers, embeddings and DVC's cache stay."""
    if not (at / workspace.MARKER).exists():
        return
    project = Project(at)
    for folder in (project.var, project.recorded):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (project.harvested, project.registered, project.gate):
        file.unlink(missing_ok=True)


def start(stage: Stage) -> None:
    """Starts the LLMs and MLflow, and fits the plan to how fast an LLM answers here."""
    platform, console = stage.platform, stage.story.console
    with console.status("Starting the LLMs (the first time their weights are fetched, about 1.7 GB) and MLflow"):
        platform.begin_registry()
        platform.start_llms()
        platform.start_registry()
    endpoints = [llm.endpoint for llm in pools.load(platform.settings.pool_file).active if llm.endpoint is not None]
    slowest = endpoints[-1]
    stage.plan, sentence = stage.plan.at_pace(plan.measure(slowest.base_url, slowest.served_name))
    if sentence:
        console.print(sentence)
        platform.be_patient(stage.plan.patience)


def first_scorer(stage: Stage) -> None:
    """Runs the pipeline on the pool as it is."""
    if stage.story.told("train"):
        return
    with stage.act("train", "1. A scorer is trained") as act:
        _run(stage.home, "dvc", "repro")
        act.say(build_results.registered(stage.home))
        act.facts["version"] = _keep_version(stage)
        act.means = f"The first scorer of {_roster(stage.home)}; {build_results.beside_best(stage.home)}."
        act.look = f"{stage.platform.addresses.mlflow} (Models), {Project(stage.home).validation}"


def serve(stage: Stage) -> None:
    """Promotes the first version where none is in use yet, and starts the server."""
    if versions.champion(settings=stage.platform.settings) is None:
        stage.story.console.print(promote(stage, reason="the demo's first scorer"))
    with stage.story.console.status("Starting the server, the worker and Evidently"):
        stage.platform.start_serving()
        stage.platform.wait_until_routing()
    stage.story.console.print(f"Serving at {stage.platform.addresses.server}")


def usual_traffic(stage: Stage) -> None:
    """Queries like those the scorer was trained on, through one LLM and through the mixture, beside always asking the best one."""
    if stage.story.told("usual"):
        return
    with stage.act("usual", "2. Usual traffic") as act:
        usual = build_results.sample(stage.home, stage.plan.usual, "test")
        _send(stage, act, "usual", usual)
        mixed = _ask(stage, "mixture", usual[: stage.plan.mixed], virtual_model="routemoa")
        act.say(f"through the mixture: {figures.traffic(stage.home, mixed)}")
        act.say(_verdict(_monitor(stage)))
        act.means = f"Routed: {act.lines[0]}."
        act.look = f"`routemoa up` (console), {stage.platform.settings.var / 'reports'}"


def one_more_llm(stage: Stage) -> None:
    """Registers one more LLM over HTTP; the platform asks it, labels it, retrains; its version is promoted, and more usual traffic sent."""
    if stage.story.told("join"):
        return
    home, visitor = stage.home, stage.visitor
    with stage.act("join", "3. An LLM joins") as act:
        before, entry = stage.story.acts["train"].facts["version"], stage.held_back.joiner()
        job = _joining_job(visitor, entry["id"])
        if job is None:
            given = stage.held_back.give_answers(entry["id"])
            recorded = f"{given} of its answers travel with the checkout" if given else "it is asked now"
            act.say(f"{entry['id']} ({entry['name']}): {recorded}")
            job = visitor.request("POST", "/admin/llms", entry)["job"]["id"]
        act.say(follow(stage, job))
        act.facts["version"] = after = _promoted(stage, act, reason=f"{entry['id']} joined")
        compared = figures.compare(home, stage.version_folder(before), stage.version_folder(after), figures.test_split(home))
        act.say(f"version {before} -> {after} on the test split: {compared.quality()}")
        more = build_results.sample(home, 2 * stage.plan.usual, "test")[stage.plan.usual :]
        _send(stage, act, "after-join", more)
        act.means = f"{entry['id']} is used where it is better: {compared.quality()}; {build_results.beside_best(home)}."
        act.look = f"{stage.platform.addresses.mlflow} (version {after}), `routemoa jobs`"


def unusual_traffic(stage: Stage) -> None:
    """Queries of the domains that no scorer was trained on; people grade some of them; the monitor's verdict starts a job."""
    if stage.story.told("unusual"):
        return
    with stage.act("unusual", "4. Unknown domains") as act:
        strange = stage.held_back.queries()[: stage.plan.strange]
        _send(stage, act, "unusual", strange, audited=stage.plan.audited)
        latest = _monitor(stage)
        act.say(_verdict(latest))
        act.facts["job"] = latest["job"]
        named = ", ".join(sorted({query["domain"] for query in strange}))
        job = "starts a job" if latest["job"] else "starts no job"
        act.means = f"Queries of {named} came; the monitor says “{latest['verdict']['kind']}” and {job}."
        act.look = str(latest["report"]["html"])


def lesson(stage: Stage) -> None:
    """The job that the verdict started harvests its groups' queries, asks the pool about them, retrains; then the same traffic again."""
    if stage.story.told("lesson") or stage.story.acts["unusual"].facts["job"] is None:
        return
    home = stage.home
    with stage.act("lesson", "5. It learns them") as act:
        before = stage.story.acts["join"].facts["version"]
        act.say(follow(stage, stage.story.acts["unusual"].facts["job"]))
        after = _promoted(stage, act, reason="it learned the unknown domains")
        served = {one.query_id for one in read(stage.served_file("unusual"))}
        known = dataset.load(Project(home).dataset)
        unseen = stage.held_back.unseen(served, known.llms)
        compared = figures.compare(home, stage.version_folder(before), stage.version_folder(after), unseen)
        act.say(f"version {before} -> {after} on queries of these domains: {compared.quality()}")
        act.say(f"squared error of the promises there: smaller by {figures.signed(compared.closer)}")
        again = follow_up(stage)
        _send(stage, act, "again", again)
        latest = _monitor(stage)
        act.say(_verdict(latest))
        strange = sum(query["domain"] in stage.plan.unusual for query in again)
        act.means = (
            f"Retrained with {(known.queries['dataset'] == 'harvested').sum()} of these queries, {min(stage.plan.audited, len(served))} of "
            f"them audited; on others of these domains {compared.quality()}, "
            f"squared error of the promises {figures.signed(compared.closer)} smaller; {len(again)} new queries, {strange} of them "
            f"of these domains: the monitor says “{latest['verdict']['kind']}”."
        )
        act.look = f"{stage.platform.addresses.mlflow} (version {after}), {stage.platform.addresses.evidently}"


def follow_up(stage: Stage) -> list[dict[str, Any]]:
    """The traffic after the lesson: queries of the once unknown domains among usual ones, in turn, none of them sent before."""
    script = stage.plan
    sent = {one.query_id for key in ("usual", "after-join", "unusual") for one in read(stage.served_file(key))}
    tested = build_results.sample(stage.home, len(sent) + script.among, "test")  # what was harvested is among them, by other ids
    usual = [query for query in tested if query["query_id"] not in sent and query["domain"] not in script.unusual][: script.among]
    strange = [query for query in stage.held_back.queries() if query["query_id"] not in sent][: script.again]
    placed = [((at + 0.5) / len(part), query) for part in (usual, strange) for at, query in enumerate(part)]
    return [query for _, query in sorted(placed, key=lambda pair: pair[0])]


def _joining_job(visitor: Visitor, llm: str) -> str | None:
    """The job that an earlier try of the demo started when it registered `llm`; None where there is none to wait for."""
    jobs = visitor.request("GET", "/admin/jobs")["jobs"]
    return next((job["id"] for job in jobs if job["arguments"].get("llm") == llm and job["state"] in {"queued", "running", "done"}), None)


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


def _promoted(stage: Stage, act: Act, *, reason: str) -> str:
    """Promotes the version that a job registered and waits until the server routes with it; returns its number.

    Raises StepFailed where the server does not swap.
    """
    act.say(promote(stage, reason=reason))
    version, began, longest = _keep_version(stage), time.monotonic(), SWAP_S * stage.plan.patience
    while stage.visitor.request("GET", "/admin/scorer")["version"] != version:
        if time.monotonic() - began > longest:
            raise StepFailed(
                f"The server did not swap to version {version} within {longest:.0f} s.", next_step="Read var/logs/sync.log and server.log."
            )
        time.sleep(0.1)
    act.say(f"the server swapped to version {version} after {time.monotonic() - began:.1f} s")
    return version


def _keep_version(stage: Stage) -> str:
    """Copies the artifact that was just registered, to be compared with later ones; returns its version."""
    version = build_results.version(stage.home)
    shutil.copytree(Project(stage.home).scorer, stage.version_folder(version), dirs_exist_ok=True)
    return version


def _send(stage: Stage, act: Act, key: str, queries: list[dict[str, Any]], *, audited: int = 0) -> None:
    """Sends `queries` through one LLM each; the act says what came of them."""
    act.say(figures.traffic(stage.home, _ask(stage, key, queries, audited=audited)))


def _ask(stage: Stage, key: str, queries: list[dict[str, Any]], *, virtual_model: str = "routemoa-single", audited: int = 0) -> list[Any]:
    return stage.visitor.ask_all(
        queries,
        virtual_model=virtual_model,
        max_tokens=stage.plan.max_tokens,
        title=key,
        audited=audited,
        kept=stage.served_file(key),
    )


def _monitor(stage: Stage) -> dict[str, Any]:
    """Runs the monitor once; returns what it wrote."""
    _run(stage.home, "monitoring.watch", "--once")
    return dict(json.loads((stage.platform.settings.var / "reports" / "latest.json").read_text()))


def _verdict(latest: dict[str, Any]) -> str:
    return f"verdict: {latest['verdict']['kind']} ({'; '.join(latest['verdict']['reasons'])})"


def _roster(home: Path) -> str:
    return ", ".join(llm.id for llm in dataset.load(Project(home).dataset).llms)


def _run(home: Path, module: str, *arguments: str) -> None:
    """Runs `python -m module` for the project in `home`, whatever ROUTEMOA_HOME says; its progress goes straight to the terminal."""
    try:
        child_process.run([sys.executable, "-m", module, *arguments], cwd=home, ROUTEMOA_HOME=str(home))
    except ChildFailed as exc:
        raise StepFailed(exc.what, next_step="What it printed is above.") from exc
