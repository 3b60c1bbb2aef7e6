"""Tables made from queries, answers and labels so that a rule about many rows becomes a rule about one."""

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from mixture.llm import LLM
from pipelines import near_duplicates

ENOUGH = 30  # labels of one LLM on one dataset before "all the same" means anything
CLOSE = 0.25  # two graders' scores of one answer differ by no more than this where they agree


def coverage(labels: pd.DataFrame, answers: pd.DataFrame, llms: Sequence[LLM], queries: int) -> pd.DataFrame:
    """A row an LLM: `active` or `candidate`, the share of the query pool it is labelled on, the share of calls that failed.

    An LLM that joins by row is not meant to be labelled on all: its share is of the queries it is asked.
    """
    to_label = {llm.id: min(llm.max_training_queries or queries, queries) if llm.trained == "row" else queries for llm in llms}
    labelled = labels.groupby("llm")["query_id"].nunique()
    failed = answers["error"].notna().groupby(answers["llm"]).mean()
    return pd.DataFrame(
        {
            "llm": [llm.id for llm in llms],
            "status": [llm.status for llm in llms],
            "labelled_share": [float(labelled.get(llm.id, 0)) / max(to_label[llm.id], 1) for llm in llms],
            "failed_share": [float(failed.get(llm.id, 0.0)) for llm in llms],
        }
    )


def balance(labels: pd.DataFrame, queries: pd.DataFrame) -> pd.DataFrame:
    """A row an (LLM, dataset) with enough labels: their mean, their spread and the mean of the other LLMs on the dataset.

    No spread at all points to answers that are not read rather than to skill, the more so the better the others do.
    """
    joined = labels.merge(queries[["query_id", "dataset"]], on="query_id")
    cells = joined.groupby(["llm", "dataset"])["score"].agg(labels="size", mean="mean", least="min", most="max").reset_index()
    totals = joined.groupby("dataset")["score"].agg(total="sum", count="size").reset_index()
    cells = cells.merge(totals, on="dataset")
    others = cells["count"] - cells["labels"]
    cells["others_mean"] = ((cells["total"] - cells["mean"] * cells["labels"]) / others.where(others > 0)).astype("float64")
    cells["spread"] = cells["most"] - cells["least"]
    kept: pd.DataFrame = cells.loc[cells["labels"] >= ENOUGH, ["llm", "dataset", "labels", "mean", "spread", "others_mean"]]
    return kept.reset_index(drop=True)


def agreement(labels: pd.DataFrame) -> pd.DataFrame:
    """A row a pair of graders that labelled the same answers of an LLM: on what share of them they agree."""
    rows = []
    for llm, of_llm in labels.groupby("llm"):
        scores = of_llm.pivot_table(index="query_id", columns="grader", values="score")
        for one, other in combinations(scores.columns, 2):
            both = scores[[one, other]].dropna()
            if len(both) >= ENOUGH:
                close = (both[one] - both[other]).abs() <= CLOSE
                rows.append({"llm": llm, "one": one, "other": other, "labels": len(both), "agreement": float(close.mean())})
    columns = {"llm": "str", "one": "str", "other": "str", "labels": "int64", "agreement": "float64"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def likenesses(queries: pd.DataFrame, splits: pd.Series) -> pd.DataFrame:
    """A row a pair of near-duplicate queries, and whether training would see the one and judging the other."""
    ids = queries["query_id"].to_numpy()
    rows = [
        {"query_id": ids[pair.left], "like": ids[pair.right], "likeness": pair.likeness}
        for pair in near_duplicates.pairs(list(queries["text"]))
    ]
    frame = pd.DataFrame(rows, columns=["query_id", "like", "likeness"]).astype({"query_id": "str", "like": "str", "likeness": "float64"})
    return frame.assign(crosses_splits=(frame["query_id"].map(splits) != frame["like"].map(splits)).astype(int))
