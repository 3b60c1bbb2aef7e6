"""What a team sees beside the demo's own acts: a server dies and nobody notices; a colleague takes the data up from S3."""

from pathlib import Path

from local import build_results
from local.errors import StepFailed
from local.ground import Server
from local.stack import READY_S
from local.stage import Stage
from local.steps import ask, run
from local.team.ground import Team
from local.team.storage import BUCKET
from local.traffic import read
from pipelines import dataset
from pipelines.project import Project
from registry import child_process
from registry.bucket import Bucket
from scorer import artifact

REMOTE = "team"
ASKED = 4  # while one server is dead


def a_server_dies(stage: Stage, team: Team) -> None:
    """Kills one of the servers; requests go on, and what it had answered is known to the other. Then it is started again."""
    if stage.story.told("dies"):
        return
    with stage.act("dies", "A server dies") as act:
        processes, (dead, alive) = stage.platform.processes, stage.platform.servers
        processes.running[dead.name].kill()
        processes.running[dead.name].wait()
        queries = build_results.sample(stage.home, ASKED, "test")
        llm = dataset.load(Project(stage.home).dataset).llms[0].id  # by its name: no scorer's choice, so the monitor's window is as before
        served = ask(stage, "dies", queries, virtual_model=llm)
        lost = [each.query_id for each in served if each.late]
        if lost:
            raise StepFailed(f"{len(lost)} of {len(served)} queries had no answer while {dead.name} was dead.", next_step="See var/logs.")
        before = [each.decision for each in read(stage.served_file("usual")) if each.decision]
        for decision in before:
            stage.visitor.request("GET", f"/v1/decisions/{decision}")
        team.start_server(processes, dead)
        processes.wait_until_ready(dead.name, f"{dead.url}/readyz", seconds=READY_S)
        act.say(f"{dead.name} was killed: {len(served)} of {len(served)} queries were answered by {alive.name} meanwhile")
        act.say(f"all {len(before)} decisions of before are known there: records are in PostgreSQL; {dead.name} is back")
        act.means = f"One of {len(stage.platform.servers)} servers was killed: no query lost its answer, no decision was forgotten."
        act.look = ", ".join(_where(server) for server in stage.platform.servers)


def a_colleague(stage: Stage) -> None:
    """Pushes data, answers, labels and scorer to S3; a clone elsewhere on this disk pulls them, and holds the same scorer."""
    if stage.story.told("colleague"):
        return
    home = stage.home
    with stage.act("colleague", "A colleague goes on") as act:
        run(home, "dvc", "remote", "add", "--quiet", "--force", "--default", REMOTE, f"s3://{BUCKET}/dvc")
        run(home, "dvc", "push", "--quiet")
        _git(home, "add", "--all")
        _git(home, "-c", "user.name=routemoa", "-c", "user.email=routemoa@localhost", "commit", "--quiet", "-m", "What the demo learned")
        clone = Project(home).var / "demo" / "colleague"
        _git(home, "clone", "--quiet", str(home), str(clone))
        run(clone, "dvc", "pull", "--quiet", "--allow-missing")
        ours, theirs = (artifact.verify(Project(at).scorer).content_hash for at in (home, clone))
        if ours != theirs:
            raise StepFailed(f"The clone's scorer is {theirs}, ours is {ours}.", next_step=f"Compare {clone} with {home}.")
        files = {place: len(Bucket(BUCKET, place).names()) for place in ("dvc", "mlflow")}
        answers = len(list((Project(clone).build / "answers").glob("*.parquet")))
        act.say(f"S3 holds {files['dvc']} files of DVC and {files['mlflow']} of MLflow")
        act.say(f"a fresh clone pulled the answers of {answers} LLMs and the scorer {theirs[:12]}, the one that was registered")
        act.means = "A clone has data, answers, labels and scorer from S3, byte for byte, and can go on."
        act.look = str(clone)


def _where(server: Server) -> str:
    return f"{server.name}: {server.url}"


def _git(folder: Path, *arguments: str) -> None:
    child_process.output(["git", *arguments], cwd=folder)
