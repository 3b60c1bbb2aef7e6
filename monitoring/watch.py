"""Holds this host's traffic against the active scorer's reference, again and again: `python -m monitoring.watch [--once]`.

Each look judges the records (`var/records.db`), draws the Evidently report, writes `var/reports/latest.json`, and on the verdict
`retrain` submits a job: one a verdict id, another where that one failed, and none while the last one that a verdict started is younger
than the cool-down.
"""

import argparse
import json
import logging
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from monitoring import evidently_report, policy, profile, window
from monitoring.errors import NothingActive
from monitoring.policy import Policy
from monitoring.profile import Profile
from monitoring.records import RecordStore
from monitoring.verdict import Verdict, decide
from monitoring.window import Look
from registry import local_store
from registry.settings import Settings
from scorer.atomic_write import replacing
from scorer.errors import RouteMoAError

log = structlog.get_logger("watch")
COLOURS = {"keep": "green", "watch": "yellow", "retrain": "red", "too-little-data": "blue"}


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One look at the active scorer's traffic and what it means."""

    look: Look
    verdict: Verdict
    profile: Profile


@dataclass(frozen=True, slots=True)
class Due:
    """Which look there is to take: `size` records of one window of one scorer version, whose artifact lies in `folder`."""

    scorer_version: str
    folder: Path
    window: int
    size: int


def due(settings: Settings, rules: Policy) -> Due:
    """The look to take now; the same until enough records came for the next one. Raises NothingActive, RecordsRefused."""
    active = local_store.current(settings.var)
    if active is None:
        raise NothingActive(f"No scorer is published in {settings.var / 'scorers'}.", next_step="Promote a version and run registry.sync.")
    scored = RecordStore(settings.var / "records.db").count_scored(active.version)
    return Due(active.version, settings.var / "scorers" / active.folder, *window.window_to_judge(scored, rules))


def judge(settings: Settings, rules: Policy) -> Judged:
    """The verdict on the active scorer from what is recorded now; changes nothing. Raises NothingActive, ProfileRefused, RecordsRefused."""
    now_due = due(settings, rules)
    reference = profile.read(now_due.folder)
    records = RecordStore(settings.var / "records.db").scored(now_due.scorer_version, now_due.window * rules.window, now_due.size)
    look = window.gather(records, reference, rules, scorer_version=now_due.scorer_version, window=now_due.window)
    return Judged(look, decide(look.evidence, rules), reference)


def report(judged: Judged, settings: Settings, *, now: datetime, job: str | None = None) -> evidently_report.Report | None:
    """Draws the report of `judged` (none without records) and writes `latest.json`, which points to it."""
    drawn = (
        evidently_report.write(judged.look, judged.verdict, judged.profile, settings, now=now) if judged.look.novelty is not None else None
    )
    _write_latest(settings.var / "reports" / "latest.json", judged.verdict, drawn, now=now, job=job)
    return drawn


def retrain(verdict: Verdict, settings: Settings, rules: Policy, *, now: datetime) -> str | None:
    """The id of a `retrain` verdict's job, submitted where there is none, or again where it failed and has cooled down.

    None for other verdicts, and while another verdict's job cools down.
    """
    if verdict.kind != "retrain":
        return None
    from registry.jobs import Jobs

    jobs = Jobs(settings.var / "jobs.db")
    since = now.timestamp() - rules.cool_down_s
    started = [job for job in jobs.list() if job.kind == "retrain" and job.arguments.get("verdict")]
    if any(job.arguments["verdict"] != verdict.id and job.created_at > since for job in started):
        return None
    own = [job for job in started if job.arguments["verdict"] == verdict.id]
    if own and (own[-1].state != "failed" or own[-1].created_at > since):
        return own[-1].id
    key = f"verdict-{verdict.id}-{len(own) + 1}" if own else f"verdict-{verdict.id}"
    arguments = {"verdict": verdict.id, "reasons": list(verdict.reasons)}
    return jobs.submit("retrain", arguments, key=key).id


def show(judged: Judged, console: Console) -> None:
    """Prints the verdict, its reasons and the figures behind them."""
    verdict, found = judged.verdict, judged.look.evidence
    console.print(
        f"[bold {COLOURS[verdict.kind]}]{verdict.kind}[/]  scorer version {escape(found.scorer_version)}, verdict {escape(verdict.id)}"
    )
    for reason in verdict.reasons:
        console.print(f"  {escape(reason)}", highlight=False)
    if found.domains:
        table = Table("domain", "queries", "novel", "promised", "audited", "mispredicted")
        for domain in found.domains:
            wrong = "" if domain.mispredicted is None else f"{domain.mispredicted:.0%}"
            figures = (str(domain.n), f"{domain.novel_share:.0%}", f"{domain.promised:.2f}", str(domain.audited), wrong)
            table.add_row(escape(domain.name), *figures)
        console.print(table)
    if found.quality is not None and found.quality.low is not None and found.quality.high is not None:
        console.print(
            f"  estimated quality {found.quality.value:.3f} ({found.quality.low:.3f} to {found.quality.high:.3f})", highlight=False
        )


def step(settings: Settings, rules: Policy, console: Console) -> Judged:
    """One look, printed, reported, and acted on."""
    judged, now = judge(settings, rules), datetime.now(UTC)
    show(judged, console)
    job = retrain(judged.verdict, settings, rules, now=now)
    if job is not None:
        console.print(f"  retrain job {job}", highlight=False)
    drawn = report(judged, settings, now=now, job=job)
    if drawn is not None:
        console.print(f"  report {escape(str(drawn.html))}", highlight=False, soft_wrap=True)
    return judged


def run(settings: Settings, rules: Policy, stop: threading.Event) -> None:
    """Looks every `interval_s` until `stop` is set; acts only where there is a look to take that was not taken before."""
    taken: Due | None = None
    console = Console()
    while not stop.is_set():
        try:
            if (now_due := due(settings, rules)) != taken and now_due.size >= rules.first_look:
                step(settings, rules, console)
                taken = now_due
        except RouteMoAError as exc:  # the next look may find it mended: a scorer published, a disk with room
            log.warning("no_look", kind=type(exc).__name__, error=str(exc))
        stop.wait(rules.interval_s)


def _write_latest(path: Path, verdict: Verdict, drawn: evidently_report.Report | None, *, now: datetime, job: str | None) -> None:
    content: dict[str, Any] = {
        "at": now.isoformat(timespec="seconds"),
        "verdict": verdict.as_dict(),
        "report": None if drawn is None else asdict(drawn),
        "job": job,
    }
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 whatever the verdict; 1 with a message where none could be reached."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.watch", description=__doc__)
    parser.add_argument("--once", action="store_true", help="one look, then end")
    once = parser.parse_args(arguments).once
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    settings = Settings()
    try:
        rules = policy.load(settings.home / "params.yaml")
        if once:
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
