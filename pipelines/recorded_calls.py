"""What each LLM's recorded answers took: tokens and seconds, by which a server reckons before it has seen calls of its own."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines import tables
from pipelines.dataset import ANSWERS_META
from scorer.recorded_calls import RecordedCalls


def recorded_calls(folder: Path, roster: Iterable[str], query_ids: Iterable[str]) -> dict[str, RecordedCalls]:
    """Means over the answers to these queries in the dataset at `folder`; LLMs without an answer whose tokens are known are left out.

    Raises TableRefused.
    """
    meta = tables.read(folder / "answers_meta.parquet", ANSWERS_META)
    counted = meta[meta["query_id"].isin(set(query_ids))].dropna(subset=["input_tokens", "output_tokens"])
    by_llm = dict(list(counted.groupby("llm")))
    return {llm: _means(by_llm[llm]) for llm in roster if llm in by_llm}


def _means(answers: pd.DataFrame) -> RecordedCalls:
    latency_s = answers["latency_s"].mean()  # of those that were timed
    return RecordedCalls(
        answers=len(answers),
        input_tokens=float(answers["input_tokens"].mean()),
        output_tokens=float(answers["output_tokens"].mean()),
        latency_s=None if np.isnan(latency_s) else float(latency_s),
    )
