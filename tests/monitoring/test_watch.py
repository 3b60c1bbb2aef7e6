"""The monitor end to end on real parts: a record file, a published scorer's profile, Evidently, its workspace, the command."""

import asyncio
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from ruamel.yaml import YAML

from monitoring import evidently_report, watch
from monitoring.audits.group_actions import Actions
from monitoring.drift import window
from monitoring.drift.verdict import decide
from monitoring.errors import NothingActive
from monitoring.records.store import RecordStore
from monitoring.savings import savings
from registry import pool
from registry.jobs import Jobs
from registry.settings import Settings
from tests.registry.test_notices import receiving

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, world) -> Path:
    """A project whose published scorer version 1 has a reference profile."""
    reference = world.profile()
    folder = tmp_path / "var" / "scorers" / "1"
    folder.mkdir(parents=True)
    names = ("queries_RD", "scores_RL", "domains_R", "held_queries_HD", "held_scores_HL", "held_domains_H")
    arrays = {name: getattr(reference, name) for name in names}
    np.savez(folder / "reference.npz", **arrays)
    (folder / "roster.json").write_text(json.dumps({"llms": list(reference.roster)}), encoding="utf-8")
    (folder.parent / "current.json").write_text(json.dumps({"version": "1", "folder": "1", "published_at": "now"}), encoding="utf-8")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def keep(home: Path, records) -> None:
    """Serves `records`: appends them, then reports the outcomes they carry."""

    async def scenario() -> None:
        store = RecordStore(home / "var" / "records.db")
        await asyncio.gather(*(store.append(record) for record in records))
        known = [record for record in records if record.outcome is not None]
        await asyncio.gather(*(store.report_outcome(record.id, record.outcome.score, "audit") for record in known))
        await store.close()

    asyncio.run(scenario())


def test_an_out_of_domain_domain_shows_in_verdict_report_and_workspace(home: Path, world, rules) -> None:
    """In-domain traffic is kept; law traffic turns the verdict, and page, JSON and workspace name law with its share."""
    from evidently.ui.workspace import Workspace

    settings = Settings(home=home)
    keep(home, world.records(60, audited=0.5))
    before = watch.judge(settings, rules)
    assert before.verdict.kind == "keep"
    first = watch.report(before, settings, now=NOW)

    keep(home, world.records(60, novel=1.0, prefix="law", audited=0.5))
    after = watch.judge(settings, rules)
    assert after.verdict.kind == "retrain"
    second = watch.report(after, settings, now=NOW.replace(hour=13), job="j-1")

    assert first is not None
    assert second is not None
    page = second.html.read_text(encoding="utf-8")
    assert "Novel share: law" in page
    assert "Verdict: retrain" in page
    assert 'src="http' not in page
    assert 'href="http' not in page.split("</style>")[0]
    assert second.mispredictions is not None
    assert "Accuracy" in second.mispredictions.read_text(encoding="utf-8")

    figures = {metric["metric_name"]: metric["value"] for metric in json.loads(second.json.read_text(encoding="utf-8"))["metrics"]}
    assert figures["NovelShare(domain=law)"] > 0.95
    assert figures["NovelShare(domain=all)"] == pytest.approx(after.window.novelty.share)
    assert figures["Figure(figure=query drift p)"] == after.verdict.stats.shift.adjusted["queries"]
    for llm in ("small", "middle", "large"):
        assert any(name.startswith(f"ValueDrift(column=score {llm},method=ks") for name in figures)
    assert figures["TrafficStatistic(column=cost (USD),statistic=mean)"] > 0

    workspace = Workspace(str(home / "var" / "evidently"))
    (project,) = workspace.list_projects()
    assert project.name == settings.scorer_name
    assert len(project.dashboard.model().panels) >= 8
    runs = {str(run) for run in workspace.list_runs(project.id)}
    assert second.run in runs
    assert first.run not in runs  # of the same window: points of the dashboard share no record
    for question in ("What changed", "Where", "Since when", "How sure", "What it costs", "What to do"):
        assert question in page
    assert "most central queries" in page
    assert workspace.get_run(project.id, second.run).metadata["verdict"] == "retrain"

    latest = json.loads((home / "var" / "reports" / "latest.json").read_text(encoding="utf-8"))
    assert latest["verdict"]["kind"] == "retrain"
    assert latest["verdict"]["id"] == after.verdict.id
    assert latest["report"]["html"] == str(second.html)
    assert latest["job"] == "j-1"


def test_a_report_needs_no_tags_no_outcomes_and_draws_text_where_it_is_stored(home: Path, world, rules) -> None:
    """Untagged, unaudited traffic is reported on too; stored text adds its descriptors, and prices what the ledger says was saved."""
    settings = Settings(home=home)
    entry = {"name": "x", "endpoint": None, "price": {"input": 10.0, "output": 20.0}}
    settings.pool_file.parent.mkdir(parents=True, exist_ok=True)
    YAML().dump({"llms": dict.fromkeys(("small", "middle", "large"), entry)}, settings.pool_file)
    keep(home, [replace(record, text="How many apples are left?") for record in world.records(23, tag=False)])
    drawn = watch.report(watch.judge(settings, rules), settings, now=NOW)
    assert drawn is not None
    assert drawn.mispredictions is None
    figures = {metric["metric_name"]: metric["value"] for metric in json.loads(drawn.json.read_text(encoding="utf-8"))["metrics"]}
    assert "TrafficStatistic(column=words,statistic=mean)" in figures
    day = datetime.fromtimestamp(1_700_000_000, UTC).date()
    ledger = savings.report(RecordStore(home / "var" / "records.db"), pool.load(settings.pool_file), since=day, until=day)
    assert figures["TrafficStatistic(column=saved (USD),statistic=mean)"] * 23 == pytest.approx(ledger.total.saved_usd)
    assert "NovelShare(domain=near coding)" in figures
    assert not any("Embedding" in name for name in figures)


def test_the_command_prints_verdict_and_reasons_and_ends_with_0(home: Path) -> None:
    """`python -m monitoring.watch --once` as a user runs it; an idle server is too little data, not a failure."""
    environment = os.environ | {"ROUTEMOA_HOME": str(home), "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-m", "monitoring.watch", "--once"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "too-little-data" in done.stdout
    assert "0 distinct queries; the first look takes 15" in done.stdout
    assert json.loads((home / "var" / "reports" / "latest.json").read_text(encoding="utf-8"))["verdict"]["kind"] == "too-little-data"


def test_without_a_published_scorer_it_says_what_to_do(tmp_path: Path, rules) -> None:
    """Nothing to hold traffic against is an error, not a verdict."""
    with pytest.raises(NothingActive, match="Promote a version"):
        watch.judge(Settings(home=tmp_path), rules)


def at_once(rules):
    """The rules with rounds that follow each other: an interval is waited for once."""
    return rules.model_copy(update={"interval_s": 1e-9})


class Rounds(threading.Event):
    """Stops after so many rounds, and changes the world between them."""

    def __init__(self, *changes: Callable[[], None]) -> None:
        super().__init__()
        self.changes = list(changes)

    def wait(self, timeout: float | None = None) -> bool:
        if self.changes:
            self.changes.pop(0)()
        else:
            self.set()
        return self.is_set()


def test_the_loop_takes_every_look_once_and_survives_errors(home: Path, world, rules, monkeypatch) -> None:
    """A missing scorer is waited for; however many records came between two rounds, no look is skipped and none is taken twice."""
    settings = Settings(home=home)
    current = home / "var" / "scorers" / "current.json"
    published = current.read_text(encoding="utf-8")
    current.unlink()
    taken: list[tuple[int, bool]] = []
    monkeypatch.setattr(watch, "step", lambda settings, rules, console, look, draw: taken.append((look.size, draw)))
    watch.run(
        settings,
        at_once(rules),
        Rounds(
            lambda: current.write_text(published, encoding="utf-8") and None,
            lambda: keep(home, world.records(20)),
            lambda: None,
            lambda: keep(home, world.records(40, prefix="more")),
        ),
    )
    assert taken == [(15, True), (23, False), (35, False), (53, True)]


def test_a_look_that_cannot_be_written_down_is_taken_again(home: Path, world, rules) -> None:
    """A full disk, or whatever else is in the way for the moment, ends no monitor."""
    settings = Settings(home=home)
    keep(home, world.records(15))
    latest = home / "var" / "reports" / "latest.json"
    latest.mkdir(parents=True)
    watch.run(settings, at_once(rules), Rounds(latest.rmdir))
    last = watch._last_look(settings)
    assert last is not None
    assert last.size == 15


def test_a_restarted_monitor_goes_on_after_the_last_look(home: Path, world, rules) -> None:
    """What came while it was down is looked at in order, and an audit reported after its window was judged counts."""
    settings = Settings(home=home)
    keep(home, world.records(15))
    watch.run(settings, rules, Rounds())
    keep(home, world.records(40, prefix="later", audited=1.0, error=1.0))
    assert [look.size for look in watch.looks_due(settings, rules, watch._last_look(settings))] == [23, 35, 53]
    look = watch.looks_due(settings, rules, None)[0]
    assert watch.judge(settings, rules, replace(look, size=15)).verdict.kind == "retrain"


def test_one_verdict_starts_one_job_and_then_it_cools_down(home: Path, world, rules) -> None:
    """The same verdict gives the same job; another verdict within the cool-down gives none; after it, a new one; keep never does."""
    pytest.importorskip("registry.jobs", reason="the job queue is not built yet")
    settings = Settings(home=home)
    profile = world.profile()

    def verdict(number: int, novel: float):
        return decide(window.measure(world.records(60, novel=novel), profile, rules, scorer_version="1", index=number).stats, rules)

    now = datetime.now(UTC)
    job = watch.submit_retraining(verdict(0, 1.0), settings, rules, now=now)
    assert job is not None
    (submitted,) = Jobs.in_file(home / "var" / "jobs.db").list()
    assert submitted.arguments["harvest"] is True  # it learns from the traffic that it is about
    assert watch.submit_retraining(verdict(0, 1.0), settings, rules, now=now) == job
    assert watch.submit_retraining(verdict(1, 1.0), settings, rules, now=now) is None
    later = datetime.fromtimestamp(now.timestamp() + rules.cool_down_s + 60, UTC)
    assert watch.submit_retraining(verdict(1, 1.0), settings, rules, now=later) not in {None, job}
    assert watch.submit_retraining(verdict(2, 0.0), settings, rules, now=later) is None


def test_a_verdicts_failed_job_is_submitted_again_after_the_cool_down(home: Path, world, rules) -> None:
    """A job that failed does not spend its verdict; one that waits or is done does."""
    settings, now = Settings(home=home), datetime.now(UTC)
    found = window.measure(world.records(60, novel=1.0), world.profile(), rules, scorer_version="1", index=0)
    verdict = decide(found.stats, rules)
    jobs = Jobs.in_file(home / "var" / "jobs.db")

    def fail(job_id: str) -> None:
        jobs.claim(job_id)
        jobs.fail(job_id, "no disk")

    later = datetime.fromtimestamp(now.timestamp() + rules.cool_down_s + 60, UTC)
    first = watch.submit_retraining(verdict, settings, rules, now=now)
    assert first is not None
    assert watch.submit_retraining(verdict, settings, rules, now=later) == first
    fail(first)
    assert watch.submit_retraining(verdict, settings, rules, now=now) == first
    second = watch.submit_retraining(verdict, settings, rules, now=later)
    assert second not in {None, first}
    assert watch.submit_retraining(verdict, settings, rules, now=later) == second
    fail(second)
    assert watch.submit_retraining(verdict, settings, rules, now=later) not in {None, first, second}
    assert len(jobs.list()) == 3


def test_what_is_printed_names_domains_and_reasons(home: Path, world, rules) -> None:
    """A person at a terminal reads the verdict, the reason and the domains."""
    keep(home, world.records(120, novel=0.6, audited=1.0))
    console = Console(record=True, width=140, quiet=False, file=io.StringIO())
    watch.show(watch.judge(Settings(home=home), rules), console)
    said = console.export_text()
    for expected in ("retrain", "queries are novel", "law", "mathematics", "estimated quality"):
        assert expected in said


def test_text_of_callers_is_printed_as_it_is(home: Path, world, rules) -> None:
    """A caller may name its domain as it likes: what looks like markup is neither obeyed nor an error."""
    records = [replace(record, domain=f"[/]{record.domain}[red]") for record in world.records(120, novel=0.6, audited=1.0)]
    keep(home, records)
    console = Console(record=True, width=140, quiet=False, file=io.StringIO())
    judged = watch.judge(Settings(home=home), rules)
    watch.show(replace(judged, verdict=replace(judged.verdict, reasons=("[/] is [bold]novel[/x].",))), console)
    said = console.export_text()
    assert "[/]law[red]" in said
    assert "[/] is [bold]novel[/x]." in said


def test_evidentlys_pages_are_served_from_the_workspace(home: Path) -> None:
    """The supervisor's command names the workspace it may not have yet, this host only, and the port it was given."""
    command = evidently_report.ui_command(Settings(home=home), 8123)
    assert command[0] == sys.executable
    assert command[-2:] == ["--port", "8123"]
    assert "127.0.0.1" in command
    assert (home / "var" / "evidently").is_dir()


def test_the_door_opens_only_when_a_report_is_drawn() -> None:
    """A process that watches or supervises imports no Evidently and no pandas before it draws."""
    light = "import sys, monitoring.records.store; print(*sorted({'evidently', 'pandas', 'scipy', 'torch'} & sys.modules.keys()))"
    watching = "import sys, monitoring.watch; print(*sorted({'evidently', 'mlflow', 'torch'} & sys.modules.keys()))"
    for program in (light, watching):
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
        assert said.stdout.strip() == ""


def test_a_verdict_is_told_once(home: Path, world, rules, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ROUTEMOA_NOTIFY names hears that a verdict says retrain, with its reasons and its job; the next look at it tells nobody."""

    def undrawn(judged: watch.JudgedWindow, settings: Settings, *, now: datetime, job: str | None) -> None:
        watch._keep(settings, judged, None, now=now, job=job)

    (home / "var" / "reports").mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(watch, "report", undrawn)
    keep(home, world.records(60, audited=0.5))
    keep(home, world.records(60, novel=1.0, prefix="law", audited=0.5))
    with receiving() as (address, told):
        settings = Settings(_env_file=None, home=home, notify=address)
        judged = watch.step(settings, rules, Console())
        watch.step(settings, rules, Console())
    (notice,) = told
    assert notice["title"] == f"RouteMoA: verdict {judged.verdict.id} says retrain"
    assert judged.verdict.reasons[0] in notice["message"]


def test_a_verdicts_job_knows_the_groups_that_caused_it(home: Path, world, rules) -> None:
    """All of the look but those that a person left: a retraining harvests and measures by them."""
    settings = Settings(home=home)
    keep(home, [replace(record, domain=None) for record in world.records(60, novel=1.0)])
    actions = Actions(settings.var, RecordStore(home / "var" / "records.db"))
    judged = watch.step(settings, rules, Console(quiet=True))
    (job,) = Jobs.in_file(home / "var" / "jobs.db").list()
    assert [each["name"] for each in job.arguments["groups"]] == [group.name for group in judged.window.groups]
    assert set(job.arguments["groups"][0]["members"]) == set(judged.window.groups[0].members)
    left = actions.leave(judged.window.groups[0].name, by=None).name
    judged = watch.judge(settings, rules)
    assert left in {group.name for group in judged.window.groups}
    later = datetime.fromtimestamp(datetime.now(UTC).timestamp() + rules.cool_down_s + 60, UTC)
    other = replace(judged.verdict, id="another")
    watch.submit_retraining(other, settings, rules, now=later, groups=judged.window.groups)
    assert left not in {each["name"] for each in Jobs.in_file(home / "var" / "jobs.db").list()[-1].arguments["groups"]}


def test_a_name_holds_for_later_traffic_of_its_kind(home: Path, world, rules) -> None:
    """Named law, queries of law that come later are of that domain in verdict, draws and groups; known and other queries are not."""
    settings = Settings(home=home)
    store = RecordStore(home / "var" / "records.db")
    keep(home, [replace(record, domain=None) for record in world.records(30, novel=1.0, prefix="law")])
    watch.step(settings, rules, Console(quiet=True))
    actions = Actions(settings.var, store)
    group = max(json.loads((home / "var" / "reports" / "latest.json").read_text())["groups"], key=lambda each: each["queries"])
    made = actions.name(group["id"], " law  of  contracts ", by="ann")
    assert made.name == "law of contracts"
    keep(home, [replace(record, domain=None) for record in world.records(30, novel=1.0, prefix="later")])
    keep(home, [replace(record, domain=None) for record in world.records(30, prefix="usual")])
    watch.draw_audits(settings, rules)
    names = dict(store.ask("SELECT id, draws.domain FROM draws JOIN records USING (number)"))
    later = [name for record, name in names.items() if record.startswith("later")]
    usual = [name for record, name in names.items() if record.startswith("usual")]
    assert later.count("law of contracts") >= 15
    assert "law of contracts" not in usual
    judged = watch.judge(settings, rules)
    assert "law of contracts" in {domain.name for domain in judged.window.stats.domains}
    assert judged.window.groups[0].name == "law of contracts"
    assert len(actions.find("law of contracts").members) > len(made.members)
