"""The demo's acts: a scorer is trained and serves, an LLM joins, unknown domains come, and are learned."""

from typing import Any

from local import build_results, figures, plan
from local.stage import Stage
from local.steps import ask, follow, keep_version, look, promote, promoted, roster, run, send, verdict
from local.traffic import Visitor, read
from pipelines import dataset
from pipelines.project import Project
from registry import pool as pools
from registry import versions


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
        run(stage.home, "dvc", "repro")
        act.say(build_results.registered(stage.home))
        act.facts["version"] = keep_version(stage)
        act.means = f"The first scorer of {roster(stage.home)}; {build_results.beside_best(stage.home)}."
        act.look = f"{stage.platform.addresses.mlflow} (Models), {Project(stage.home).validation}"


def serve(stage: Stage) -> None:
    """Promotes the first version where none is in use yet, and starts the server."""
    if versions.champion(settings=stage.platform.settings) is None:
        stage.story.console.print(promote(stage, reason="the first scorer"))
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
        send(stage, act, "usual", usual)
        mixed = ask(stage, "mixture", usual[: stage.plan.mixed], virtual_model="routemoa")
        act.say(f"through the mixture: {figures.traffic(stage.home, mixed)}")
        act.say(verdict(look(stage)))
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
        act.facts["version"] = after = promoted(stage, act, reason=f"{entry['id']} joined")
        compared = figures.compare(home, stage.version_folder(before), stage.version_folder(after), figures.test_split(home))
        act.say(f"version {before} -> {after} on the test split: {compared.quality()}")
        more = build_results.sample(home, 2 * stage.plan.usual, "test")[stage.plan.usual :]
        send(stage, act, "after-join", more)
        act.means = f"{entry['id']} is used where it is better: {compared.quality()}; {build_results.beside_best(home)}."
        act.look = f"{stage.platform.addresses.mlflow} (version {after}), `routemoa jobs`"


def unusual_traffic(stage: Stage) -> None:
    """Queries of the domains that no scorer was trained on; people grade some of them; the monitor's verdict starts a job."""
    if stage.story.told("unusual"):
        return
    with stage.act("unusual", "4. Unknown domains") as act:
        strange = stage.held_back.queries()[: stage.plan.strange]
        send(stage, act, "unusual", strange, audited=stage.plan.audited)
        latest = look(stage)
        act.say(verdict(latest))
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
        after = promoted(stage, act, reason="it learned the unknown domains")
        served = {one.query_id for one in read(stage.served_file("unusual"))}
        known = dataset.load(Project(home).dataset)
        unseen = stage.held_back.unseen(served, known.llms)
        compared = figures.compare(home, stage.version_folder(before), stage.version_folder(after), unseen)
        act.say(f"version {before} -> {after} on queries of these domains: {compared.quality()}")
        act.say(f"squared error of the promises there: smaller by {figures.signed(compared.closer)}")
        again = follow_up(stage)
        send(stage, act, "again", again)
        latest = look(stage)
        act.say(verdict(latest))
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
