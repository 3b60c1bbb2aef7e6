"""`routemoa groups`: what the unknown queries are; name a group, have it audited, add it to the query pool, retrain for it, leave it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import project
from registry import os_user

if TYPE_CHECKING:
    from monitoring.audits.group_actions import Actions

commands = typer.Typer(no_args_is_help=False)
Group = Annotated[str, typer.Argument(metavar="GROUP", help="Its name or id, as `routemoa groups` has it.")]


@commands.callback(invoke_without_command=True)
def groups(context: typer.Context) -> None:
    """List the groups of unknown queries that the monitor last found, and those that were named.

    Example: `routemoa groups`
    """
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console

    listed, console = _actions().listed(), Console(soft_wrap=True)
    for each in listed["groups"]:
        for line in _lines(each):
            console.print(line, highlight=False, markup=False)
    for each in listed["named"]:
        audited, mean = each["audited"]
        judged = f", {audited} audited at {mean:.2f}" if audited else ""
        promised = "" if each["promised"] is None else f", promised {each['promised']:.2f}"
        figures = f"{each['queries']} queries so far{promised}{judged}, {each['waiting']} wait for a grade"
        console.print(f"{each['state']}: {each['name']}, {figures}", highlight=False, markup=False)
    if not listed["groups"] and not listed["named"]:
        console.print("No group of unknown queries: the monitor has found none yet (`routemoa report` has it look now).", highlight=False)


@commands.command()
def name(group: Group, called: Annotated[str, typer.Argument(metavar="NAME", help="What its domain is called from now on.")]) -> None:
    """Name a group: its queries, and later ones like them, are of that domain.

    Example: `routemoa groups name "unknown 1" tax`
    """
    made = _actions().name(group, called, by=f"cli/{os_user.name()}")
    typer.echo(f"{group} is {made.name} from now on: {len(made.members)} queries, and later ones like them.")


@commands.command()
def audit(group: Group, *, count: Annotated[int, typer.Option(min=1, help="So many more of its answers.")] = 20) -> None:
    """Have more answers of a group audited: they wait in `routemoa grade` before all others.

    Example: `routemoa groups audit tax --count 20`
    """
    from monitoring.audits.audit_queue import AuditQueue, hidden_in_words

    actions = _actions()
    drawn = actions.audit(group, count)
    if not drawn:
        typer.echo(f"No answer of {group} is left: each is drawn already, or the monitor has not decided on it yet.")
    elif told := hidden_in_words(AuditQueue(actions.store).hidden(group)):
        typer.echo(f"{drawn} answers of {group} are drawn. {told}")
    else:
        typer.echo(f"{drawn} answers of {group} wait for a grade: routemoa grade")


@commands.command()
def harvest(group: Group) -> None:
    """Start the job that takes a group's queries into the query pool, as far as their answers can be graded.

    Example: `routemoa groups harvest tax`
    """
    _submit(group, "harvest")


@commands.command()
def retrain(group: Group) -> None:
    """Start a retraining that harvests a group's queries first; `routemoa retrain --plan --group GROUP` says what it would cost.

    Example: `routemoa groups retrain tax`
    """
    _submit(group, "retrain")


@commands.command()
def leave(group: Group) -> None:
    """Keep that nothing is to be done about a group.

    Example: `routemoa groups leave tax`
    """
    left = _actions().leave(group, by=f"cli/{os_user.name()}")
    typer.echo(f"{left.name} is left as it is: shown, and no retraining is for it.")


@commands.command()
def forget(called: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Take a name back.

    Example: `routemoa groups forget tax`
    """
    from monitoring.drift import named_domains
    from monitoring.errors import GroupUnknown

    if not named_domains.forget(_actions().store, called):
        raise GroupUnknown(f"No domain was named {called!r}.", next_step="`routemoa groups` lists those that were.")
    typer.echo(f"{called} is no domain any more.")


def _submit(group: str, kind: Any) -> None:
    from registry.jobs import Jobs

    chosen = _actions().find(group)
    arguments = {"reason": f"a person asked for group {chosen.name}", "harvest": True, "groups": [chosen.as_arguments()]}
    job = Jobs.of(project.existing()).submit(kind, arguments)
    typer.echo(f"Job {job.id} begins once a worker runs (`routemoa up`); follow it: routemoa jobs {job.id} --follow")


def _lines(group: dict[str, Any]) -> list[str]:
    """As `monitoring.drift.groups.lines` has a group of the last look, with its id."""
    from monitoring.drift import groups

    read = groups.of_json(group)
    first, *rest = groups.lines(read)
    return [f"{first}  [{read.id}]", *rest]


def _actions() -> "Actions":
    from monitoring.audits.group_actions import Actions
    from monitoring.records.store import RecordStore

    settings = project.existing()
    return Actions(settings.var, RecordStore.of(settings))
