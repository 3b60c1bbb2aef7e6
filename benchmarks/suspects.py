"""What validation's rule for unreadable answers says of recorded outcomes: `python -m benchmarks.suspects FOLDER [--group domain]`.

FOLDER holds queries.parquet and outcomes.parquet as in benchmarks/scorer.py. They are imported into a temporary folder as a user would
(`pipelines.importing`), and the tables that come of it are looked at by `pipelines.validation.suspects`. `--simulate N` instead draws N
clean tables (LLM + dataset + normal interaction in log-odds, then labels) of several shapes, and prints how many raise any alarm.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import machine
from pipelines import assemble, tables
from pipelines.importing import import_files
from pipelines.staging import Defaults
from pipelines.validation import suspects
from scorer import metrics
from scorer.errors import RouteMoAError

SHAPES = ((9, 14, 400), (9, 5, 500), (27, 14, 800), (6, 8, 60))  # LLMs, datasets, labels a pair
INTERACTIONS = (0.0, 0.3, 0.8)  # standard deviation in log-odds of what an LLM is better or worse at on one dataset


def imported(folder: Path, group: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """LABELS and QUERIES after an import of the folder; `group` says which queries belong together."""
    queries = pd.read_parquet(folder / "queries.parquet")
    queries = queries.assign(dataset=queries[group].astype(str)).drop(columns="split", errors="ignore")
    outcomes = pd.read_parquet(folder / "outcomes.parquet")[["query_id", "llm", "score"]]
    with tempfile.TemporaryDirectory() as place:
        given = Path(place) / "queries.parquet", Path(place) / "outcomes.parquet"
        queries.to_parquet(given[0])
        outcomes.to_parquet(given[1])
        data = Path(place) / "data"
        import_files(*given, Defaults("outcomes", "recorded"), data)
        parts = [tables.read(path, tables.LABELS) for path in sorted((data / "recorded").glob("*.labels.parquet"))]
        pool = tables.read(data / "queries.parquet", tables.QUERIES)
    return assemble.one_label_each(pd.concat(parts, ignore_index=True), pool), pool


def direct(folder: Path, group: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same two tables straight from the files, under the files' own ids: an import of hundreds of thousands of rows takes minutes."""
    queries = pd.read_parquet(folder / "queries.parquet").rename(columns={"answer": "reference"})
    outcomes = pd.read_parquet(folder / "outcomes.parquet", columns=["query_id", "llm", "score"])
    labels = outcomes.assign(query_id=outcomes["query_id"].astype(str))
    return labels, queries.assign(dataset=queries[group].astype(str), query_id=queries["query_id"].astype(str))


def clean(llms: int, datasets: int, labels: int, interaction: float, dice: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Mean scores and counts of a table in which nothing is broken."""
    odds_LS = dice.normal(0.4, 0.8, (llms, 1)) + dice.normal(0.0, 1.0, datasets) + dice.normal(0.0, interaction, (llms, datasets))
    counts_LS = np.full(odds_LS.shape, float(labels))
    return dice.binomial(labels, 1 / (1 + np.exp(-odds_LS))) / labels, counts_LS


def simulated(tables_each: int) -> str:
    """The share of clean tables with any alarm of `far below expected`, with its interval, for each shape and interaction."""
    lines = ["| LLMs x datasets x labels | interaction | tables with any alarm |", "|---|---|---|"]
    for llms, datasets, labels in SHAPES:
        for interaction in INTERACTIONS:
            dice = np.random.default_rng(0)
            alarms_N = np.array(
                [suspects.far_below(*clean(llms, datasets, labels, interaction, dice))[1].any() for _ in range(tables_each)]
            )
            share = metrics.interval(alarms_N.astype(float), resamples=1000)
            lines.append(f"| {llms} x {datasets} x {labels} | {interaction} | {share} |")
    return "\n".join(lines)


def main() -> None:
    """Reads the command line; prints every suspect and what it is one for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--group", default="dataset", help="column that says which queries belong together")
    parser.add_argument("--direct", action="store_true", help="read the files without importing them")
    parser.add_argument("--simulate", type=int, metavar="N", help="draw N clean tables of each shape instead of reading a folder")
    given = parser.parse_args()
    print(f"`{machine.command()}`\n")
    if given.simulate:
        print(simulated(given.simulate))
        return
    if given.folder is None:
        parser.error("name a folder, or --simulate N")
    try:
        found = suspects.find(*(direct if given.direct else imported)(given.folder, given.group))
    except RouteMoAError as exc:
        sys.exit(str(exc))
    named = found[found["suspect"] == 1].sort_values(["llm", "dataset"])
    unpredicted = int(found["expected"].isna().sum())
    print(f"{len(named)} suspects of {len(found)} pairs ({unpredicted} of them with too few LLMs or datasets for an expectation).\n")
    print("| LLM | dataset | why |\n|---|---|---|")
    for row in named.to_dict("records"):
        print(f"| {row['llm']} | {row['dataset']} | {row['evidence']} |")


if __name__ == "__main__":
    main()
