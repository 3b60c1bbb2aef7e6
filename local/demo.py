"""The whole loop on real LLMs, act by act: `routemoa demo [--small] [--team] [--stay]` (`make demo`, `make demo-small`, `make up`).

A scorer is trained on a pool and serves; an LLM joins and is used where it is better; queries of domains that nobody has seen come in,
the monitor says so, and a retraining learns them. What was played is kept (`local.story`): a demo that was interrupted goes on.
With `--team` the same is played on PostgreSQL, S3 and two servers behind haproxy.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from local import acts, build_results, steps, workspace
from local.ground import Ground, OneHost
from local.held_back import HeldBack
from local.plan import FULL, SMALL, Plan
from local.stack import USUAL_LIMITS_S, stack
from local.stage import Stage
from local.story import Story
from pipelines.project import Project

STORY = "story.json"

PREFERENCES = {
    "ROUTEMOA_MIXTURE__VALUE_PER_USD": "1000",  # local answers cost millionths of a dollar: weigh them all the same
    "ROUTEMOA_MIXTURE__DEADLINE_S": f"{USUAL_LIMITS_S['total_s']:.0f}",  # where an earlier demo was more patient
    "ROUTEMOA_STORE_TEXT": "true",  # queries on one's own machine are kept, so that they can be harvested
}


@dataclass(frozen=True)
class Script:
    """plan: how much of everything. ground: what the platform stands on. acts: in order."""

    plan: Plan
    ground: Ground
    acts: Sequence[Callable[[Stage], None]]


def script(*, small: bool, team: bool) -> Script:
    """Of the demo that was asked for."""
    plan = SMALL if small else FULL
    first = (acts.start, acts.first_scorer, acts.serve, acts.usual_traffic)
    then = (acts.one_more_llm, acts.unusual_traffic, acts.lesson)
    if not team:
        return Script(plan, OneHost(), (*first, *then))
    from local.team import acts as team_acts
    from local.team.ground import Team

    ground = Team()
    command = "routemoa demo --team" + (" --small" if small else "")
    between = partial(team_acts.a_server_dies, team=ground)
    return Script(replace(plan, command=command), ground, (*first, between, *then, team_acts.a_colleague))


def run(*, source: Path, at: Path, small: bool, stay_up: bool, team: bool = False) -> None:
    """Plays the demo in a project of its own at `at`; leaves what was built there, so that the next run redoes only what changed."""
    played = script(small=small, team=team)
    home, story = make_project(source, at, played.plan, small=small, resume=played.ground.outlives)
    with stack(home, PREFERENCES, own_registry=True, ground=played.ground) as platform:  # what it registers is nobody else's business
        Stage(story, platform, played.plan).play(played.acts, stay_up=stay_up)
    if not stay_up:
        story.console.print(_ended(home, played.ground), soft_wrap=True)


def _ended(home: Path, ground: Ground) -> str:
    if not ground.outlives:
        return (
            "Everything is stopped, and what its S3 held is gone: the next demo begins anew, with the answers and embeddings of this one."
        )
    return f"Everything is stopped. `make up` plays it and stays up; to start this project again: cd {home} && routemoa up"


def make_project(source: Path, at: Path, script: Plan, *, small: bool, resume: bool = True) -> tuple[Path, Story]:
    """A project of its own at `at` with the checkout's recorded answers, less what is held back; the story as far as it was told there.

    resume: whether an interrupted one goes on; else it begins anew.
    """
    at = at.resolve()
    file = HeldBack(at).folder / STORY
    if not resume:
        file.unlink(missing_ok=True)
    story = Story.resumed(file)
    if story.acts:
        story.console.print(f"The demo in {at} was interrupted after “{list(story.acts.values())[-1].title}”: it goes on there.")
        return at, story
    with story.act("project", "A project", "git status") as act:
        forget(at)
        home = workspace.make(source, at, layer=workspace.overlay("small" if small else "full"))
        held_back, project = HeldBack(home), Project(home)
        steps.run(home, "pipelines.queries")
        stages = build_results.stages_to_pull(home)
        if stages:
            steps.run(home, "dvc", "pull", "--quiet", *stages)
        held_back.keep_answers()
        kept = held_back.keep_queries(script.unusual)
        held_back.leave_out_unasked(script.joiner)
        held_back.keep_llm(script.joiner)
        steps.run(home, "dvc", "add", "--quiet", "data")
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
