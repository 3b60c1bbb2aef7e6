"""Puts queries and the labels of the pool's LLMs together, split to train and to judge: `python -m pipelines.assemble` -> build/dataset/.

A query's split follows from its id (with near-duplicates, from the first of their ids): it does not move when others come or go.
"""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.progress import track

from mixture.choose.final_answers import short_answer
from mixture.llm import LLM
from pipelines import near_duplicates, params, tables
from pipelines.dataset import ANSWERS_META, SPLITS, WEIGHTED, RosterLLM, write_roster
from pipelines.errors import PipelineError
from pipelines.validation import suspects
from registry import pool
from registry.settings import Settings
from scorer.errors import RouteMoAError

QUERIES = Path("data/queries.parquet")
ANSWERS = Path("build/answers")
LABELS = Path("build/labels")
RECORDED = Path("data/recorded")
DATASET = Path("build/dataset")
SUSPECTS = Path("build/validation/suspects.parquet")
OUT_OF_DOMAIN = "ood"


@dataclass(frozen=True, slots=True)
class Assembled:
    """The tables of build/dataset and the LLMs left out of it for want of any label."""

    queries: pd.DataFrame
    labels: pd.DataFrame
    answers: pd.DataFrame
    splits: pd.DataFrame
    roster: tuple[RosterLLM, ...]
    unlabelled: tuple[str, ...]


def split_of(query_id: str, shares: Mapping[str, float]) -> str:
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


def splits(queries: pd.DataFrame, settings: params.Assemble, given: Mapping[str, str] | None = None) -> pd.Series:
    """The split of each query, by query_id.

    A group of near-duplicates stays together: where its first id goes by hash, or, where queries came with splits of their own (`given`),
    in the one that is furthest from training. A group that touches an out-of-domain domain is out of domain as a whole.
    """
    shares = settings.shares.by_split
    groups = pd.Series(near_duplicates.groups(list(queries["text"])), index=queries.index)
    brought = (
        queries["query_id"].map(dict(given or {})).map({split: rank for rank, split in enumerate(shares)})
    )  # later: further from training
    frame = queries[["query_id"]].assign(
        first=queries["query_id"].groupby(groups).transform("min"),
        outside=queries["domain"].isin(settings.out_of_domain).groupby(groups).transform("any"),
        brought=brought.groupby(groups).transform("max"),
    )
    chosen = [_split(row, shares) for row in frame.to_dict("records")]
    return pd.Series(chosen, index=pd.Index(frame["query_id"]), name="split", dtype="str")


def _split(row: Mapping[Any, Any], shares: Mapping[str, float]) -> str:
    """The split of a query: out of domain, the one it came with, or by hash. Who comes for training is calibrated on, too."""
    if row["outside"]:
        return OUT_OF_DOMAIN
    order = list(shares)
    brought = None if pd.isna(row["brought"]) else order[int(row["brought"])]
    if brought == "train":
        whole = shares["train"] + shares["calibration"]
        return split_of(row["first"], {name: shares[name] / whole for name in ("train", "calibration")})
    return brought or split_of(row["first"], shares)


def given_splits(recorded: Path) -> dict[str, str]:
    """The splits that imported queries came with (data/recorded/NAME.splits.parquet), by query_id."""
    found: dict[str, str] = {}
    for path in sorted(recorded.glob("*.splits.parquet")):
        table = tables.read(path, SPLITS)
        found |= dict(zip(table["query_id"], table["split"], strict=True))
    return found


def one_label_each(labels: pd.DataFrame, queries: pd.DataFrame) -> pd.DataFrame:
    """One label a (query, LLM): that of the grader the query names, else of the first by name."""
    named = labels["query_id"].map(queries.set_index("query_id")["grader"])
    ranked = labels.assign(other=labels["grader"] != named).sort_values(["query_id", "llm", "other", "grader"])
    chosen: pd.DataFrame = ranked.drop_duplicates(["query_id", "llm"])[tables.LABELS.names]
    return chosen.reset_index(drop=True)


def weighted(labels: pd.DataFrame, reliability: Mapping[params.Opinion, float]) -> pd.DataFrame:
    """WEIGHTED: each label with how much its grader's labels count (`label.reliability`); in full where the grader is not named there."""
    return labels.assign(weight=labels["grader"].map(dict(reliability)).fillna(1.0).astype("float64"))


def without(labels: pd.DataFrame, queries: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """`labels` but for those of the (LLM, dataset) pairs that validation calls suspect."""
    datasets = labels["query_id"].map(queries.set_index("query_id")["dataset"])
    unread = set(zip(pairs["llm"], pairs["dataset"], strict=True))
    keep = [pair not in unread for pair in zip(labels["llm"], datasets, strict=True)]
    kept: pd.DataFrame = labels[keep]
    return kept.reset_index(drop=True)


def priced(answers: pd.DataFrame, llm: LLM) -> pd.DataFrame:
    """ANSWERS_META of one LLM: means over its samples, at the pool's current price, and what the first says; failed calls left out."""
    usable = answers[answers["error"].isna()]
    first = usable.sort_values("sample").drop_duplicates("query_id").set_index("query_id")["text"].fillna("")
    means = usable.groupby("query_id", as_index=False)[["input_tokens", "output_tokens", "latency_s", "mean_logprob"]].mean()
    cost = (means["input_tokens"] * llm.price.input + means["output_tokens"] * llm.price.output) / 1e6
    priced_means: pd.DataFrame = means.assign(
        llm=llm.id, cost_usd=cost, said=pd.Series(means["query_id"].map(first).map(short_answer), dtype=object)
    )[ANSWERS_META.names]
    return priced_means


def assemble(
    queries: pd.DataFrame,
    labels: Mapping[str, pd.DataFrame],
    answers: Mapping[str, pd.DataFrame],
    llms: Sequence[LLM],
    settings: params.Assemble,
    *,
    given: Mapping[str, str] | None = None,
    reliability: Mapping[params.Opinion, float] | None = None,
) -> Assembled:
    """The dataset of `llms` in their order, those that join by row last; those without a label are left out.

    Raises PipelineError where nobody has one.
    """
    known = set(queries["query_id"])
    kept = {llm.id: labels[llm.id][labels[llm.id]["query_id"].isin(known)] for llm in llms}
    roster = sorted((llm for llm in llms if len(kept[llm.id])), key=lambda llm: llm.trained == "row")
    if not roster:
        raise PipelineError(
            f"None of the {len(llms)} LLMs in the pool has a label.", next_step="Run `dvc repro`; see what `pipelines.answer` says."
        )
    meta = [priced(answers[llm.id], llm) for llm in roster]
    all_meta = pd.concat([part for part in meta if len(part)] or meta[:1], ignore_index=True)
    return Assembled(
        queries=queries.sort_values("query_id", ignore_index=True),
        labels=weighted(one_label_each(pd.concat([kept[llm.id] for llm in roster], ignore_index=True), queries), reliability or {}),
        answers=all_meta[all_meta["query_id"].isin(known)].sort_values(["query_id", "llm"], ignore_index=True),
        splits=splits(queries, settings, given).sort_index().reset_index(),
        roster=tuple(
            RosterLLM(
                llm.id,
                llm.name,
                llm.status,
                llm.price.input,
                llm.price.output,
                trained=llm.trained,
                family=llm.family,
                served=llm.endpoint is not None,
            )
            for llm in roster
        ),
        unlabelled=tuple(llm.id for llm in llms if not len(kept[llm.id])),
    )


def write(assembled: Assembled, folder: Path) -> None:
    """Writes the tables and roster.json to `folder`; labels without a weight count in full."""
    labels = assembled.labels if "weight" in assembled.labels else weighted(assembled.labels, {})
    tables.write(folder / "queries.parquet", assembled.queries, tables.QUERIES)
    tables.write(folder / "labels.parquet", labels, WEIGHTED)
    tables.write(folder / "answers_meta.parquet", assembled.answers, ANSWERS_META)
    tables.write(folder / "splits.parquet", assembled.splits, SPLITS)
    write_roster(folder / "roster.json", assembled.roster)


def main() -> None:
    """Reads the pool's tables; says at the end what the dataset holds."""
    try:
        llms = pool.load(Settings().pool_file).active
        loaded = params.load()
        settings = loaded.assemble
        queries = tables.read(QUERIES, tables.QUERIES)
        labels, answers = {}, {}
        for llm in track(llms, "assemble", disable=not sys.stdout.isatty()):
            labels[llm.id] = tables.read(LABELS / f"{llm.id}.parquet", tables.LABELS)
            answers[llm.id] = tables.read_if_there(ANSWERS / f"{llm.id}.parquet", tables.ANSWERS)
        if loaded.validate_.leave_out_suspect:
            suspect = tables.read(SUSPECTS, suspects.SUSPECTS)
            whole, labels = labels, {llm: without(table, queries, suspect) for llm, table in labels.items()}
            gone = sum(len(whole[llm]) - len(labels[llm]) for llm in labels)
            print(f"{gone} labels of {len(suspect)} suspect LLM x dataset pairs are left out (validate.leave_out_suspect).")
        assembled = assemble(queries, labels, answers, llms, settings, given=given_splits(RECORDED), reliability=loaded.label.reliability)
        write(assembled, DATASET)
    except RouteMoAError as exc:
        sys.exit(str(exc))
    counts = ", ".join(f"{count} {split}" for split, count in assembled.splits["split"].value_counts().items())
    left_out = f"; no label yet, so left out: {', '.join(assembled.unlabelled)}" if assembled.unlabelled else ""
    print(f"{len(assembled.labels)} labels of {len(assembled.roster)} LLMs on {len(queries)} queries ({counts}){left_out} -> {DATASET}")


if __name__ == "__main__":
    main()
