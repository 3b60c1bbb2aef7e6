"""`routemoa jobs` and `routemoa retrain`: what the worker has done, does and will do, and one more thing for it to do."""

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from cli import project

commands = typer.Typer()


@commands.command()
def jobs() -> None:
    """List retraining, promotion and rollback jobs with their progress, newest first."""
    from registry.jobs import Jobs

    newest_first = sorted(Jobs(project.existing().var / "jobs.db").list(), key=lambda job: job.created_at, reverse=True)
    if not newest_first:
        Console().print("No job yet. `routemoa retrain` starts one.", highlight=False)
        return
    table = Table(Column("job", no_wrap=True), "kind", "state", "step", "progress", "created", "why")
    for job in newest_first:
        created = datetime.fromtimestamp(job.created_at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        reasons = job.arguments.get("reasons") or [job.arguments.get("reason", "")]
        why = job.error or str(reasons[0])
        table.add_row(job.id, job.kind, job.state, escape(job.step or ""), f"{job.progress:.0%}", created, escape(why))
    Console().print(table)


@commands.command()
def retrain(
    *,
    full: Annotated[bool, typer.Option("--full", help="Train all LLMs together from now on, those too that joined by their row.")] = False,
    harvest: Annotated[bool, typer.Option("--harvest", help="First take in all that `routemoa harvest` would.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "a person asked for it",
) -> None:
    """Start the job that asks and labels what is missing and trains the scorer; asks no LLM more queries than its entry says."""
    from registry import pool
    from registry.jobs import Jobs

    settings, console = project.existing(), Console(soft_wrap=True)
    if full:
        changed = ", ".join(pool.train_jointly(settings.pool_file)) or "none was joined by its row"
        console.print(f"Trained with all others from now on: {changed}.", highlight=False, markup=False)
    job = Jobs(settings.var / "jobs.db").submit("retrain", {"reason": reason, "harvest": harvest})
    console.print(f"Job {job.id} retrains the scorer, once a worker runs (`routemoa up`); follow it with `routemoa jobs`.", highlight=False)
