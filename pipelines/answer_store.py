"""Every answer of one LLM there is, however it came, and which of them count now.

Answers lie in four places: brought from elsewhere (data/recorded), of earlier runs (build/answers), of a run that has not ended (its
journal), and all that were ever bought, also of another prompt, decoding or text. Those are no output of DVC's: it takes what it can make
again for worth nothing, and an answer that was paid for cannot be made again for nothing.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mixture.llm import LLM
from pipelines import journal, tables
from pipelines.errors import PipelineError
from pipelines.project import Project

KEY = ["query_id", "asked_with"]  # an answer is bought once for each


def asked_with(llm: LLM, text: str) -> str:
    """Hash of everything that decides what the LLM was sent."""
    return hashing(llm)(text)


def hashing(llm: LLM) -> Callable[[str], str]:
    """`asked_with` of one LLM, for many texts."""
    sent: dict[str, Any] = {
        "prompt": dataclasses.asdict(llm.prompt),
        "decoding": dataclasses.asdict(llm.decoding),
        "served_name": llm.endpoint.served_name if llm.endpoint else None,
    }
    if llm.effort is not None:  # left out where nothing is said of it: answers bought before there were efforts stay bought
        sent["effort"] = llm.effort
    return lambda text: hashlib.sha256(json.dumps(sent | {"text": text}, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class AnswerStore:
    """The answers of `llm` in a project, as ANSWERS tables."""

    project: Project
    llm: LLM

    def every(self) -> pd.DataFrame:
        """All of them, earlier ones first.

        Without those that were bought once where the LLM has no endpoint: without it nobody can say which of them are wanted again.
        """
        bought = [self.project.superseded(self.llm.id), self.project.bought(self.llm.id)] if self.llm.endpoint else []
        paths = (self.project.recorded_answers(self.llm.id), *bought, self.project.answers(self.llm.id))
        under_way = _frame(journal.rows(self.project.journal(self.llm.id)))
        return _joined(*(tables.read_if_there(path, tables.ANSWERS) for path in paths), under_way)

    def current(self, queries: Mapping[str, str]) -> pd.DataFrame:
        """One row for each of `queries` (id -> text) that was asked.

        That is the newest answer to the present text, prompt and decoding; else one brought from elsewhere, of which nobody knows how it
        was asked; a failure only where there is no answer.
        """
        every = self.every()
        if self.llm.endpoint is None:
            usable = every[every["query_id"].isin(list(queries))].assign(own=False)
        else:
            hashed = hashing(self.llm)
            expected = every["query_id"].map({query_id: hashed(text) for query_id, text in queries.items()})
            own = every["asked_with"] == expected
            usable = every.assign(own=own)[own | (expected.notna() & (every["asked_with"] == tables.ELSEWHERE))]
        best_last = usable.assign(answered=usable["error"].isna()).sort_values(["answered", "own", "asked_at"], kind="stable")
        one_each: pd.DataFrame = best_last.drop_duplicates("query_id", keep="last").sort_values("query_id")[tables.ANSWERS.names]
        return one_each.reset_index(drop=True)

    def write(self, queries: Mapping[str, str]) -> pd.DataFrame:
        """Writes and returns the current answers, keeps all that were bought beside them, and only then removes the journal."""
        current = self.current(queries)
        if self.llm.endpoint:
            self._keep_bought()
        tables.write(self.project.answers(self.llm.id), current, tables.ANSWERS)
        self.project.journal(self.llm.id).unlink(missing_ok=True)
        return current

    def require_recorded(self) -> None:
        """Raises PipelineError where neither answers nor labels of the LLM were brought from elsewhere."""
        if not any(path.exists() for path in (self.project.recorded_answers(self.llm.id), self.project.recorded_labels(self.llm.id))):
            folder = self.project.name_of(self.project.recorded)
            raise PipelineError(
                f"{self.llm.id} has no endpoint, and {folder} holds neither {self.llm.id}.parquet nor {self.llm.id}.labels.parquet.",
                next_step="Import its answers or labels, or give it an endpoint in pool.yaml.",
            )

    def _keep_bought(self) -> None:
        """Keeps every answer that was paid for where neither `dvc checkout` nor `dvc gc` reaches it; takes none away."""
        every = self.every()
        bought = every[every["error"].isna() & (every["asked_with"] != tables.ELSEWHERE)]
        if bought.empty:
            return
        one_each = bought.sort_values("asked_at", kind="stable").drop_duplicates(KEY, keep="last").sort_values(KEY)
        tables.write(self.project.bought(self.llm.id), one_each, tables.ANSWERS)
        self.project.superseded(self.llm.id).unlink(missing_ok=True)


def _joined(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([part for part in parts if len(part)] or parts[-1:], ignore_index=True)


def _frame(journalled: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(journalled, columns=tables.ANSWERS.names)
    return frame.assign(
        asked_at=pd.to_datetime(frame["asked_at"], utc=True, format="ISO8601"),
        mean_logprob=pd.to_numeric(frame["mean_logprob"]),
    )
