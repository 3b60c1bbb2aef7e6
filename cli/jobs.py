"""`routemoa jobs`, `cancel` and `retrain`: what the worker has done, does and will do; one thing less and one more for it to do."""

import sys
import time
from collections.abc import Callable
from datetime import datetime
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from cli import project
from registry import extras

if TYPE_CHECKING:
    from monitoring.audits.group_actions import Chosen
    from registry.jobs import Job, Jobs

commands = typer.Typer()
LOOKS_S = 0.5  # between two looks at a job that is followed
MOST_SHOWN = 160  # characters of an error or a reason in the list; `routemoa jobs JOB` shows all
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Its id, as `routemoa jobs` has it.")]


@commands.command()
def jobs(
    job_id: Annotated[str | None, typer.Argument(metavar="JOB", help="Show this one only.", show_default=False)] = None,
    *,
    log: Annotated[bool, typer.Option("--log", help="Print what the processes of JOB printed.")] = False,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Print each step of JOB until it ends; exit code 1 where it was not done."),
    ] = False,
) -> None:
    """List jobs with their progress, newest first; or show one, or its log, or follow it to its end.

    Example: `routemoa jobs retrain-b9a773bf --follow`
    """
    console, kept = Console(), _jobs()
    if job_id is None:
        if log or follow:
            raise typer.BadParameter("--log and --follow are for one job: `routemoa jobs JOB --follow`")
        _list(kept.list(), console)
    elif follow:
        job = _followed(kept, kept.require(job_id), typer.echo, lambda: time.sleep(LOOKS_S))
        _show(job, kept.log_place(job_id), console)
        if job.state != "done":
            raise typer.Exit(1)
    elif log:
        _print_log(kept, kept.require(job_id))
    else:
        _show(kept.require(job_id), kept.log_place(job_id), console)


@commands.command()
def cancel(job_id: JobId) -> None:
    """Cancel a job: one that waits is not begun, a retraining that runs is ended; what was answered and labelled is kept.

    Example: `routemoa cancel retrain-b9a773bf`
    """
    job = _jobs().cancel(job_id)
    ending = "" if job.ended_at else " Its processes end within half a minute; what was answered and labelled is kept."
    Console(soft_wrap=True).print(f"Job {job.id} is cancelled.{ending}", highlight=False)


@commands.command()
def retrain(
    *,
    full: Annotated[bool, typer.Option("--full", help="Train all LLMs together from now on, those too that joined by their row.")] = False,
    harvest: Annotated[bool, typer.Option("--harvest", help="First take in all that `routemoa harvest` would.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "a person asked for it",
    group: Annotated[list[str] | None, typer.Option(help="For this group of unknown queries; may be repeated.", show_default=False)] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it would take in, whom it would ask, and for how many USD.")] = False,
) -> None:
    """Start the job that asks and labels what is missing and trains the scorer; asks no LLM more queries than its entry says.

    Examples: `routemoa retrain --plan --group tax`, `routemoa retrain --group tax`
    """
    groups = _groups(group or [])
    if plan:
        _plan(groups, console=Console(soft_wrap=True), harvesting=harvest or bool(groups))
        return
    from registry import pool

    settings, console = project.existing(), Console(soft_wrap=True)
    if full:
        changed = ", ".join(pool.train_jointly(settings.pool_file)) or "none was joined by its row"
        console.print(f"Trained with all others from now on: {changed}.", highlight=False, markup=False)
    arguments = {"reason": reason, "harvest": harvest or bool(groups)}
    job = _jobs().submit("retrain", {**arguments, "groups": [each.as_arguments() for each in groups]} if groups else arguments)
    console.print(
        f"Job {job.id} retrains the scorer, once a worker runs (`routemoa up`); follow it: routemoa jobs {job.id} --follow", highlight=False
    )


def _groups(called: list[str]) -> "list[Chosen]":
    from monitoring.audits.group_actions import Actions
    from monitoring.records.store import RecordStore

    settings = project.existing()
    return [Actions(settings.var, RecordStore.of(settings)).find(each) for each in called] if called else []


def _plan(groups: "list[Chosen]", *, console: Console, harvesting: bool) -> None:
    """What a retraining would do now."""
    extras.need("train")
    from pipelines import plan as planning

    planning.of_project(project.existing(), groups, harvesting=harvesting).show(console)


def _jobs() -> "Jobs":
    from registry.jobs import Jobs

    return Jobs.of(project.existing())


def _list(kept: "list[Job]", console: Console) -> None:
    if not kept:
        console.print("No job yet. `routemoa retrain` starts one.", highlight=False)
        return
    table = Table(
        Column("job", no_wrap=True), "state", Column("what it does, and why", ratio=1), "created", box=SIMPLE_HEAD, pad_edge=False
    )
    for job in reversed(kept):
        doing = f"{job.step} ({job.progress:.0%})" if job.state == "running" else job.error or job.step
        lines = [shorten(each, MOST_SHOWN, placeholder=" ...") for each in (doing, job.why)]
        table.add_row(job.id, job.state, escape("\n".join(filter(None, lines))), _when(job.created_at))
    console.print(table)
    console.print("One of them: `routemoa jobs JOB`; what it printed: `routemoa jobs JOB --log`.", highlight=False, soft_wrap=True)


def _followed(kept: "Jobs", job: "Job", say: Callable[[str], object], wait: Callable[[], object]) -> "Job":
    """The job once it has ended; each step that it comes to is said."""
    said = ""
    while job.ended_at is None:
        now = "waiting for a worker (`routemoa up` starts one)" if job.state == "queued" else f"{job.step}  {job.progress:.0%}"
        if now != said:
            say(said := now)
        wait()
        job = kept.require(job.id)
    return job


def _show(job: "Job", log: str, console: Console) -> None:
    times = {"created": job.created_at, "started": job.started_at, "ended": job.ended_at}
    fields = {
        "state": job.state,
        "step": f"{job.step} ({job.progress:.0%})",
        "why": job.why,
        **{name: _when(at) for name, at in times.items() if at is not None},
        "error": job.error,
        "log": log,
    }
    console.print(job.id, highlight=False, markup=False)
    for name, value in fields.items():
        if value:
            console.print(f"  {name:8} {value}", highlight=False, markup=False, soft_wrap=True)


def _print_log(kept: "Jobs", job: "Job") -> None:
    if text := kept.printed(job.id).text:
        sys.stdout.write(text)
    else:
        Console(soft_wrap=True).print(f"Job {job.id} ({job.state}) has printed nothing.", highlight=False, markup=False)


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%m-%d %H:%M")
