"""`routemoa what-if`: what routing would have saved on a log, and at which quality."""

from pathlib import Path
from typing import Annotated

import typer

from cli import project
from registry import extras

commands = typer.Typer()


@commands.command("what-if")
def what_if(
    logs: Annotated[list[str], typer.Argument(metavar="LOGS", help="Imports by their names, or with --from: files.")],
    *,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FORMAT", help="The format of the files: litellm, langfuse, ...; `routemoa import --help` lists all."
        ),
    ] = None,
    pool: Annotated[Path | None, typer.Option(help="A pool file in place of the project's.", dir_okay=False)] = None,
    scorer: Annotated[
        str | None, typer.Option(metavar="VERSION", help="A scorer version in MLflow; else the one that serves, else build/scorer.")
    ] = None,
    floor: Annotated[
        str | None,
        typer.Option(
            metavar="POINTS", help="Quality that may be lost, such as 1pt (a hundredth of right answers); else gate.floor of params.yaml."
        ),
    ] = None,
    baseline: Annotated[str | None, typer.Option(metavar="LLM", help="Compare with always this LLM; else with what was logged.")] = None,
    grade: Annotated[int, typer.Option(min=0, help="About how many requests go into the file for you to grade.")] = 100,
    graded: Annotated[Path | None, typer.Option(help="That file, with its scores filled in.", dir_okay=False)] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the LLMs that routing chose for the answers which that file lacks.")] = False,
    budget: Annotated[float | None, typer.Option(metavar="USD", min=0, help="The most that --ask may cost.")] = None,
    score: Annotated[str | None, typer.Option(metavar="NAME[=LOW:HIGH]", help="With --from: the score that is the outcome.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for the report; else var/what-if.", file_okay=False)] = None,
) -> None:
    """Re-price a log and say what routing would have saved on it, at which quality; nothing is sent anywhere without --ask.

    Example: `routemoa what-if --from litellm spend.jsonl --pool examples/cloud-zoo/pool.yaml`
    """
    extras.need("train")
    from rich.console import Console

    from pipelines.errors import ImportRefused, ParamsRefused
    from pipelines.logs.outcomes import Scale
    from pipelines.params import points_of
    from pipelines.what_if import command

    if ask != (budget is not None):
        raise ImportRefused("--ask and --budget go together.", next_step="Say the most that asking may cost: --ask --budget 1")
    try:
        share = None if floor is None else points_of(floor)
    except ValueError as exc:
        raise ParamsRefused(f"--floor {floor}: no number of points.", next_step="Write --floor 1pt for a hundredth.") from exc
    wanted = command.Wanted(
        logs,
        source,
        pool,
        scorer,
        share,
        baseline,
        grade,
        graded,
        ask_usd=budget,
        score=Scale.of(score) if score else None,
        out=out,
    )
    command.run(wanted, project.existing(), Console(soft_wrap=True))
