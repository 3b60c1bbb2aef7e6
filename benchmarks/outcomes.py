"""Recorded outcomes, (query, LLM) -> score, as a dataset split for training, choosing and testing."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.dataset import Dataset, RosterLLM

SHARES = {"train": 0.64, "calibration": 0.06, "validation": 0.10, "test": 0.20}  # where the folder's own splits are not used
MOST_HASH = 2**32
OWN = ("test", "val", "train")  # a text that is in several belongs to the first


@dataclass(frozen=True, slots=True)
class Recorded:
    """What to read: a folder with queries.parquet and outcomes.parquet, some of its LLMs (none named: all), of which of its splits.

    group: the column that says which queries belong together (best per group is told it; leaving one out leaves it out).
    keep: one of the folder's own splits, cut anew by hash; None takes its train, val and test, or cuts by hash where it has no splits.
    """

    folder: Path
    llms: tuple[str, ...] = ()
    group: str = "dataset"
    keep: str | None = None
    most: int | None = None


def read(wanted: Recorded) -> Dataset:
    """The outcomes as [Q, L] labels, NaN where nobody knows; queries with equal texts count once; costs and latencies are unknown.

    Raises ValueError where the folder has splits other than train, val and test, and none is named to keep.
    """
    queries = pd.read_parquet(wanted.folder / "queries.parquet").rename(columns={"query": "text"})
    queries["query_id"] = queries["query_id"].astype(str)
    queries["dataset"] = queries[wanted.group].astype(str)
    if wanted.keep is not None:
        queries = queries[queries["split"] == wanted.keep]
    own = wanted.keep is None and "split" in queries
    if own:
        if set(queries["split"]) != set(OWN):
            raise ValueError(f"{wanted.folder}: splits {sorted(set(queries['split']))}, not {sorted(OWN)}; name one to keep (--keep).")
        queries = queries.sort_values("split", key=lambda split: split.map(OWN.index), kind="stable")
    queries = queries.drop_duplicates("text").sort_values("query_id", ignore_index=True)
    if wanted.most is not None:
        queries = queries.sample(min(wanted.most, len(queries)), random_state=0).sort_values("query_id", ignore_index=True)
    outcomes = pd.read_parquet(wanted.folder / "outcomes.parquet", columns=["query_id", "llm", "score"])
    outcomes = outcomes.astype({"query_id": str, "llm": str})
    names = wanted.llms or tuple(sorted(outcomes["llm"].unique()))
    grid = outcomes.pivot_table(index="query_id", columns="llm", values="score").reindex(index=queries["query_id"], columns=list(names))
    labels_QL = grid.to_numpy(dtype=np.float64)
    unknown_QL = np.full(labels_QL.shape, np.nan)
    roster = tuple(RosterLLM(name, name, "active", 0.0, 0.0) for name in names)
    splits_Q = own_splits(queries) if own else hash_splits(queries)
    return Dataset(queries, roster, labels_QL, unknown_QL, unknown_QL, unknown_QL, splits_Q)


def own_splits(queries: pd.DataFrame) -> NDArray[np.str_]:
    """The folder's train and test; half of its val calibrates, half chooses."""
    halves = np.where(position(queries) < 0.5, "calibration", "validation")
    return np.where(queries["split"] == "val", halves, queries["split"].to_numpy()).astype(np.str_)


def hash_splits(queries: pd.DataFrame) -> NDArray[np.str_]:
    """By the hash of the query id, in the proportions of SHARES."""
    edges = np.cumsum(list(SHARES.values()))[:-1]
    return np.asarray(list(SHARES), dtype=np.str_)[np.searchsorted(edges, position(queries), side="right")]


def position(queries: pd.DataFrame) -> NDArray[np.float64]:
    """Each query's place in [0, 1) by the hash of its id: the same on every machine."""
    hashes = [hashlib.sha256(f"benchmark {query_id}".encode()).hexdigest()[:8] for query_id in queries["query_id"]]
    return np.array([int(digits, 16) / MOST_HASH for digits in hashes])
