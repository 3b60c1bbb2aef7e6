"""`routemoa results`: what each scorer reached on one set of queries, test beside out of domain."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli import project
from registry import extras

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from pipelines.qualities import Reached

commands = typer.Typer()


@commands.command()
def results(
    name: Annotated[
        str | None, typer.Argument(metavar="SET", help="An import by its name, or a dataset; all queries without.", show_default=False)
    ] = None,
) -> None:
    """Show what each scorer reached on the test queries of a set, beside its out-of-domain ones.

    Example: `routemoa results capitals`
    """
    extras.need("train")
    from rich.console import Console

    from pipelines import params, qualities
    from pipelines.comparison import OURS
    from pipelines.project import Project

    where, console = Project(project.existing().home), Console(soft_wrap=True)
    rows = qualities.read(where.evaluation, name)
    resamples = params.load(where.params).evaluate.bootstrap
    reached = qualities.side_by_side(rows, resamples=resamples)
    console.print(_scorers(reached))
    for split, one in reached.get(OURS, {}).items():
        console.print(f"{split}: ours promised {one.promised:.3f} on {one.queries} queries and reached {one.quality}.", highlight=False)
    if rows["dataset"].nunique() > 1:
        console.print(_datasets(rows, resamples))


def _scorers(reached: "dict[str, dict[str, Reached]]") -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from pipelines.qualities import SPLITS

    shown = Table("scorer", *(head for split in SPLITS for head in (split, "ours - this")), box=SIMPLE_HEAD, pad_edge=False)
    for scorer, by_split in reached.items():
        cells = [scorer]
        for split in SPLITS:
            one = by_split.get(split)
            cells += ["none", ""] if one is None else [str(one.quality), str(one.gain) if one.gain else ""]
        shown.add_row(*cells)
    return shown


def _datasets(rows: "pd.DataFrame", resamples: int) -> "Table":
    """Ours beside the best single LLM, a dataset and split a line."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from pipelines import qualities
    from pipelines.comparison import OURS

    single = "best single"
    shown = Table("dataset", "split", "queries", OURS, "promised", single, box=SIMPLE_HEAD, pad_edge=False)
    for dataset, part in rows.groupby("dataset"):
        reached = qualities.side_by_side(part, resamples=resamples)
        for split, one in reached.get(OURS, {}).items():
            other = reached.get(single, {}).get(split)
            shown.add_row(
                str(dataset), split, str(one.queries), str(one.quality), f"{one.promised:.3f}", str(other.quality) if other else ""
            )
    return shown
