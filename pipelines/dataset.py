"""The assembled dataset (build/dataset) as training and evaluation see it: one row a query, one column an LLM of the roster."""

import json
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from mixture.llm import Trained
from pipelines import tables
from pipelines.errors import TableRefused

WEIGHTED = tables.LABELS.append(pa.field("weight", pa.float64()))  # in (0, 1]: how much a label counts in training
OWN_IDS_FILE = "own_ids.parquet"
ANSWERS_META = pa.schema(
    [
        ("query_id", pa.string()),
        ("llm", pa.string()),
        ("input_tokens", pa.float64()),  # mean over samples, so not whole numbers
        ("output_tokens", pa.float64()),
        ("cost_usd", pa.float64()),  # at the pool's current prices; null where the tokens or the price are unknown
        ("latency_s", pa.float64()),
        ("mean_logprob", pa.float64()),
        ("final_answer", pa.string()),  # the first sample's, in normal form; null for prose (`mixture.choose.final_answers`)
    ]
)


@dataclass(frozen=True, slots=True)
class RosterLLM:
    """One column of the dataset, as the pool had it when it was assembled.

    Prices are USD per million tokens, infinite where unknown (null in the file); `trained` jointly or row; `family`: equal for LLMs on the
    same weights; `served`: has an endpoint.
    """

    id: str
    name: str
    status: str
    input_price: float
    output_price: float
    trained: Trained = "jointly"
    family: str = ""
    served: bool = True


@dataclass(frozen=True, slots=True)
class Dataset:
    """Q queries by L LLMs. A label, cost or latency nobody knows is NaN: never a zero.

    queries: the QUERIES columns, sorted by query_id, index 0..Q-1.
    labels_QL: reward in [0, 1]. cost_QL: USD of the answer at current prices. latency_QL: seconds.
    splits_Q: train, calibration, validation, test or ood.
    weights_QL: how much each label counts in training, in (0, 1]; None: all in full.
    """

    queries: pd.DataFrame
    llms: tuple[RosterLLM, ...]
    labels_QL: NDArray[np.float64]
    cost_QL: NDArray[np.float64]
    latency_QL: NDArray[np.float64]
    splits_Q: NDArray[np.str_]
    weights_QL: NDArray[np.float64] | None = None

    @property
    def roster(self) -> tuple[str, ...]:
        """LLM ids in the order of the columns."""
        return tuple(llm.id for llm in self.llms)

    def take(self, *splits: str) -> "Dataset":
        """Only the queries of these splits; the roster stays whole."""
        return self.where(np.isin(self.splits_Q, splits))

    def where(self, keep_Q: NDArray[np.bool_]) -> "Dataset":
        """Only the queries where `keep_Q` is true."""
        grids: dict[str, Any] = {name: grid_QL[keep_Q] for name, grid_QL in self._grids().items()}
        return replace(self, queries=self.queries[keep_Q].reset_index(drop=True), splits_Q=self.splits_Q[keep_Q], **grids)

    def labelled(self, at_least: int = 1) -> "Dataset":
        """Only the queries with a label of `at_least` so many LLMs."""
        return self.where(np.sum(~np.isnan(self.labels_QL), axis=1) >= at_least)

    def columns(self, keep_L: NDArray[np.bool_]) -> "Dataset":
        """Only the LLMs where `keep_L` is true, in their order."""
        llms = tuple(llm for llm, keep in zip(self.llms, keep_L, strict=True) if keep)
        grids: dict[str, Any] = {name: grid_QL[:, keep_L] for name, grid_QL in self._grids().items()}
        return replace(self, llms=llms, **grids)

    def beside(self, other: "Dataset") -> "Dataset":
        """The LLMs of this dataset, then those of `other`, which has the same queries."""
        more = other._grids()
        grids: dict[str, Any] = {name: np.column_stack([grid_QL, more[name]]) for name, grid_QL in self._grids().items()}
        return replace(self, llms=self.llms + other.llms, **grids)

    def _grids(self) -> dict[str, Any]:
        """The arrays [Q, L], by name."""
        grids = {name: getattr(self, name) for name in ("labels_QL", "cost_QL", "latency_QL", "weights_QL")}
        return {name: grid_QL for name, grid_QL in grids.items() if grid_QL is not None}


def write_roster(path: Path, llms: tuple[RosterLLM, ...]) -> None:
    """roster.json: the LLMs in column order."""
    entries = [{field.name: _or_null(getattr(llm, field.name)) for field in fields(llm)} for llm in llms]
    path.write_text(json.dumps({"llms": entries}, indent=2) + "\n", encoding="utf-8")


def read_roster(path: Path) -> tuple[RosterLLM, ...]:
    """The LLMs of roster.json. Raises TableRefused."""
    try:
        return tuple(RosterLLM(**_PRICES_UNKNOWN | _known(entry)) for entry in json.loads(path.read_text(encoding="utf-8"))["llms"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise TableRefused(f"{path}: not a roster ({exc}).", next_step="Run `dvc repro assemble`.") from exc


_PRICES_UNKNOWN = {"input_price": math.inf, "output_price": math.inf}


def _or_null(value: Any) -> Any:
    return None if value == math.inf else value


def _known(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value is not None}


def load(folder: Path) -> Dataset:
    """The dataset that `pipelines.assemble` wrote. Raises TableRefused where a file is missing or names unknown queries or LLMs."""
    llms = read_roster(folder / "roster.json")
    queries = tables.read(folder / "queries.parquet", tables.QUERIES).sort_values("query_id", ignore_index=True)
    labels = tables.read(folder / "labels.parquet", WEIGHTED).fillna({"weight": 1.0})  # written before there were weights: all in full
    meta = tables.read(folder / "answers_meta.parquet", ANSWERS_META)
    splits = tables.read(folder / "splits.parquet", tables.SPLITS)
    rows = pd.Index(queries["query_id"])
    columns = pd.Index([llm.id for llm in llms])
    if set(splits["query_id"]) != set(rows) or not splits["query_id"].is_unique:
        raise TableRefused(f"{folder}/splits.parquet does not name each query once.", next_step="Run `dvc repro assemble`.")
    return Dataset(
        queries=queries,
        llms=llms,
        labels_QL=_grid(labels, "score", rows, columns),
        cost_QL=_grid(meta, "cost_usd", rows, columns),
        latency_QL=_grid(meta, "latency_s", rows, columns),
        splits_Q=splits.set_index("query_id")["split"].reindex(rows).to_numpy(dtype=np.str_),
        weights_QL=np.nan_to_num(_grid(labels, "weight", rows, columns), nan=1.0),
    )


def own_ids(folder: Path) -> dict[str, list[str]]:
    """query_id -> what its owners call it, for queries that were imported with an id. Raises TableRefused."""
    called: dict[str, list[str]] = {}
    for row in tables.read_if_there(folder / OWN_IDS_FILE, tables.OWN_IDS).to_dict("records"):
        called.setdefault(row["query_id"], []).append(row["own_id"])
    return called


def final_answers(folder: Path) -> dict[tuple[str, str], tuple[str | None, float | None]]:
    """(query_id, llm) -> the final answer (`mixture.choose.final_answers.short_answer`) and its tokens' mean log-probability or None.

    Raises TableRefused.
    """
    meta = tables.read(folder / "answers_meta.parquet", ANSWERS_META)
    columns = (meta[name].astype(object).where(meta[name].notna(), None) for name in ("final_answer", "mean_logprob"))
    return dict(zip(zip(meta["query_id"], meta["llm"], strict=True), zip(*columns, strict=True), strict=True))


def _grid(long: pd.DataFrame, value: str, rows: "pd.Index[Any]", columns: "pd.Index[Any]") -> NDArray[np.float64]:
    """`value` of a long (query_id, llm) table laid out as [Q, L], NaN where there is no row."""
    at_row, at_column = rows.get_indexer(pd.Index(long["query_id"])), columns.get_indexer(pd.Index(long["llm"]))
    if (at_row < 0).any() or (at_column < 0).any():
        row = long[(at_row < 0) | (at_column < 0)].iloc[0]
        raise TableRefused(
            f"{row['query_id']} / {row['llm']}: a query or LLM the dataset does not have.", next_step="Run `dvc repro assemble`."
        )
    if long.duplicated(["query_id", "llm"]).any():
        row = long[long.duplicated(["query_id", "llm"])].iloc[0]
        raise TableRefused(f"{row['query_id']} / {row['llm']} has two rows of {value}.", next_step="Run `dvc repro assemble`.")
    grid_QL = np.full((len(rows), len(columns)), np.nan)
    grid_QL[at_row, at_column] = long[value].to_numpy(dtype=np.float64)
    return grid_QL
