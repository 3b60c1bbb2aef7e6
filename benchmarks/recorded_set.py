"""Recorded outcomes, (query, LLM) -> score, as a dataset split for training, choosing and testing.

A folder holds queries.parquet (query_id, dataset, query; split where it has its own) and outcomes.parquet (query_id, llm, score;
input_tokens, output_tokens, cost where known): docs/results/data.md. What of it is read, a `benchmarks.set_file.Reading` says.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.set_file import Reading, prices_of
from mixture.price import Price
from pipelines import dataset, embeddings, params
from pipelines.dataset import Dataset, RosterLLM
from pipelines.errors import TableRefused
from pipelines.imports import price_list
from pipelines.project import Project
from scorer.near_matches import near_matches
from scorer.types import Floats

SHARES = {"train": 0.64, "calibration": 0.06, "validation": 0.10, "test": 0.20}  # where the folder's own splits are not used
FEWEST_LABELS = 20  # of an LLM of the default pool, to be compared
OWN_SPLITS = ("test", "val", "train")  # a text that is in several belongs to the first
TYPICAL_OUTPUT = 200  # tokens of an answer that nobody counted
CHARACTERS_A_TOKEN = 4  # where tokens were not counted
NEEDED = {"queries": ("query_id", "query"), "outcomes": ("query_id", "llm", "score")}
COUNTED = ("input_tokens", "output_tokens", "cost")  # columns that outcomes may have
HASHES = 2**32


def embedded(queries: pd.DataFrame) -> Floats:
    """The queries' texts [Q, D] as the encoder of params.yaml sees them (cached)."""
    project = Project(Path())
    return embeddings.trained_on(embeddings.load_encoder(params.load(project.params).train), queries["text"].tolist(), project.embeddings)


def read(folder: Path, reading: Reading | None = None) -> Dataset:
    """The outcomes as [Q, L] labels, NaN where nobody knows; queries with equal texts count once; latencies are unknown.

    cost_QL: as recorded; else tokens at the listed prices; else unknown. A folder that the stage `assemble` wrote is read as it is.
    Raises TableRefused and PriceUnknown, which say what is missing; and where the folder has splits other than train, val and test,
    and none is named to keep.
    """
    reading = reading or Reading()
    if (folder / "roster.json").is_file():
        return _assembled(folder, reading)
    queries = _queries(folder, reading)
    outcomes = _table(folder, "outcomes").astype({"query_id": str, "llm": str})
    llms = _llms(folder, reading, outcomes)
    listed = prices_of(llms, price_list.read(reading.prices)) if reading.prices else None
    grids = {
        name: outcomes.pivot_table(index="query_id", columns="llm", values=name, dropna=False)
        .reindex(index=queries["query_id"], columns=list(llms))
        .to_numpy(dtype=np.float64)
        for name in ("score", *COUNTED)
    }
    costs_QL = grids["cost"]
    if listed is not None:
        costs_QL = np.where(np.isnan(costs_QL), _paid(grids, queries, listed, reading.output_tokens), costs_QL)
    prices = listed or [Price(0.0, 0.0)] * len(llms)
    roster = tuple(RosterLLM(llm, llm, "active", price.input, price.output) for llm, price in zip(llms, prices, strict=True))
    unknown_QL = np.full(costs_QL.shape, np.nan)
    cut = own_splits if "split" in queries and reading.keep is None else hash_splits
    return _comparable(Dataset(queries, roster, grids["score"], costs_QL, unknown_QL, cut(queries)), fewest_labels=1)


def _queries(folder: Path, reading: Reading) -> pd.DataFrame:
    """The queries that are kept, by id, each text once."""
    queries = _table(folder, "queries").rename(columns={"query": "text"})
    queries["query_id"] = queries["query_id"].astype(str)
    queries["dataset"] = _column(queries, reading.group, "group", folder).astype(str)
    if reading.keep is not None:
        queries = queries[_column(queries, "split", "keep", folder) == reading.keep]
        if not len(queries):
            raise TableRefused(f"{folder}: no query in the split {reading.keep!r}.", next_step="Name one of its splits (keep).")
    elif "split" in queries:
        if set(queries["split"]) != set(OWN_SPLITS):
            raise TableRefused(
                f"{folder}: splits {sorted(set(queries['split']))}, not {sorted(OWN_SPLITS)}.",
                next_step="Name one to keep (`keep: train` in a file for --set), or drop the column to cut all queries by hash.",
            )
        queries = queries.sort_values("split", key=lambda split: split.map(OWN_SPLITS.index), kind="stable")
    return queries.drop_duplicates("text").sort_values("query_id", ignore_index=True)


def tokens(queries: pd.DataFrame) -> NDArray[np.float64]:
    """About how many tokens each query's text has."""
    return np.asarray(queries["text"].str.len(), dtype=np.float64) / CHARACTERS_A_TOKEN


def output_tokens(folder: Path, data: Dataset, reading: Reading) -> NDArray[np.float64]:
    """Tokens of each answer [Q, L] as recorded or paid for, else what `reading` assumes, else TYPICAL_OUTPUT."""
    assumed = TYPICAL_OUTPUT if reading.output_tokens is None else reading.output_tokens
    if (folder / "roster.json").is_file():
        input_L, output_L = (np.array([getattr(llm, side) for llm in data.llms]) for side in ("input_price", "output_price"))
        beyond_QL = 1e6 * data.cost_QL - tokens(data.queries)[:, None] * input_L
        return np.where(np.isnan(beyond_QL), assumed, np.maximum(1.0, beyond_QL / output_L))
    outcomes = _table(folder, "outcomes").astype({"query_id": str, "llm": str})
    counted = outcomes.pivot_table(index="query_id", columns="llm", values="output_tokens", dropna=False)
    counted_QL = counted.reindex(index=data.queries["query_id"], columns=list(data.roster)).to_numpy(dtype=np.float64)
    return np.where(np.isnan(counted_QL), assumed, counted_QL)


def _paid(
    grids: dict[str, NDArray[np.float64]], queries: pd.DataFrame, prices: Sequence[Price], output_tokens: float | None
) -> NDArray[np.float64]:
    """USD of each answer [Q, L] at the listed prices."""
    input_QL = np.where(np.isnan(grids["input_tokens"]), tokens(queries)[:, None], grids["input_tokens"])
    assumed = np.nan if output_tokens is None else output_tokens
    output_QL = np.where(np.isnan(grids["output_tokens"]), assumed, grids["output_tokens"])
    input_L, output_L = (np.array([getattr(price, side) for price in prices]) for side in ("input", "output"))
    return np.asarray((input_QL * input_L + output_QL * output_L) / 1e6)


def first_by_hash(data: Dataset, most: int | None) -> Dataset:
    """About `most` of its queries: of each split its share of them, the first by the hash of their ids; all where that is None."""
    if most is None or most >= len(data.queries):
        return data
    places = pd.Series(_places(data.queries)).groupby(data.splits_Q).rank(method="first", pct=True)
    return data.where(places.to_numpy() <= most / len(data.queries))


def own_splits(queries: pd.DataFrame) -> NDArray[np.str_]:
    """The folder's train and test; half of its val calibrates, half chooses."""
    halves = np.where(_places(queries) < 0.5, "calibration", "validation")
    return np.where(queries["split"] == "val", halves, queries["split"].to_numpy()).astype(np.str_)


def hash_splits(queries: pd.DataFrame) -> NDArray[np.str_]:
    """By the hash of the query id, in the proportions of SHARES."""
    edges = np.cumsum(list(SHARES.values()))[:-1]
    return np.asarray(list(SHARES), dtype=np.str_)[np.searchsorted(edges, _places(queries), side="right")]


def _places(queries: pd.DataFrame) -> NDArray[np.float64]:
    """Each query's place in [0, 1) by the hash of its id: the same on every machine."""
    hashes = [hashlib.sha256(f"benchmark {query_id}".encode()).hexdigest()[:8] for query_id in queries["query_id"]]
    return np.array([int(digits, 16) / HASHES for digits in hashes])


def _assembled(folder: Path, reading: Reading) -> Dataset:
    """The dataset of the default pool: its own splits (out-of-domain queries apart), its recorded costs."""
    if reading.model_fields_set - {"group"}:
        raise TableRefused(f"{folder}: an assembled dataset is read whole.", next_step="Name no more than `group` in the file for --set.")
    data = dataset.load(folder).take(*SHARES)
    queries = data.queries.assign(dataset=_column(data.queries, reading.group, "group", folder).astype(str))
    data = Dataset(queries, data.llms, data.labels_QL, data.cost_QL, data.latency_QL, data.splits_Q)
    return _comparable(data, FEWEST_LABELS)


def _comparable(data: Dataset, fewest_labels: int) -> Dataset:
    """Queries with a label, LLMs with at least so many training labels, every part filled. Raises TableRefused."""
    data = data.columns((~np.isnan(data.take("train").labels_QL)).sum(axis=0) >= fewest_labels)
    data = data.where(np.any(~np.isnan(data.labels_QL), axis=1))
    counts = {name: int((data.splits_Q == name).sum()) for name in SHARES}
    if not min(counts.values()):
        raise TableRefused(f"too few labelled queries: {counts}.", next_step="Record more answers, so that each part has some.")
    return data


def _llms(folder: Path, reading: Reading, outcomes: pd.DataFrame) -> tuple[str, ...]:
    counts = outcomes.groupby("llm")["score"].count()
    if unknown := [llm for llm in (*reading.llms, *reading.without) if llm not in counts.index]:
        near = near_matches(unknown[0], counts.index) or list(counts.index)
        raise TableRefused(f"{folder}: no outcome of an LLM called {unknown[0]!r}.", next_step=f"It has {', '.join(near)}.")
    fewest = counts.max() if reading.complete else 1
    return tuple(llm for llm in reading.llms or sorted(counts.index) if counts[llm] >= fewest and llm not in reading.without)


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
    table = pd.read_parquet(path, columns=[*NEEDED[name], *(column for column in COUNTED if column in there)])
    return table.assign(**{column: np.nan for column in COUNTED if column not in there}).astype(dict.fromkeys(("score", *COUNTED), float))


def _column(queries: pd.DataFrame, name: str, key: str, folder: Path) -> "pd.Series[str]":
    if name not in queries:
        raise TableRefused(
            f"{folder}: queries have no column {name!r}.",
            next_step=f"Name one with `{key}` in the file for --set: {', '.join(queries.columns)}.",
        )
    return queries[name]
