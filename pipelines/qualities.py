"""What each scorer reached on each query that judged it, kept so that one set's test and out-of-domain queries are read side by side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipelines import tables
from pipelines.comparison import OURS, Row
from pipelines.dataset import Dataset
from pipelines.errors import TableRefused
from pipelines.query_pool import IMPORTED
from scorer import metrics
from scorer.metrics import Interval
from scorer.near_matches import did_you_mean
from scorer.types import Floats

FILE = "qualities.parquet"
SPLITS = ("test", "ood")  # side by side, in this order
QUALITIES = pa.schema(
    [
        ("query_id", pa.string()),
        ("set", pa.string()),  # the name of the import that brought it, else its source
        ("dataset", pa.string()),
        ("split", pa.string()),
        ("scorer", pa.string()),
        ("quality", pa.float64()),  # label of its choice among the labelled LLMs
        ("promised", pa.float64()),  # ours: the score of that choice; null for others
    ]
)


@dataclass(frozen=True, slots=True)
class Reached:
    """A scorer on the queries of one split: quality, what ours gains over it on the same queries, and how many they are."""

    quality: Interval
    gain: Interval | None
    promised: float | None
    queries: int


def rows_of(split: str, data: Dataset, scores_QL: Floats, rows: Iterable[Row]) -> pd.DataFrame:
    """QUALITIES of one split. scores_QL: ours."""
    promised_Q = metrics.at_choice(scores_QL.astype(np.float64), metrics.choices(scores_QL, data.labels_QL))
    sets = [str(source).removeprefix(IMPORTED) for source in data.queries["source"]]
    base = data.queries[["query_id", "dataset"]].assign(set=sets, split=split)
    parts = [
        base.assign(scorer=row.name, quality=row.quality_Q, promised=promised_Q if row.name == OURS else np.nan)[QUALITIES.names]
        for row in rows
    ]
    every: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return every


def write(folder: Path, parts: Sequence[pd.DataFrame]) -> None:
    """Writes the rows of all splits."""
    tables.write(folder / FILE, pd.concat(parts, ignore_index=True), QUALITIES)


def read(folder: Path, name: str | None = None) -> pd.DataFrame:
    """The rows of the set or dataset `name`, None: of all. Raises TableRefused where there is none of that name."""
    if not (folder / FILE).exists():
        raise TableRefused(f"{folder / FILE}: is not there.", next_step="Run `dvc repro evaluate`; it writes what each scorer reached.")
    every = tables.read(folder / FILE, QUALITIES)
    if name is None:
        return every
    chosen: pd.DataFrame = every[(every["set"] == name) | (every["dataset"] == name)]
    if chosen.empty:
        known = sorted({*every["set"], *every["dataset"]})
        raise TableRefused(f"No judged query is of a set or dataset {name!r}.", next_step=did_you_mean(name, known))
    return chosen


def side_by_side(rows: pd.DataFrame, *, resamples: int) -> dict[str, dict[str, Reached]]:
    """What each scorer reached, ours first: scorer -> split -> figures, for the splits that have queries."""
    reached: dict[str, dict[str, Reached]] = {}
    for split in SPLITS:
        by_scorer = dict(_by_scorer(rows[rows["split"] == split]))
        for scorer, (quality_Q, promised_Q) in by_scorer.items():
            gain = metrics.difference(by_scorer[OURS][0], quality_Q, resamples=resamples) if scorer != OURS else None
            promised = float(np.nanmean(promised_Q)) if scorer == OURS else None
            one = Reached(metrics.interval(quality_Q, resamples=resamples), gain, promised, len(quality_Q))
            reached.setdefault(scorer, {})[split] = one
    return reached


def _by_scorer(rows: pd.DataFrame) -> Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Quality and promise of each scorer on the same queries in the same order."""
    ordered = rows.sort_values("query_id", kind="stable")
    return {
        str(scorer): (part["quality"].to_numpy(dtype=np.float64), part["promised"].to_numpy(dtype=np.float64))
        for scorer, part in ordered.groupby("scorer", sort=False)
    }
