"""What recorded LLMs said, beside their labels and costs: a folder of recorded outcomes, or the default pool's dataset and answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import outcomes
from benchmarks.replay import Question, Said
from mixture.llm import LLM, Decoding, Price
from pipelines.dataset import Dataset
from pipelines.errors import TableRefused
from registry import pool

TOKENS = 200  # of every answer, for its price: what a call of an LLM is expected to cost is the mean of its recorded costs
CALL_USD = 0.001  # of every call where costs are unknown
LEAST = 3  # answers to a query: with fewer there is nothing to choose among, and every system looks the same


@dataclass(frozen=True, slots=True)
class Conversations:
    """Labelled queries with what every LLM said to them; `llms` in the order of the dataset's columns."""

    data: Dataset
    questions: list[Question]
    llms: tuple[LLM, ...]
    priced: bool


def read(wanted: outcomes.Recorded, column: str) -> Conversations:
    """`outcomes.read`, and the answers' texts: of outcomes.parquet's `column` (`pred`: bare final answers), or of the stage `answer`.

    Queries that fewer than LEAST LLMs answered are left out. Raises TableRefused where texts are missing.
    """
    data = outcomes.read(wanted)
    assembled = (wanted.folder / "roster.json").is_file()
    texts = _assembled(wanted.folder.parent / "answers", data.roster) if assembled else _recorded(wanted.folder, column)
    known = {llm.id: llm for llm in pool.load(wanted.folder.parents[1] / "registry" / "pool.yaml").llms} if assembled else {}
    train_QL = data.take("train").cost_QL
    priced = bool((~np.isnan(train_QL)).any(axis=0).all())
    expected_L = np.nanmean(train_QL, axis=0) if priced else np.full(len(data.roster), CALL_USD)
    llms = tuple(_llm(name, float(usd), known) for name, usd in zip(data.roster, expected_L, strict=True))
    cost_QL = np.where(np.isnan(data.cost_QL), expected_L, data.cost_QL)
    questions = []
    for at, (query_id, text) in enumerate(zip(data.queries["query_id"], data.queries["text"], strict=True)):
        labels = {llm: float(label) for llm, label in zip(data.roster, data.labels_QL[at], strict=True) if not np.isnan(label)}
        said = {}
        for place, llm in enumerate(data.roster):
            if llm in labels and (query_id, llm) in texts:
                answer, logprob = texts[query_id, llm]
                said[llm] = Said(answer, TOKENS, float(cost_QL[at, place]), mean_logprob=logprob)
        questions.append(Question(text, said, labels))
    enough_Q = np.array([len(question.said) >= min(LEAST, len(llms)) for question in questions])
    questions = [question for question, enough in zip(questions, enough_Q, strict=True) if enough]
    return Conversations(data.where(enough_Q), questions, llms, priced)


def _llm(name: str, usd: float, known: Mapping[str, LLM]) -> LLM:
    """An LLM whose call is expected to cost `usd`, on its weights where the pool knows them."""
    bare = known.get(name, LLM(name, name, Price(0.0, 0.0)))
    return replace(bare, price=Price(0.0, usd * 1e6 / TOKENS), decoding=Decoding(max_tokens=TOKENS), context_window=10**6, status="active")


def _recorded(folder: Path, column: str) -> dict[tuple[str, str], tuple[str, float | None]]:
    path = folder / "outcomes.parquet"
    table = pd.read_parquet(path)
    if column not in table:
        raise TableRefused(
            f"{path}: no column {column!r}, only {', '.join(table.columns)}.", next_step="Name the one with the answers' texts with --text."
        )
    table = table.astype({"query_id": str, "llm": str})
    stated = column == "pred"
    return {
        (query_id, llm): (_stated(text) if stated else str(text or ""), None)
        for query_id, llm, text in table[["query_id", "llm", column]].itertuples(index=False)
    }


def _stated(final: object) -> str:
    """A bare final answer as an LLM would state it; prose where there is none."""
    return f"Answer: {final}" if isinstance(final, str) and final.strip() else "No final answer\nwas given."


def _assembled(folder: Path, roster: tuple[str, ...]) -> dict[tuple[str, str], tuple[str, float | None]]:
    found: dict[tuple[str, str], tuple[str, float | None]] = {}
    for llm in roster:
        path = folder / f"{llm}.parquet"
        if not path.is_file():
            raise TableRefused(f"{path}: not there.", next_step="Run the pipeline first (`dvc repro assemble`).")
        table = pd.read_parquet(path, columns=["query_id", "text", "mean_logprob"])
        for query_id, text, logprob in table.itertuples(index=False):
            found[str(query_id), llm] = (str(text or ""), None if logprob is None or np.isnan(logprob) else float(logprob))
    return found
