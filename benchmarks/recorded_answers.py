"""What recorded LLMs answered, beside labels and costs: a folder of recorded outcomes, or the default pool's dataset and answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import recorded_set
from benchmarks.replay import RecordedAnswer, RecordedQuery
from benchmarks.set_file import Reading
from mixture.llm import LLM, Decoding
from mixture.price import Price
from pipelines.dataset import Dataset
from pipelines.errors import TableRefused
from registry import pool

TOKENS = 200  # of every answer, for its price: what a call of an LLM is expected to cost is the mean of its recorded costs
CALL_USD = 0.001  # of every call where costs are unknown
FEWEST_ANSWERS = 3  # to a query: with fewer there is nothing to choose among, and every system looks the same

Texts = dict[tuple[str, str], tuple[str, float | None]]  # (query, LLM) -> answer and its mean log-probability


@dataclass(frozen=True, slots=True)
class RecordedAnswers:
    """Labelled queries with every LLM's answer; `llms` in the order of the dataset's columns. priced: whether costs are known."""

    data: Dataset
    questions: list[RecordedQuery]
    llms: tuple[LLM, ...]
    priced: bool

    def part(self, priors_QL: NDArray[np.float64], *splits: str) -> tuple[list[RecordedQuery], NDArray[np.float64]]:
        """The questions of these splits, and their rows of `priors_QL`."""
        taken_Q = np.isin(self.data.splits_Q, splits)
        return [question for question, taken in zip(self.questions, taken_Q, strict=True) if taken], priors_QL[taken_Q]


def read(folder: Path, reading: Reading) -> RecordedAnswers:
    """`recorded_set.read`, and the answers' texts: of outcomes.parquet, or of the stage `answer`.

    Queries that fewer than FEWEST_ANSWERS LLMs answered are left out. Raises TableRefused where texts are missing.
    """
    data = recorded_set.read(folder, reading)
    assembled = (folder / "roster.json").is_file()
    texts = _assembled(folder.parent / "answers", data.roster) if assembled else _recorded(folder, reading.text)
    pooled = {llm.id: llm for llm in pool.load(folder.parents[1] / "registry" / "pool.yaml").llms} if assembled else {}
    train_QL = data.take("train").cost_QL
    priced = bool((~np.isnan(train_QL)).any(axis=0).all())
    expected_L = np.nanmean(train_QL, axis=0) if priced else np.full(len(data.roster), CALL_USD)
    llms = tuple(_llm(name, float(usd), pooled) for name, usd in zip(data.roster, expected_L, strict=True))
    cost_QL = np.where(np.isnan(data.cost_QL), expected_L, data.cost_QL)
    questions = [_question(data, at, cost_QL[at], texts) for at in range(len(data.queries))]
    enough_Q = np.array([len(question.answers) >= min(FEWEST_ANSWERS, len(llms)) for question in questions])
    kept = [question for question, enough in zip(questions, enough_Q, strict=True) if enough]
    return RecordedAnswers(data.where(enough_Q), kept, llms, priced)


def _question(data: Dataset, at: int, cost_L: NDArray[np.float64], texts: Texts) -> RecordedQuery:
    """The query of row `at` with its labelled answers."""
    query_id = data.queries["query_id"][at]
    labels = {llm: float(label) for llm, label in zip(data.roster, data.labels_QL[at], strict=True) if not np.isnan(label)}
    answers = {}
    for llm, usd in zip(data.roster, cost_L, strict=True):
        if llm in labels and (query_id, llm) in texts:
            text, logprob = texts[query_id, llm]
            answers[llm] = RecordedAnswer(text, TOKENS, float(usd), mean_logprob=logprob)
    return RecordedQuery(data.queries["text"][at], answers, labels)


def _llm(name: str, usd: float, pooled: Mapping[str, LLM]) -> LLM:
    """An LLM whose call is expected to cost `usd`, on its weights where the pool knows them."""
    bare = pooled.get(name, LLM(name, name, Price(0.0, 0.0)))
    return replace(bare, price=Price(0.0, usd * 1e6 / TOKENS), decoding=Decoding(max_tokens=TOKENS), context_window=10**6, status="active")


def _recorded(folder: Path, column: str) -> Texts:
    path = folder / "outcomes.parquet"
    table = pd.read_parquet(path)
    if column not in table:
        raise TableRefused(
            f"{path}: no column {column!r}, only {', '.join(table.columns)}.",
            next_step="Name the one with the answers' texts with `text` in the file for --set.",
        )
    table = table.astype({"query_id": str, "llm": str})
    final_only = column == "pred"
    return {
        (query_id, llm): (_stated(text) if final_only else str(text or ""), None)
        for query_id, llm, text in table[["query_id", "llm", column]].itertuples(index=False)
    }


def _stated(final: object) -> str:
    """A bare final answer as an LLM would state it; prose where there is none."""
    return f"Answer: {final}" if isinstance(final, str) and final.strip() else "No final answer\nwas given."


def _assembled(folder: Path, roster: tuple[str, ...]) -> Texts:
    texts: Texts = {}
    for llm in roster:
        path = folder / f"{llm}.parquet"
        if not path.is_file():
            raise TableRefused(f"{path}: not there.", next_step="Run the pipeline first (`dvc repro assemble`).")
        table = pd.read_parquet(path, columns=["query_id", "text", "mean_logprob"])
        for query_id, text, logprob in table.itertuples(index=False):
            texts[str(query_id), llm] = (str(text or ""), None if logprob is None or np.isnan(logprob) else float(logprob))
    return texts
