"""LLMs of a pool that are the same weights asked in the same way: one of them is asked, and its answers are the others' too."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mixture.llm import LLM
from pipelines.answer_store import AnswerStore, asked_with
from pipelines.assemble import billed
from pipelines.journal import Journal
from pipelines.project import Project


@dataclass(frozen=True, slots=True)
class Kind:
    """Who is asked, and whose answers these are as well."""

    asked: LLM
    others: tuple[LLM, ...]


def kinds(llms: Iterable[LLM]) -> list[Kind]:
    """All LLMs, in the order of those that are asked."""
    alike: dict[tuple[str, str], list[LLM]] = {}
    for llm in llms:
        alike.setdefault((llm.family, asked_with(llm, "")), []).append(llm)
    return [Kind(asked, tuple(others)) for asked, *others in alike.values()]


def share(project: Project, of: Iterable[Kind], texts: Mapping[str, str]) -> None:
    """Writes what the one that is asked answered to `texts` (by query id) into the journals of the others, at their prices."""
    for kind in of:
        answered = AnswerStore(project, kind.asked).current(texts)
        answered = answered[answered["error"].isna()]
        for llm in kind.others:
            known = set(AnswerStore(project, llm).current(texts)["query_id"])
            theirs = answered.assign(llm=llm.id, cost_usd=billed(answered, llm.price))
            with Journal(project.journal(llm.id)) as journal:
                for row in theirs[~theirs["query_id"].isin(known)].to_dict("records"):
                    journal.append({str(name): _plain(value) for name, value in row.items()})


def _plain(value: Any) -> Any:
    """As a line of JSON holds it."""
    if pd.isna(value):
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else value
