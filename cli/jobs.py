"""`routemoa jobs`: what the worker has done, does and will do."""

from datetime import datetime

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from registry.settings import Settings

commands = typer.Typer()


@commands.command()
def jobs() -> None:
    """List retraining, promotion and rollback jobs with their progress, newest first."""
    from registry.jobs import Jobs

    table = Table("job", "kind", "state", "step", "progress", "created", "why")
    for job in sorted(Jobs(Settings().var / "jobs.db").list(), key=lambda each: each.created_at, reverse=True):
        created = datetime.fromtimestamp(job.created_at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        reasons = job.arguments.get("reasons") or [job.arguments.get("reason", "")]
        why = job.error or str(reasons[0])
        table.add_row(job.id, job.kind, job.state, escape(job.step or ""), f"{job.progress:.0%}", created, escape(why))
    Console().print(table)
