"""The rounds of a newcomer's questions: some training queries of each kind, those where it might lead, those where it would displace.

Its first answers say where it might lead (`pipelines.lead`), and the rest of its training queries are asked there. A join is judged
where the choice changes (`registry.join_rules`). A sample by hash holds few such queries of a specialist, so the last part of what it may
be asked goes there: its row is fitted on what the rounds before brought, and of the validation queries where that row is above the
champion's choice the first by hash are asked. Which way they come out is not known when they are picked.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixture.llm import LLM
from pipelines import dataset, embeddings, lead, query_selection
from pipelines.dataset import Dataset
from pipelines.graders import kinds
from pipelines.graders.kinds import Task
from pipelines.graders.query import Query, answered
from pipelines.graders.workers import grade_all
from pipelines.params import Params
from pipelines.project import Project
from scorer import artifact, metrics
from scorer.artifact import Artifact
from scorer.manifest import MANIFEST
from scorer.row_fit import TrainedScorer, add_rows
from scorer.types import Floats
from scorer.weights import centred

SHARE = 0.15  # of what a newcomer may be asked
LEAST = 20  # training labels to fit a row from


def first_round(llm: LLM, project: Project, settings: Params) -> LLM:
    """`llm`, asked less where later rounds follow: it joins by its row, and there is a scorer whose choices it may change."""
    caps = [cap for cap in (llm.max_training_queries, settings.answer.max_queries) if cap is not None]
    if llm.trained != "row" or not caps or not (project.scorer / MANIFEST).exists():
        return llm
    return replace(llm, max_training_queries=min(caps) - round(SHARE * min(caps)))


def rounds(
    project: Project, llm: LLM, queries: pd.DataFrame, settings: Params, answers: Callable[[], pd.DataFrame]
) -> Iterator[tuple[str, list[str]]]:
    """What each round asks about, in words, and the ids of its queries; each is picked by what the ones before brought.

    answers: reads the LLM's ANSWERS on `queries` so far.
    """
    first = first_round(llm, project, settings)
    yield "", first_missing(project, llm, queries, settings, set(answers()["query_id"]))
    if first is llm:
        return
    gradable, scorer = query_selection.gradable(queries, settings.label), standing(project, llm, settings)
    grades = Grades(gradable, settings.label.timeout_s)
    leading = where_it_may_lead(scorer, first, grades, answers())
    if leading is None:
        leading = query_selection.missing(project, first, queries, settings, set(answers()["query_id"]))
    yield " where it may lead", leading
    yield " where it may be chosen", wanted(scorer, first, grades, answers())


def first_missing(project: Project, llm: LLM, queries: pd.DataFrame, settings: Params, asked: Collection[str]) -> list[str]:
    """Ids of the queries of the first round of `llm`, which is the only one where no other follows, that are not `asked` yet."""
    first = first_round(llm, project, settings)
    return query_selection.missing(project, first, queries, settings, asked, training=None if first is llm else lead.FIRST)


class Grades:
    """A newcomer's answers, each graded once, whatever the round. queries: the gradable ones."""

    def __init__(self, queries: pd.DataFrame, timeout_s: float) -> None:
        self.queries = {query.query_id: query for query in map(Query.of, queries.to_dict("records"))}
        self._timeout_s = timeout_s
        self._scores: dict[str, float | None] = {}

    def of(self, answers: pd.DataFrame) -> dict[str, float]:
        """Scores of the ANSWERS that code can grade; opinions (judge, reward model) cost money, and wait for the label stage."""
        new = answers[~answers["query_id"].isin(list(self._scores))]
        gradable = [(query, text) for query, text in answered(new, self.queries) if query.grader in kinds.GRADERS]
        graded = grade_all([Task(query, text, self._timeout_s) for query, text in gradable])
        self._scores |= {result.query_id: result.score for result in graded}
        return {query_id: score for query_id, score in self._scores.items() if score is not None}


def where_it_may_lead(standing: "Standing | None", first: LLM, grades: Grades, answers: pd.DataFrame) -> list[str] | None:
    """Ids of the training queries to ask next, as many as an order by hash would; None where nothing can be told.

    first: the LLM as the first round asks it. answers: its ANSWERS so far.
    """
    if standing is None:
        return None
    trains = set(standing.data.take("train").queries["query_id"])
    common = set(query_selection.in_hash_order(grades.queries)[: first.max_training_queries]) & trains
    asked = set(answers["query_id"])
    left = len(common) - len(asked & trains)
    return standing.leading(grades.of(answers), asked, set(grades.queries), max(left, 0))


def wanted(standing: "Standing | None", first: LLM, grades: Grades, answers: pd.DataFrame) -> list[str]:
    """Ids of validation queries to ask next, in hash order; none where nothing can be told yet.

    first: the LLM as the first round asks it. answers: its ANSWERS so far.
    """
    if standing is None:
        return []
    displaced_Q = standing.displaced_by(first.id, grades.of(answers))
    asked = set(answers["query_id"])
    candidates = set(standing.data.queries["query_id"][displaced_Q]) & set(grades.queries)
    common = set(query_selection.in_hash_order(grades.queries)[: first.max_training_queries])
    validation = set(standing.data.take("validation").queries["query_id"])
    second = round(SHARE / (1 - SHARE) * len(common)) - len((asked & validation) - common)
    return query_selection.in_hash_order(candidates - asked)[: max(second, 0)]


def standing(project: Project, llm: LLM, settings: Params) -> "Standing | None":
    """The scorer that `llm` would join; None where there is none, another encoder is trained next, or it is in already."""
    if first_round(llm, project, settings) is llm or not (project.dataset / "roster.json").exists():
        return None
    in_use = artifact.open(project.scorer)
    if in_use.manifest.encoder["name"] not in map(str, settings.train.encoders) or llm.id in in_use.manifest.roster:
        return None
    return Standing.of(project, in_use)


@dataclass(frozen=True, slots=True)
class Standing:
    """The scorer trained last, and its queries: those it was fitted on and those that judge it."""

    data: Dataset
    in_use: Artifact
    queries_QD: Floats

    @classmethod
    def of(cls, project: Project, in_use: Artifact) -> "Standing":
        """`in_use`, and what build/dataset holds; embeddings as a server makes them, from the cache where they are there."""
        data = dataset.load(project.dataset).take("train", "calibration", "validation")
        embed = embeddings.as_served(project.scorer, in_use.manifest, "int8", project.embeddings)
        return cls(data, in_use, embed(data.queries["text"].tolist()))

    def displaced_by(self, newcomer: str, labels: Mapping[str, float]) -> NDArray[np.bool_]:
        """displaced_Q: validation queries where the newcomer's row, fitted on `labels`, is above a labelled choice of the scorer."""
        scores_QL = self.in_use.calibration.probabilities(self.in_use.weights.logits(self.queries_QD))
        labels_Q = np.array([labels.get(query_id, np.nan) for query_id in self.data.queries["query_id"]])
        fits_Q = self.data.splits_Q != "validation"
        if np.isfinite(labels_Q[fits_Q]).sum() < LEAST:
            return np.zeros(len(labels_Q), dtype=bool)
        known_QL = self._labels_of(self.in_use.manifest.roster)
        trained = TrainedScorer(self.in_use.weights, self.in_use.calibration, self.queries_QD[fits_Q], known_QL[fits_Q])
        weights, calibration = add_rows(trained, (newcomer,), labels_Q[fits_Q, None])
        promised_Q = calibration.probabilities(weights.logits(self.queries_QD))[:, -1]
        compared_Q = ~np.isnan(metrics.at_choice(known_QL, scores_QL.argmax(axis=1)))
        displaced_Q: NDArray[np.bool_] = ~fits_Q & compared_Q & (promised_Q > scores_QL.max(axis=1))
        return displaced_Q

    def leading(self, labels: Mapping[str, float], asked: Collection[str], gradable: Collection[str], count: int) -> list[str] | None:
        """Ids of `count` training queries where the newcomer might lead by its first `labels`; None where these are too few."""
        train_Q = (self.data.splits_Q == "train") & self.data.queries["query_id"].isin(list(gradable)).to_numpy()
        ids = self.data.queries["query_id"][train_Q].tolist()
        place_of = {query_id: place for place, query_id in enumerate(ids)}
        by_hash = [place_of[query_id] for query_id in query_selection.in_hash_order(ids)]
        labels_Q = np.array([labels.get(ids[place], np.nan) for place in by_hash])
        if np.isfinite(labels_Q).sum() < LEAST:
            return None
        queries_QD, weights = self.queries_QD[train_Q][by_hash], self.in_use.weights
        groups_Q = weights.member(centred(queries_QD, weights.centre_D)).argmax(axis=1)
        promised_Q = self.in_use.calibration.probabilities(weights.logits(queries_QD)).max(axis=1)
        asked_Q = np.array([ids[place] in asked for place in by_hash])
        return [ids[by_hash[place]] for place in lead.order(groups_Q, labels_Q, promised_Q, asked_Q, count=count)]

    def _labels_of(self, roster: Sequence[str]) -> NDArray[np.float64]:
        """labels_QL of the scorer's LLMs; NaN for one that the dataset no longer has."""
        column = {llm: place for place, llm in enumerate(self.data.roster)}
        unknown_Q = np.full(len(self.data.queries), np.nan)
        return np.column_stack([self.data.labels_QL[:, column[llm]] if llm in column else unknown_Q for llm in roster])
