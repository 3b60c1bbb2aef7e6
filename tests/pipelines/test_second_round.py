"""Where a newcomer is asked a second time: validation queries on which its row would be chosen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixture.llm import LLM
from mixture.price import Price
from pipelines import lead, params, query_selection, second_round, splits, tables
from pipelines.graders.kinds import Graded, Task
from pipelines.project import Project
from tests.pipelines import trained_home as homes

SPECIALIST = LLM("specialist", "Right on mathematics alone", Price(1, 1), max_training_queries=200, trained="row")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a trained scorer."""
    return Project(homes.trained_home(tmp_path_factory.mktemp("second") / "home"))


def first_answers(project: Project) -> pd.DataFrame:
    """What the specialist answered in its first round: `1`, which is right, on mathematics, and `0` elsewhere."""
    queries = homes.loaded(project.home).queries
    asked = set(
        query_selection.in_hash_order(queries["query_id"])[
            : second_round.first_round(SPECIALIST, project, params.load(project.params)).max_training_queries
        ]
    )
    rows = queries[queries["query_id"].isin(list(asked))]
    empty = dict.fromkeys(tables.ANSWERS.names)
    answers = pd.DataFrame([empty | {"query_id": query_id} for query_id in rows["query_id"]])
    return answers.assign(text=np.where(rows["domain"] == "mathematics", "1", "0"), error=None)


def wanted(project: Project, llm: LLM, queries: pd.DataFrame, answers: pd.DataFrame) -> list[str]:
    """What the last round asks `llm` after these answers."""
    settings = params.load(project.params)
    standing, first = second_round.standing(project, llm, settings), second_round.first_round(llm, project, settings)
    return second_round.wanted(standing, first, second_round.Grades(queries, settings.label.timeout_s), answers)


def where_it_may_lead(project: Project, queries: pd.DataFrame, answers: pd.DataFrame) -> list[str] | None:
    """What the round before asks the specialist after these answers."""
    settings = params.load(project.params)
    standing, first = second_round.standing(project, SPECIALIST, settings), second_round.first_round(SPECIALIST, project, settings)
    return second_round.where_it_may_lead(standing, first, second_round.Grades(queries, settings.label.timeout_s), answers)


def test_a_specialist_is_asked_more_where_it_is_good(project: Project) -> None:
    """Validation queries that nobody asked it yet, as many as the rest of its 200, most of them mathematics."""
    queries, answers = homes.loaded(project.home).queries, first_answers(project)
    picked = wanted(project, SPECIALIST, queries, answers)
    by_id = queries.set_index("query_id")["domain"]
    validation = set(homes.loaded(project.home).take("validation").queries["query_id"])
    assert 0 < len(picked) <= 30
    assert set(picked) <= validation - set(answers["query_id"])
    assert picked == query_selection.in_hash_order(picked)
    assert np.mean([by_id[query_id] == "mathematics" for query_id in picked]) >= 0.8


def test_what_was_asked_in_it_counts(project: Project) -> None:
    """Asked half of it and stopped: the other half is left; all of it: nothing is."""
    queries, answers = homes.loaded(project.home).queries, first_answers(project)
    whole = wanted(project, SPECIALIST, queries, answers)
    for done in (whole[: len(whole) // 2], whole):
        more = pd.DataFrame({"query_id": done, "text": "1", "error": None})
        left = wanted(project, SPECIALIST, queries, pd.concat([answers, more], ignore_index=True))
        assert left == whole[len(done) :]


def test_its_training_queries_go_where_it_may_lead(project: Project) -> None:
    """Right on mathematics alone: of the training queries it was not asked yet, most are mathematics, as many as its quota leaves."""
    data, answers = homes.loaded(project.home), first_answers(project)
    trains = data.take("train").queries
    first = answers[answers["query_id"].isin(trains["query_id"])].head(50)
    chosen = where_it_may_lead(project, data.queries, first)
    assert chosen is not None
    domains = trains.set_index("query_id")["domain"]
    quota = answers["query_id"].isin(trains["query_id"]).sum()
    assert len(chosen) == quota - len(first)
    assert not set(chosen) & set(first["query_id"])
    assert np.mean([domains[query_id] == "mathematics" for query_id in chosen]) > (domains == "mathematics").mean() + 0.2


def test_three_rounds_each_by_what_the_last_brought(project: Project) -> None:
    """Fifty training queries and the common sample of the others first, then where it may lead, then where it would be chosen."""
    data, settings = homes.loaded(project.home), params.load(project.params)
    split_of = dict(zip(data.queries["query_id"], data.splits_Q, strict=True))
    by_hash = splits.assign(data.queries, settings.assemble, splits.read_predefined(project.recorded)).to_dict()
    right = set(data.queries["query_id"][data.queries["domain"] == "mathematics"])
    asked: list[str] = []

    def answers() -> pd.DataFrame:
        empty = dict.fromkeys(tables.ANSWERS.names)
        rows = [empty | {"query_id": query_id, "text": "1" if query_id in right else "0"} for query_id in asked]
        return pd.DataFrame(rows, columns=list(tables.ANSWERS.names))

    counts, first = [], 0
    for _, missing in second_round.rounds(project, SPECIALIST, data.queries, settings, answers):
        counts.append({split: sum(split_of[query_id] == split for query_id in missing) for split in ("train", "validation")})
        first = first or sum(by_hash[query_id] == "train" for query_id in missing)
        asked += missing
    assert first == lead.FIRST
    assert counts[1]["train"] > 0 == counts[1]["validation"]
    assert counts[2]["validation"] > 0 == counts[2]["train"]
    assert len(asked) == len(set(asked)) <= 200


def test_an_answer_is_graded_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round grades what the one before brought, and keeps the scores of the rest."""
    queries, answers = homes.loaded(project.home).queries, first_answers(project)
    graded: list[str] = []
    grade_all = second_round.grade_all

    def noted(tasks: list[Task]) -> list[Graded]:
        graded.extend(task.query.query_id for task in tasks)
        return grade_all(tasks)

    monkeypatch.setattr(second_round, "grade_all", noted)
    grades = second_round.Grades(queries, 1.0)
    few = grades.of(answers.head(30))
    assert grades.of(answers).items() > few.items()
    assert sorted(graded) == sorted(answers["query_id"])


def test_nothing_is_told_before_there_is_a_scorer_or_labels(project: Project, tmp_path: Path) -> None:
    """Trained jointly, without a scorer to displace in, or with too few labels to fit a row: no second round."""
    queries, answers = homes.loaded(project.home).queries, first_answers(project)
    settings = params.load(project.params)
    jointly = replace(SPECIALIST, trained="jointly")
    assert second_round.first_round(jointly, project, settings) is jointly
    assert second_round.first_round(SPECIALIST, Project(tmp_path), settings) is SPECIALIST
    assert wanted(project, jointly, queries, answers) == []
    assert wanted(project, SPECIALIST, queries, answers.head(10)) == []
    assert where_it_may_lead(project, queries, answers.head(10)) is None
