"""A use of its own on real LLMs: `routemoa example support [--stay]`. A folder of examples/ has its pool, queries and settings.

Its queries are imported into a project of their own, the pool's LLMs are asked and graded, a scorer is trained and serves; the test queries
go through it, each answer is audited, and what came of them stands beside always asking the LLM that was best in training.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dotenv
from rich.console import Console
from ruamel.yaml import YAML

from local import acts, beside, build_results, figures, steps, twins, workspace
from local.demo import PREFERENCES, STORY, forget
from local.errors import LocalError
from local.held_back import HeldBack
from local.plan import FULL, Plan
from local.stack import stack
from local.stage import Stage
from local.story import Story
from local.traffic import USERS, Served
from monitoring import watch
from monitoring.drift import policy
from monitoring.records.store import RecordStore
from monitoring.savings import savings
from pipelines import dataset, params, query_pool
from pipelines import plan as plans
from pipelines.imports.checks import Defaults
from pipelines.imports.importing import import_files
from pipelines.project import Project
from registry import pool as pools
from scorer.near_matches import did_you_mean

QUERIES, POOL, PARAMS, SERVER, STAND_INS = "queries.jsonl", "pool.yaml", "params.yaml", "server.env", "stand-ins.yaml"
MOST_TOKENS = 400


@dataclass(frozen=True, slots=True)
class Example:
    """A folder of examples/."""

    folder: Path

    @classmethod
    def named(cls, name: str, source: Path) -> "Example":
        """That of the checkout `source`. Raises LocalError with near names."""
        there = [path.parent.name for path in sorted((source / "examples").glob(f"*/{QUERIES}"))]
        if name not in there:
            raise LocalError(f"No example is called {name!r}.", next_step=did_you_mean(name, there) or f"There are {', '.join(there)}.")
        return cls(source / "examples" / name)

    @property
    def name(self) -> str:
        """Its folder's."""
        return self.folder.name

    def layer(self, environment: Mapping[str, str]) -> dict[str, bytes]:
        """What it lays over a project's files: the pool, with stand-ins for LLMs whose key is not set, and settings."""
        pool = self.folder.joinpath(POOL).read_bytes()
        if self.stands_in(environment):
            pool = _with_stand_ins(pool, self.folder / STAND_INS)
        return {"registry/pool.yaml": pool, workspace.SETTINGS: self.folder.joinpath(PARAMS).read_bytes()}

    def stands_in(self, environment: Mapping[str, str]) -> bool:
        """Whether local LLMs answer in place of the pool's: it has stand-ins, and a key is missing."""
        endpoints = [llm.endpoint for llm in pools.load(self.folder / POOL).llms if llm.endpoint is not None]
        return (self.folder / STAND_INS).exists() and any(each.api_key_env and not environment.get(each.api_key_env) for each in endpoints)

    @property
    def server(self) -> dict[str, str]:
        """What its server decides by: ROUTEMOA_* variables."""
        return {name: value or "" for name, value in dotenv.dotenv_values(self.folder / SERVER).items()}

    @property
    def plan(self) -> Plan:
        """As far as the demo's acts ask for one."""
        return Plan(f"routemoa example {self.name}", "", (), 0, 0, 0, 0, 0, 0, max_tokens=MOST_TOKENS, patience=FULL.patience)


def run(name: str, *, source: Path, at: Path, stay_up: bool) -> None:
    """Plays the example in a project of its own at `at`. Raises LocalError, StepFailed."""
    example = Example.named(name, source)
    home, story = make_project(example, source, at)
    with stack(home, PREFERENCES | example.server, own_registry=True) as platform:
        last = (traffic, stand_ins_answered) if example.stands_in(os.environ) else (traffic,)
        Stage(story, platform, example.plan).play((acts.start, ask, acts.first_scorer, acts.serve, *last), stay_up=stay_up)
    if not stay_up:
        story.console.print(f"Everything is stopped. To start this project again: cd {home} && routemoa up")


def make_project(example: Example, source: Path, at: Path) -> tuple[Path, Story]:
    """A project at `at` with the example's pool and its queries alone; the story as far as it was told there."""
    at = at.resolve()
    story = Story.resumed(HeldBack(at).folder / STORY)
    if story.acts:
        story.console.print(f"The example in {at} was interrupted: it goes on there.")
        return at, story
    if example.stands_in(os.environ):
        say_stand_ins(example, story.console)
    with story.act("project", "A project", "git status") as act:
        forget(at)
        home = workspace.make(source, at, layer=example.layer(os.environ))
        project = Project(home)
        shutil.rmtree(project.data, ignore_errors=True)
        imported = import_files(project, example.folder / QUERIES, None, Defaults(example.name, licence="Apache-2.0"))
        steps.run(home, "dvc", "add", "--quiet", "data")
        roster = ", ".join(llm.id for llm in pools.load(home / "registry" / "pool.yaml").active)
        act.say(f"{home}: {imported.new_queries} queries, each with a check; LLMs: {roster}")
    return home, story


def say_stand_ins(example: Example, console: Console) -> None:
    """Loudly."""
    stand_ins = YAML(typ="safe").load(example.folder / STAND_INS)
    console.rule("[bold red]STAND-INS[/]")
    console.print(
        f"No key is set, so NONE of the {len(stand_ins)} LLMs of this pool is asked. Local LLMs of .1 to 1.5 billion parameters answer in "
        "their names, at their prices. What is saved and how good answers are says nothing about the LLMs that are named; it shows how "
        "the platform works with such a pool. With OPENROUTER_API_KEY set, the real ones are asked.",
        markup=False,
        highlight=False,
    )
    console.rule()


def stand_ins_answered(stage: Stage) -> None:
    """Once more, beside the figures."""
    stage.story.console.print("[bold red]All of these answers are of stand-ins[/]: none is of an LLM that is named, only the prices are.")


def ask(stage: Stage) -> None:
    """Asks all LLMs at once: their servers take turns otherwise, and most of the machine waits."""
    if stage.story.told("ask"):
        return
    with stage.act("ask", "The LLMs are asked") as act:
        project, llms = Project(stage.home), pools.load(stage.platform.settings.pool_file).active
        planned, kinds = plans.of_project(stage.platform.settings, (), harvesting=False), twins.kinds(llms)
        usd = sum(planned.as_dict()["usd_by_llm"].get(kind.asked.id, 0.0) for kind in kinds)
        calls = sum(planned.missing.get(kind.asked.id, 0) for kind in kinds)
        stage.story.console.print(f"{calls} calls for about ${usd:.4f}; each LLM for at most ${planned.most_usd:g}", highlight=False)
        steps.run(stage.home, "pipelines.ask_all", *(kind.asked.id for kind in kinds))
        queries = query_pool.read(project)
        twins.share(project, kinds, dict(zip(queries["query_id"], queries["text"], strict=True)))
        same = len(llms) - len(kinds)
        act.say(
            f"{len(queries)} queries each" + (f"; {same} of the LLMs are the same weights asked in the same way as another" if same else "")
        )


def traffic(stage: Stage) -> None:
    """The queries that no scorer was trained on, through one LLM each; every answer is drawn for an audit, then graded; the ledger."""
    if stage.story.told("traffic"):
        return
    with stage.act("traffic", "2. What it saves") as act:
        data = dataset.load(Project(stage.home).dataset)
        act.say(figures.each_llm(data))
        served = audited(stage, build_results.sample(stage.home, 10_000, "test"))
        act.say(figures.who_answered(served))
        settings, best = stage.platform.settings, figures.best_single(data)
        records = RecordStore.of(settings)
        chosen = _by_their_choice(records, served)
        if others := len(served) - len(chosen):
            why = "which was given up: it was too slow on a machine this busy"
            act.say(f"{others} of them by another LLM than the one chosen, {why}; they are not compared")
        if (found := beside.compared(chosen, data, best)) is not None:
            act.means = f"{found}. {found.pays(params.load(stage.home / workspace.SETTINGS).gate.floor_share)}"
        ledger = savings.report(records, pools.load(settings.pool_file), by="domain", baseline=best)
        act.say(f"the ledger, for which {best} would have answered at the length that was served: {_money(ledger)}; {_quality(ledger)}")
        act.look = f"cd {stage.home} && routemoa savings --by domain --baseline {best}"


def _by_their_choice(records: RecordStore, served: Sequence[Served]) -> list[Served]:
    """Those answered by the LLM that was chosen for them."""
    failed = {record_id for record_id, decision in records.ask("SELECT id, decision FROM records") if json.loads(decision)["failures"]}
    return [one for one in served if one.decision not in failed]


def _money(ledger: savings.Savings) -> str:
    told = ledger.total.as_dict()
    if told["saved_usd"] is None or told["saved_share"] is None:
        return f"nothing to compare with {ledger.baseline}"
    return f"spent ${told['routed_usd']:.6f}, saved ${told['saved_usd']:.6f} ({told['saved_share']:.0%})"


def _quality(ledger: savings.Savings) -> str:
    """As the ledger estimates it, which has no answers but the served ones."""
    quality = ledger.total.quality
    if quality.low is None or quality.high is None or quality.change is None:
        return f"quality {quality.why}"
    return f"quality by its audits {quality.change:+.2f} [{quality.low:+.2f}, {quality.high:+.2f}]"


def audited(stage: Stage, queries: list[dict[str, Any]]) -> list[Served]:
    """Asks them all, lets the monitor draw (all of them, as the example's settings say), then grades what came."""
    settings, visitor = stage.platform.settings, stage.visitor
    with ThreadPoolExecutor(USERS) as users:
        asked = users.map(lambda query: visitor.ask(query, virtual_model="routemoa-single", max_tokens=stage.plan.max_tokens), queries)
        responses = list(asked)
    watch.draw_audits(settings, policy.load(settings.home / "params.yaml"))
    return [visitor.report(query, response, audit=True) for query, response in zip(queries, responses, strict=True)]


def _with_stand_ins(pool: bytes, file: Path) -> bytes:
    """The pool with a local endpoint in place of each LLM's; names and prices stay."""
    yaml = YAML(typ="safe")
    content, stand_ins = yaml.load(pool), yaml.load(file)
    for llm, entry in content["llms"].items():
        other = stand_ins[llm]
        entry["endpoint"] = {"base_url": other["base_url"], "served_name": other["served_name"], "api_key_env": None}
        entry["prompt"] = {"system": other["system"], "suffix": ""}
        entry["decoding"] = {"temperature": 0.0, "max_tokens": other["max_tokens"], "seed": 0}
        entry["context_window"] = other["context_window"]
    return json.dumps(content, indent=1).encode()
