"""Which split a query is in: the one it came with, else by the hash of its id; near-duplicates stay together.

The split of a query does not move when others come or go, but for near-duplicates of it.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines import near_duplicates, params, tables

OUT_OF_DOMAIN = "ood"


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
    """The splits that imported queries came with (NAME.splits.parquet in `recorded`), by query_id. Raises TableRefused."""
    splits: dict[str, str] = {}
    for path in sorted(recorded.glob("*.splits.parquet")):
        table = tables.read(path, tables.SPLITS)
        splits |= dict(zip(table["query_id"], table["split"], strict=True))
    return splits


def assign(queries: pd.DataFrame, settings: params.Assemble, predefined: Mapping[str, str]) -> pd.Series:
    """The split of each query, by query_id.

    A group of near-duplicates stays together: where the first of their ids goes by hash, or, where queries came with splits of their own,
    in the one that is furthest from training. A group with a query of an out-of-domain domain is out of domain as a whole.
    """
    shares = settings.shares.by_split
    groups = pd.Series(near_duplicates.groups(list(queries["text"])), index=queries.index)
    distance = {split: rank for rank, split in enumerate(shares)}  # later in the list: further from training
    frame = queries[["query_id"]].assign(
        first=queries["query_id"].groupby(groups).transform("min"),
        outside=queries["domain"].isin(settings.out_of_domain).groupby(groups).transform("any"),
        distance=queries["query_id"].map(dict(predefined)).map(distance).groupby(groups).transform("max"),
    )
    chosen = [_split(row, shares) for row in frame.to_dict("records")]
    return pd.Series(chosen, index=pd.Index(frame["query_id"]), name="split", dtype="str")


def _split(row: Mapping[Any, Any], shares: Mapping[str, float]) -> str:
    """Out of domain, predefined, or by hash. Queries predefined for training are calibrated on, too."""
    if row["outside"]:
        return OUT_OF_DOMAIN
    split = None if pd.isna(row["distance"]) else list(shares)[int(row["distance"])]
    if split == "train":
        both = shares["train"] + shares["calibration"]
        return by_hash(row["first"], {name: shares[name] / both for name in ("train", "calibration")})
    return split or by_hash(row["first"], shares)
