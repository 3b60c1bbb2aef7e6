"""Which of the graders' labels training sees: one for each answer, weighted by its grader, those of suspect pairs left out."""

from collections.abc import Mapping

import pandas as pd

from pipelines import params, tables


def one_label_each(labels: pd.DataFrame, queries: pd.DataFrame) -> pd.DataFrame:
    """One label a (query, LLM): that of the grader the query names, else of the first by name."""
    named = labels["query_id"].map(queries.set_index("query_id")["grader"])
    ranked = labels.assign(other=labels["grader"] != named).sort_values(["query_id", "llm", "other", "grader"])
    chosen: pd.DataFrame = ranked.drop_duplicates(["query_id", "llm"])[tables.LABELS.names]
    return chosen.reset_index(drop=True)


def weighted(labels: pd.DataFrame, reliability: Mapping[params.Opinion, float]) -> pd.DataFrame:
    """`labels` with a weight: how much its grader's labels count (`label.reliability`), 1 where the grader is not named there."""
    return labels.assign(weight=labels["grader"].map(dict(reliability)).fillna(1.0).astype("float64"))


def without_suspects(labels: pd.DataFrame, queries: pd.DataFrame, suspects: pd.DataFrame) -> pd.DataFrame:
    """`labels` but for those of the (LLM, dataset) pairs that validation calls suspect."""
    datasets = labels["query_id"].map(queries.set_index("query_id")["dataset"])
    pairs = set(zip(suspects["llm"], suspects["dataset"], strict=True))
    keep = [pair not in pairs for pair in zip(labels["llm"], datasets, strict=True)]
    kept: pd.DataFrame = labels[keep]
    return kept.reset_index(drop=True)
