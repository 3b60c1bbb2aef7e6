"""Where a newcomer is asked a second time: validation queries on which its row would be chosen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixture.llm import LLM
from mixture.price import Price
from pipelines import params, query_selection, second_round, tables
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


def test_a_specialist_is_asked_more_where_it_is_good(project: Project) -> None:
    """Validation queries that nobody asked it yet, as many as the rest of its 200, most of them mathematics."""
    queries, answers = homes.loaded(project.home).queries, first_answers(project)
    wanted = second_round.wanted(project, SPECIALIST, queries, params.load(project.params), answers)
    by_id = queries.set_index("query_id")["domain"]
    validation = set(homes.loaded(project.home).take("validation").queries["query_id"])
    assert 0 < len(wanted) <= 30
    assert set(wanted) <= validation - set(answers["query_id"])
    assert wanted == query_selection.in_hash_order(wanted)
    assert np.mean([by_id[query_id] == "mathematics" for query_id in wanted]) >= 0.8


def test_what_was_asked_in_it_counts(project: Project) -> None:
    """Asked half of it and stopped: the other half is left; all of it: nothing is."""
    queries, answers, settings = homes.loaded(project.home).queries, first_answers(project), params.load(project.params)
    whole = second_round.wanted(project, SPECIALIST, queries, settings, answers)
    for done in (whole[: len(whole) // 2], whole):
        more = pd.DataFrame({"query_id": done, "text": "1", "error": None})
        left = second_round.wanted(project, SPECIALIST, queries, settings, pd.concat([answers, more], ignore_index=True))
        assert left == whole[len(done) :]


def test_nothing_is_told_before_there_is_a_scorer_or_labels(project: Project, tmp_path: Path) -> None:
    """Trained jointly, without a scorer to displace in, or with too few labels to fit a row: no second round."""
    queries, answers = homes.loaded(project.home).queries, first_answers(project)
    settings = params.load(project.params)
    jointly = replace(SPECIALIST, trained="jointly")
    assert second_round.first_round(jointly, project, settings) is jointly
    assert second_round.first_round(SPECIALIST, Project(tmp_path), settings) is SPECIALIST
    assert second_round.wanted(project, jointly, queries, settings, answers) == []
    assert second_round.wanted(project, SPECIALIST, queries, settings, answers.head(10)) == []
