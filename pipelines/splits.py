"""Which split a query is in: the one it came with, else by the hash of its id; near-duplicates stay together.

The split of a query does not move when others come or go, but for near-duplicates of it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines import near_duplicates, params, tables
from pipelines.errors import TableRefused

OUT_OF_DOMAIN = "ood"
FROM_TRAINING = ("train", "calibration", "validation", "test", OUT_OF_DOMAIN)  # each farther from training than the one before


def by_hash(query_id: str, shares: Mapping[str, float]) -> str:
    """The split of a query: a sha256 of its id, read as a number in [0, 1), falls into one of the shares laid end to end.

    Salted: LLMs are asked in the order of the plain hash, and what a costly one was asked first must not all be one split.
    """
    at = int.from_bytes(hashlib.sha256(f"split:{query_id}".encode()).digest()[:8]) / 2**64
    end = 0.0
    for split, share in shares.items():
        end += share
        if at < end:
            return split
    return next(reversed([split for split, share in shares.items() if share > 0]))  # shares that add up to a hair less than 1


def read_predefined(recorded: Path) -> dict[str, str]:
    """The splits that imported queries came with (NAME.splits.parquet in `recorded`), by query_id; of two, the farther from training.

    Raises TableRefused, also where one is no split: a test query under a name that nobody knows would be trained on.
    """
    splits: dict[str, str] = {}
    for path in sorted(recorded.glob("*.splits.parquet")):
        table = tables.read(path, tables.SPLITS)
        for query_id, split in zip(table["query_id"], table["split"], strict=True):
            if split not in FROM_TRAINING:
                raise TableRefused(
                    f"{path}: {query_id} has the split {split!r}; known are {', '.join(FROM_TRAINING)}.",
                    next_step=f"Correct the file of queries and import it again: --name {path.name.removesuffix('.splits.parquet')}.",
                )
            splits[query_id] = max(split, splits.get(query_id, split), key=FROM_TRAINING.index)
    return splits


def assign(queries: pd.DataFrame, settings: params.Assemble, predefined: Mapping[str, str]) -> pd.Series:
    """The split of each query, by query_id.

    A group of near-duplicates stays together: where the first of their ids goes by hash, or, where queries came with splits of their own,
    in the one that is farthest from training. A group with a query of an out-of-domain domain is out of domain as a whole.
    """
    shares = settings.shares.by_split
    groups = pd.Series(near_duplicates.groups(list(queries["text"])), index=queries.index)
    first: dict[int, str] = {}  # of a group's ids; pandas would ask each group for its minimum
    for group, query_id in zip(groups, queries["query_id"], strict=True):
        first[group] = min(query_id, first.get(group, query_id))
    frame = queries[["query_id"]].assign(
        first=groups.map(first),
        outside=queries["domain"].isin(settings.out_of_domain).groupby(groups).transform("any"),
        distance=queries["query_id"].map(dict(predefined)).map(FROM_TRAINING.index, na_action="ignore").groupby(groups).transform("max"),
    )
    taught = ("train", "calibration") if "validation" in predefined.values() else ("train", "calibration", "validation")
    chosen = [_split(row, shares, taught) for row in frame.to_dict("records")]
    return pd.Series(chosen, index=pd.Index(frame["query_id"]), name="split", dtype="str")


def _split(row: Mapping[Any, Any], shares: Mapping[str, float], taught: Sequence[str]) -> str:
    """Out of domain, predefined, or by hash. taught: what queries predefined for training are used for, by hash.

    That is calibration too; and validation, where no query came for it: published sets often have two splits only.
    """
    if row["outside"]:
        return OUT_OF_DOMAIN
    split = None if pd.isna(row["distance"]) else FROM_TRAINING[int(row["distance"])]
    if split == "train":
        whole = sum(shares[name] for name in taught)
        return by_hash(row["first"], {name: shares[name] / whole for name in taught})
    return split or by_hash(row["first"], shares)
