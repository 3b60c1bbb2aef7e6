"""What the demo keeps from its first scorer: the LLM that joins later, and the queries of domains that nobody has seen yet.

Both are part of the checkout's query pool and recorded answers. The project is made without them; they lie in var/demo of it.
"""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from ruamel.yaml import YAML

from local.errors import StepFailed
from pipelines import query_pool, tables
from pipelines.answer_store import AnswerStore
from pipelines.dataset import Dataset, RosterLLM
from pipelines.graders.kinds import Task
from pipelines.graders.query import Query, answered
from pipelines.graders.workers import grade_all
from pipelines.project import Project
from pipelines.query_selection import in_hash_order
from registry import pool as pools

GRADING_S = 10.0


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What lies in var/demo of the project in `home`."""

    home: Path

    @property
    def folder(self) -> Path:
        """Everything the demo keeps for itself."""
        return Project(self.home).var / "demo"

    def keep_queries(self, domains: Collection[str]) -> int:
        """Takes the queries of `domains` out of the project's query pool; returns how many."""
        project = Project(self.home)
        rows = pq.read_table(project.queries, schema=tables.QUERIES).to_pylist()
        ours = [row for row in rows if row["domain"] in domains]
        if ours:
            query_pool.write(ours, self.folder / "queries.parquet")
            query_pool.replace(project, [row for row in rows if row["domain"] not in domains])
        return len(self.queries())

    def queries(self) -> list[dict[str, Any]]:
        """The queries kept back, in hash order; a row of the QUERIES table each."""
        path = self.folder / "queries.parquet"
        rows = {row["query_id"]: row for row in pq.read_table(path, schema=tables.QUERIES).to_pylist()} if path.exists() else {}
        return [rows[query_id] for query_id in in_hash_order(rows)]

    def keep_answers(self) -> None:
        """Copies what the pool's LLMs answered to the whole query pool: a stage keeps only the answers to the queries that it finds there.

        To be called before `keep_queries`. Answers that stages of an earlier demo put aside count.
        """
        project = Project(self.home)
        queries = tables.read(project.queries, tables.QUERIES)
        texts = dict(zip(queries["query_id"], queries["text"], strict=True))
        for llm in pools.load(self.home / "registry" / "pool.yaml").active:
            tables.write(self.folder / "answers" / f"{llm.id}.parquet", AnswerStore(project, llm).current(texts), tables.ANSWERS)

    def leave_out_unasked(self, llm: str) -> None:
        """Takes the queries out of the project's query pool that `llm` has no recorded answer to, where it has any.

        When it joins it would be asked some of them, at ten seconds each, while somebody waits.
        """
        project = Project(self.home)
        answers = tables.read_if_there(project.answers(llm), tables.ANSWERS)
        asked = set(answers["query_id"][answers["error"].isna()])
        if asked:
            rows = pq.read_table(project.queries, schema=tables.QUERIES).to_pylist()
            query_pool.replace(project, [row for row in rows if row["query_id"] in asked])

    def keep_llm(self, llm: str) -> None:
        """Takes `llm` out of the project's pool file, and its recorded answers with it; the others are asked what is recorded of them."""
        project = Project(self.home)
        pool_file = self.home / "registry" / "pool.yaml"
        yaml = YAML()
        content = yaml.load(pool_file)
        entry = content["llms"].pop(llm, None)
        if entry is None:
            raise StepFailed(f"The pool has no {llm!r}, which joins in the demo.", next_step="git restore registry/pool.yaml")
        entry["trained"] = "row"
        pool = set(pq.read_table(project.queries, columns=["query_id"])["query_id"].to_pylist())
        for other, settings in [*content["llms"].items(), (llm, entry)]:
            answers = tables.read_if_there(project.answers(other), tables.ANSWERS)
            if recorded := set(answers["query_id"][answers["error"].isna()]) & pool:
                settings["max_training_queries"] = len(recorded)
        self.folder.mkdir(parents=True, exist_ok=True)
        yaml.dump({"id": llm, **entry}, self.folder / "joiner.yaml")
        yaml.dump(content, pool_file)
        project.answers(llm).unlink(missing_ok=True)

    def joiner(self) -> dict[str, Any]:
        """The entry of the LLM that joins, on the address that its server has now (another LLM of the pool is served there too)."""
        entry: dict[str, Any] = YAML(typ="safe").load(self.folder / "joiner.yaml")
        served_name = entry["endpoint"]["served_name"]
        endpoints = [llm.endpoint for llm in pools.load(self.home / "registry" / "pool.yaml").active if llm.endpoint is not None]
        base_url = next((endpoint.base_url for endpoint in endpoints if endpoint.served_name == served_name), None)
        if base_url is None:
            raise StepFailed(f"No LLM of the pool runs on {served_name}.", next_step="git restore registry/pool.yaml")
        return {**entry, "endpoint": {**entry["endpoint"], "base_url": base_url}}

    def give_answers(self, llm: str) -> int:
        """Puts the recorded answers of `llm` where its answer stage finds them; returns how many there are."""
        path, target = self.folder / "answers" / f"{llm}.parquet", Project(self.home).answers(llm)
        if path.exists() and not target.exists():
            shutil.copyfile(path, target)
        return len(tables.read_if_there(target, tables.ANSWERS))

    def unseen(self, served: Collection[str], roster: Sequence[RosterLLM]) -> Dataset:
        """The queries kept back but for those `served`, with labels of the recorded answers of `roster`: nobody was trained on them."""
        rows = [row for row in self.queries() if row["query_id"] not in served]
        known = {query.query_id: query for query in map(Query.of, rows)}
        table = pd.DataFrame(rows, columns=tables.QUERIES.names).sort_values("query_id", ignore_index=True)
        at = {query_id: place for place, query_id in enumerate(table["query_id"])}
        labels_QL = np.full((len(rows), len(roster)), np.nan)
        for column, llm in enumerate(roster):
            answers = tables.read_if_there(self.folder / "answers" / f"{llm.id}.parquet", tables.ANSWERS)
            for graded in grade_all([Task(query, text, GRADING_S) for query, text in answered(answers, known)]):
                labels_QL[at[graded.query_id], column] = np.nan if graded.score is None else graded.score
        nothing_QL = np.full(labels_QL.shape, np.nan)
        unseen_Q = np.full(len(rows), "unseen")
        return Dataset(table, tuple(roster), labels_QL, nothing_QL, nothing_QL, unseen_Q)
