"""Compares this host's traffic with the active scorer's reference, again and again: `python -m monitoring.watch [--once]`.

Each look judges the records (`var/records.db`), draws the Evidently report, and writes `var/reports/latest.json`. The verdict `retrain`
submits a job that harvests and retrains: one for each verdict id, and another where that one failed. Until the cool-down is over no other
verdict starts a job.
"""

import argparse
import json
import logging
import platform
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from monitoring import certificate_void, looks
from monitoring.audits import audits
from monitoring.audits.group_actions import Chosen
from monitoring.audits.machine_grading import MachineGrading
from monitoring.drift import groups, named_domains, policy, profile, summary
from monitoring.drift.groups import Group
from monitoring.drift.policy import Policy
from monitoring.drift.profile import ReferenceProfile
from monitoring.drift.verdict import Verdict, decide
from monitoring.drift.window import Window, looks_after, measure, window_to_judge
from monitoring.errors import NothingActive
from monitoring.learning.learner import Learner
from monitoring.policies import canary_end
from monitoring.policies.canary import chances
from monitoring.policies.shadow_value import ShadowValues
from monitoring.records.store import RecordStore
from monitoring.savings.ledger import Ledger
from monitoring.savings.savings import asked_for
from registry import extras, local_store, notices, pool, variables
from registry.database.lead import ASK_S, Lead, lead
from registry.errors import DatabaseFailed
from registry.settings import Settings
from scorer.errors import RouteMoAError

if TYPE_CHECKING:
    from monitoring.evidently_report import Report  # it brings pandas

log = structlog.get_logger("watch")
COLOURS = {"keep": "green", "watch": "yellow", "retrain": "red", "too-little-data": "blue"}


@dataclass(frozen=True, slots=True, eq=False)
class JudgedWindow:
    """A window of the active scorer's traffic, its verdict, and the reference it was compared with."""

    window: Window
    verdict: Verdict
    profile: ReferenceProfile


@dataclass(frozen=True, slots=True)
class Due:
    """The look to take: the first `size` records of window `index` of a scorer version, whose artifact lies in `folder`."""

    scorer_version: str
    folder: Path
    index: int
    size: int


def due(settings: Settings, rules: Policy) -> Due:
    """The look to take now; the same until enough records came for the next one. Raises NothingActive, RecordsRefused."""
    version, folder = _active(settings)
    return Due(version, folder, *window_to_judge(_scored(settings, version), rules))


def looks_due(settings: Settings, rules: Policy, last: Due | None) -> list[Due]:
    """Every look of the active version since `last`, or the one to take now where there is none of this version before it.

    Empty while there are too few records for the first. Raises NothingActive, RecordsRefused.
    """
    version, folder = _active(settings)
    if last is None or last.scorer_version != version:
        now_due = due(settings, rules)
        return [now_due] if now_due.size >= rules.first_look else []
    looks = looks_after((last.index, last.size), _scored(settings, version), rules)
    return [Due(version, folder, index, size) for index, size in looks]


def draw_audits(settings: Settings, rules: Policy) -> int:
    """Draws answers for audits among the records that came since; how many. Raises NothingActive, ProfileRefused, RecordsRefused."""
    version, folder = _active(settings)
    store = RecordStore.of(settings)
    if not store.undecided(1):  # mostly nothing came: read no profile
        return 0
    _, canary = local_store.beside(settings.var)
    if canary is None:
        return audits.draw(store, version, profile.read(folder), rules)
    until = store.now() - canary_end.SETTLED_S
    return audits.draw(store, version, profile.read(folder), rules, wanted=chances(store, version, canary), until=until)


def book_savings(settings: Settings) -> None:
    """Books what came since in the ledger, against the baselines that somebody asked for. Raises PoolRefused, RecordsRefused."""
    ledger = Ledger(RecordStore.of(settings))
    ledger.book(asked_for(ledger, pool.load(settings.pool_file).llms) if ledger.baselines() else ())


def judge(settings: Settings, rules: Policy, look: Due | None = None) -> JudgedWindow:
    """The verdict of `look`, without one of what is recorded now; changes nothing. Raises NothingActive, ProfileRefused, RecordsRefused."""
    look = due(settings, rules) if look is None else look
    reference, store = profile.read(look.folder), RecordStore.of(settings)
    records = store.scored(look.scorer_version, look.index * rules.window, look.size)
    audited = store.audited(look.scorer_version)
    named = named_domains.load(store)
    window = measure(records, reference, rules, scorer_version=look.scorer_version, index=look.index, audited=audited, named=named)
    return JudgedWindow(window, decide(window.stats, rules), reference)


def _active(settings: Settings) -> tuple[str, Path]:
    active = local_store.current(settings.var)
    if active is None:
        raise NothingActive(
            f"No scorer is published in {settings.var / 'scorers'}.",
            next_step="Promote a version while `routemoa up` or `python -m registry.sync` runs: routemoa promote VERSION",
        )
    return active.version, settings.var / "scorers" / active.folder


def _scored(settings: Settings, version: str) -> int:
    return RecordStore.of(settings).count_scored(version)


def report(judged: JudgedWindow, settings: Settings, *, now: datetime, job: str | None = None) -> "Report | None":
    """Draws the report of `judged` (none without records) and writes `latest.json`, which points to it."""
    from monitoring import evidently_report

    drawn = (
        evidently_report.write(judged.window, judged.verdict, judged.profile, settings, now=now)
        if judged.window.novelty is not None
        else None
    )
    _keep(settings, judged, drawn, now=now, job=job)
    return drawn


def submit_retraining(verdict: Verdict, settings: Settings, rules: Policy, *, now: datetime, groups: Sequence[Group] = ()) -> str | None:
    """The id of the job of a `retrain` verdict: submitted where there is none yet, and again where it failed and the cool-down is over.

    None for other kinds of verdict, and while another verdict's job is younger than the cool-down. groups: of unknown queries, which it
    harvests and says afterwards what it bought for; those that a person left are left out.
    """
    if verdict.kind != "retrain":
        return None
    from registry.jobs import Jobs

    jobs = Jobs.of(settings)
    since = now.timestamp() - rules.cool_down_s
    submitted = [job for job in jobs.list() if job.kind == "retrain" and job.arguments.get("verdict")]
    if any(job.arguments["verdict"] != verdict.id and job.created_at > since for job in submitted):
        return None
    own = [job for job in submitted if job.arguments["verdict"] == verdict.id]
    if own and (own[-1].state != "failed" or own[-1].created_at > since):
        return own[-1].id
    key = f"verdict-{verdict.id}-{len(own) + 1}" if own else f"verdict-{verdict.id}"
    left = {each.name for each in named_domains.load(RecordStore.of(settings)).domains if each.state == "left"}
    caused = [Chosen(group.name, group.members).as_arguments() for group in groups if group.name not in left]
    arguments = {"verdict": verdict.id, "reasons": list(verdict.reasons), "harvest": True, "groups": caused}
    return jobs.submit("retrain", arguments, key=key).id


def show(judged: JudgedWindow, console: Console) -> None:
    """Prints the verdict, its reasons and the figures behind them."""
    verdict, stats = judged.verdict, judged.window.stats
    console.print(
        f"[bold {COLOURS[verdict.kind]}]{verdict.kind}[/]  scorer version {escape(stats.scorer_version)}, verdict {escape(verdict.id)}"
    )
    for reason in verdict.reasons:
        console.print(f"  {escape(reason)}", highlight=False)
    if stats.domains:
        table = Table("domain", "queries", "novel", "promised", "audited", "mispredicted")
        for domain in stats.domains:
            wrong = "" if domain.mispredicted is None else f"{domain.mispredicted:.0%}"
            figures = (str(domain.n), f"{domain.novel_share:.0%}", f"{domain.promised:.2f}", str(domain.audited), wrong)
            table.add_row(escape(domain.name), *figures)
        console.print(table)
    for group in judged.window.groups:
        for line in groups.lines(group):
            console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
    if stats.complaints is not None:
        console.print("  users reported {} answers, {:.2f} on average; they decide nothing".format(*stats.complaints), highlight=False)
    quality = stats.quality
    if quality is not None and quality.low is not None and quality.high is not None:
        console.print(f"  estimated quality {quality.value:.3f} ({quality.low:.3f} to {quality.high:.3f})", highlight=False)


def step(settings: Settings, rules: Policy, console: Console, look: Due | None = None, *, draw: bool = True) -> JudgedWindow:
    """One look, printed and acted on; and reported, unless it says `keep` and `draw` is off. What it looks at is drawn for audits first."""
    draw_audits(settings, rules)
    judged, now = judge(settings, rules, look), datetime.now(UTC)
    show(judged, console)
    if (void := certificate_void.made_by(judged.verdict, looks.folder(settings), now)) is not None:
        looks.keep_void(settings, void)
        console.print(f"  what scorer version {void.version} was certified for is void", highlight=False)
    job = submit_retraining(judged.verdict, settings, rules, now=now, groups=judged.window.groups)
    if job is not None:
        console.print(f"  retrain job {job}", highlight=False)
    if judged.verdict.kind == "retrain" and judged.verdict.id != _last_verdict(settings).get("id"):
        reasons = [*judged.verdict.reasons, *([f"Job {job} retrains."] if job else [])]
        notices.send(settings, f"verdict {judged.verdict.id} says retrain", "\n".join(reasons))
    if draw or judged.verdict.kind != "keep":
        drawn = report(judged, settings, now=now, job=job)
        if drawn is not None:
            console.print(f"  report {escape(str(drawn.html))}", highlight=False, soft_wrap=True)
    return judged


def run(settings: Settings, rules: Policy, stop: threading.Event) -> None:
    """Takes every look that came due, in order, every `interval_s`, until `stop` is set; goes on after the last look that was reported.

    Of hosts that share a database one monitor does; another one that takes over goes on after the last look of any.
    """
    console, leading, learner, shadow_values = Console(), lead(settings, "monitor"), Learner(settings), ShadowValues(settings)
    last: Due | None = None
    leads = False
    with MachineGrading(settings) as grading:
        while not stop.is_set():
            for_servers(learner, shadow_values)  # of this host, whoever leads
            try:
                if not leading.holds():
                    leads = False
                    stop.wait(ASK_S)
                    continue
                if not leads:
                    looks.refresh(settings)
                    last, leads = _last_look(settings), True
                grading.note(draw_audits(settings, rules))
                canary_end.step(settings)
                to_take = looks_due(settings, rules, last)
                for look in to_take:
                    step(settings, rules, console, look, draw=look == to_take[-1])
                    last = look
                    if stop.is_set():
                        break
                book_savings(settings)
            except DatabaseFailed as exc:  # somebody else may lead by now
                leads = False
                log.warning("no_lead", error=str(exc))
                stop.wait(ASK_S)
                continue
            except (RouteMoAError, OSError) as exc:  # it may pass: a scorer is published, the disk has room again
                log.warning("no_look", kind=type(exc).__name__, error=str(exc))
            if leads:
                leads = _still_leads(leading, rules.interval_s, stop)
            else:
                stop.wait(ASK_S)
    leading.leave()


def _still_leads(leading: Lead, seconds: float, stop: threading.Event) -> bool:
    """Whether we do after so long, or until `stop`: who lost the lead meanwhile stands in line again at once."""
    end = time.monotonic() + seconds
    try:
        while not stop.wait(max(0.0, min(ASK_S, end - time.monotonic()))) and time.monotonic() < end:
            if not leading.holds():
                return False
    except DatabaseFailed as exc:
        log.warning("no_lead", error=str(exc))
        return False
    return True


def for_servers(learner: Learner, shadow_values: ShadowValues) -> None:
    """What was learnt, and what a shadow's choices are worth; that it cannot be told keeps nobody from looking."""
    for event, step_ in (("nothing_learnt", learner.step), ("shadow_not_valued", shadow_values.step)):
        try:
            step_()
        except (RouteMoAError, OSError) as exc:
            log.warning(event, kind=type(exc).__name__, error=str(exc))


def _last_look(settings: Settings) -> Due | None:
    """The look that `latest.json` is of, None where there is none or it is an earlier release's."""
    try:
        stats = _last_verdict(settings)["stats"]
        return Due(str(stats["scorer_version"]), Path(), int(stats["index"]), int(stats["size"]))
    except (ValueError, KeyError, TypeError):
        return None


def _last_verdict(settings: Settings) -> dict[str, Any]:
    """The verdict that the last look wrote down, which people were told of; empty where none can be read."""
    try:
        return dict(json.loads(_latest(settings).read_text(encoding="utf-8"))["verdict"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _latest(settings: Settings) -> Path:
    return looks.folder(settings) / looks.LATEST


def _keep(settings: Settings, judged: JudgedWindow, drawn: "Report | None", *, now: datetime, job: str | None) -> None:
    content: dict[str, Any] = {
        "at": now.isoformat(timespec="seconds"),
        "host": platform.node(),
        "verdict": judged.verdict.as_dict(),
        "summary": asdict(summary.of(judged.window, judged.verdict)),
        "groups": [asdict(group) for group in judged.window.groups],
        "report": None if drawn is None else asdict(drawn),
        "job": job,
    }
    looks.keep(settings, content)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 whatever the verdict; 1 with a message where none could be reached."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.watch", description=__doc__)
    parser.add_argument("--once", action="store_true", help="one look, then end")
    once = parser.parse_args(arguments).once
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    settings = Settings()
    try:
        extras.need("monitor")
        variables.check()
        rules = policy.load(settings.home / "params.yaml")
        if once:
            for_servers(Learner(settings), ShadowValues(settings))
            step(settings, rules, Console())
            return 0
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        run(settings, rules, stop)
    except RouteMoAError as exc:
        Console(stderr=True).print(f"[red]{type(exc).__name__}[/] {escape(str(exc))}", highlight=False, soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
