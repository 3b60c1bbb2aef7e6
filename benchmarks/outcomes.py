"""Recorded outcomes, (query, LLM) -> score, as a dataset split for training, choosing and testing."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks import prices
from mixture.llm import Price
from pipelines import dataset
from pipelines.dataset import Dataset, RosterLLM
from pipelines.errors import TableRefused
from pipelines.train import columns
from registry.near_matches import near_matches

SHARES = {"train": 0.64, "calibration": 0.06, "validation": 0.10, "test": 0.20}  # where the folder's own splits are not used
MOST_HASH = 2**32
OWN = ("test", "val", "train")  # a text that is in several belongs to the first
CHARACTERS = 4  # a token, where tokens were not counted
NEEDED = {"queries": ("query_id", "query"), "outcomes": ("query_id", "llm", "score")}
COUNTED = ("input_tokens", "output_tokens", "cost")  # columns that outcomes may have


@dataclass(frozen=True, slots=True)
class Recorded:
    """What to read: a folder with queries.parquet and outcomes.parquet, some of its LLMs (none named: all), of which of its splits.

    group: the column that says which queries belong together (best per group is told it; leaving one out leaves it out).
    keep: one of the folder's own splits, cut anew by hash; None takes its train, val and test, or cuts by hash where it has no splits.
    complete: only LLMs with an outcome for every query. without: LLMs left out.
    listed: prices by LLM; output_tokens: how long answers are taken to be where nobody counted.
    """

    folder: Path
    llms: tuple[str, ...] = ()
    group: str = "dataset"
    keep: str | None = None
    most: int | None = None
    complete: bool = False
    without: tuple[str, ...] = ()
    listed: dict[str, prices.Listed] | None = None
    output_tokens: float | None = None


def read(wanted: Recorded) -> Dataset:
    """The outcomes as [Q, L] labels, NaN where nobody knows; queries with equal texts count once; latencies are unknown.

    cost_QL: as recorded; else tokens at the listed prices; else unknown. A folder that the stage `assemble` wrote is read as it is.
    Raises TableRefused and PriceUnknown, which say what is missing; and where the folder has splits other than train, val and test,
    and none is named to keep.
    """
    if (wanted.folder / "roster.json").is_file():
        return _assembled(wanted)
    queries = _table(wanted.folder, "queries").rename(columns={"query": "text"})
    queries["query_id"] = queries["query_id"].astype(str)
    queries["dataset"] = _column(queries, wanted.group, "--group", wanted.folder).astype(str)
    if wanted.keep is not None:
        queries = queries[_column(queries, "split", "--keep", wanted.folder) == wanted.keep]
        if not len(queries):
            raise TableRefused(f"{wanted.folder}: no query in the split {wanted.keep!r}.", next_step="Name one of its splits (--keep).")
    own = wanted.keep is None and "split" in queries
    if own:
        if set(queries["split"]) != set(OWN):
            found = f"{wanted.folder}: splits {sorted(set(queries['split']))}, not {sorted(OWN)}."
            raise TableRefused(found, next_step="Name one to keep (--keep), or drop the column to cut all queries by hash.")
        queries = queries.sort_values("split", key=lambda split: split.map(OWN.index), kind="stable")
    queries = queries.drop_duplicates("text").sort_values("query_id", ignore_index=True)
    if wanted.most is not None:
        queries = queries.sample(min(wanted.most, len(queries)), random_state=0).sort_values("query_id", ignore_index=True)
    outcomes = _table(wanted.folder, "outcomes").astype({"query_id": str, "llm": str})
    names = _names(wanted, outcomes)
    priced = prices.of(names, wanted.listed) if wanted.listed is not None else None
    grids = {
        name: outcomes.pivot_table(index="query_id", columns="llm", values=name, dropna=False)
        .reindex(index=queries["query_id"], columns=list(names))
        .to_numpy(dtype=np.float64)
        for name in ("score", *COUNTED)
    }
    roster = tuple(
        RosterLLM(name, name, "active", *((priced[place].input, priced[place].output) if priced else (0.0, 0.0)))
        for place, name in enumerate(names)
    )
    unknown_QL = np.full(grids["score"].shape, np.nan)
    cost_QL = (
        grids["cost"]
        if priced is None
        else np.where(np.isnan(grids["cost"]), _paid(grids, queries, priced, wanted.output_tokens), grids["cost"])
    )
    splits_Q = own_splits(queries) if own else hash_splits(queries)
    data = Dataset(queries, roster, grids["score"], cost_QL, unknown_QL, unknown_QL, splits_Q)
    return _judged(data, 1)


def tokens(queries: pd.DataFrame) -> NDArray[np.float64]:
    """About how many tokens each query's text has."""
    return np.asarray(queries["text"].str.len(), dtype=np.float64) / CHARACTERS


def _paid(
    grids: dict[str, NDArray[np.float64]], queries: pd.DataFrame, priced: tuple[Price, ...], output_tokens: float | None
) -> NDArray[np.float64]:
    """USD of each answer: tokens as recorded, else by the query's length and the stated answer length, at the listed prices."""
    input_QL = np.where(np.isnan(grids["input_tokens"]), tokens(queries)[:, None], grids["input_tokens"])
    stated = np.nan if output_tokens is None else output_tokens
    output_QL = np.where(np.isnan(grids["output_tokens"]), stated, grids["output_tokens"])
    input_L, output_L = (np.array([getattr(price, side) for price in priced]) for side in ("input", "output"))
    return np.asarray((input_QL * input_L + output_QL * output_L) / 1e6)


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


def _assembled(wanted: Recorded) -> Dataset:
    """The dataset of the default pool: its own splits (out-of-domain queries apart), its recorded costs."""
    if wanted.llms or wanted.keep or wanted.most or wanted.listed or wanted.complete or wanted.without:
        raise TableRefused(
            f"{wanted.folder}: an assembled dataset is read whole.", next_step="Give it only --group, --seeds, --set and --out."
        )
    data = dataset.load(wanted.folder).take(*SHARES)
    queries = data.queries.assign(dataset=_column(data.queries, wanted.group, "--group", wanted.folder).astype(str))
    data = Dataset(queries, data.llms, data.labels_QL, data.cost_QL, data.latency_QL, data.logprob_QL, data.splits_Q)
    return _judged(data, 20)


def _judged(data: Dataset, least: int) -> Dataset:
    """Queries with a label, LLMs with at least `least` training labels, every part filled. Raises TableRefused."""
    keep_L = (~np.isnan(data.take("train").labels_QL)).sum(axis=0) >= least
    data = columns(data, keep_L)
    data = data.where(np.any(~np.isnan(data.labels_QL), axis=1))
    counts = {name: int((data.splits_Q == name).sum()) for name in SHARES}
    if not min(counts.values()):
        raise TableRefused(f"too few labelled queries: {counts}.", next_step="Record more answers, so that each part has some.")
    return data


def _names(wanted: Recorded, outcomes: pd.DataFrame) -> tuple[str, ...]:
    counts = outcomes.groupby("llm")["score"].count()
    if unknown := [name for name in (*wanted.llms, *wanted.without) if name not in counts.index]:
        near = near_matches(unknown[0], counts.index) or list(counts.index)
        raise TableRefused(f"{wanted.folder}: no outcome of an LLM called {unknown[0]!r}.", next_step=f"It has {', '.join(near)}.")
    names = wanted.llms or tuple(sorted(counts.index))
    least = counts.max() if wanted.complete else 1
    return tuple(name for name in names if counts[name] >= least and name not in wanted.without)


def _table(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.parquet"
    try:
        there = pq.read_schema(path).names
    except (OSError, pa.ArrowException) as exc:
        raise TableRefused(
            f"{path}: cannot be read ({exc}).", next_step="FOLDER must hold queries.parquet and outcomes.parquet, or be build/dataset."
        ) from exc
    if missing := [column for column in NEEDED[name] if column not in there]:
        raise TableRefused(f"{path}: no column {missing[0]!r}, only {', '.join(there)}.", next_step=f"It needs {', '.join(NEEDED[name])}.")
    if name == "queries":
        return pd.read_parquet(path)
    found = pd.read_parquet(path, columns=[*NEEDED[name], *(column for column in COUNTED if column in there)])
    return found.assign(**{column: np.nan for column in COUNTED if column not in there}).astype(dict.fromkeys(("score", *COUNTED), float))


def _column(queries: pd.DataFrame, name: str, option: str, folder: Path) -> "pd.Series[str]":
    if name not in queries:
        raise TableRefused(
            f"{folder}: queries have no column {name!r}.", next_step=f"Name one with {option}: {', '.join(queries.columns)}."
        )
    return queries[name]
