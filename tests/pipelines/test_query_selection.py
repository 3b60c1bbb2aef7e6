"""Which queries an LLM is asked: a sample by hash; for a row, training queries that speak for the others."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mixture.llm import LLM
from mixture.price import Price
from pipelines import params, query_selection, splits
from pipelines.project import Project
from tests.cpu import at_most
from tests.pipelines import trained_home as homes
from tests.scorer import world

WHOLE = LLM("jointly", "Jointly", Price(1, 1), max_training_queries=120)
ROW = replace(WHOLE, id="row", trained="row")
HERE = Project(Path())


def missing(llm: LLM, queries: pd.DataFrame, at_most: int | None, answered: Collection[str]) -> list[str]:
    """What is missing in the project of the present folder, with `answer.max_queries` = `at_most`."""
    settings = params.load(HERE.params)
    capped = settings.model_copy(update={"answer": settings.answer.model_copy(update={"max_queries": at_most})})
    return query_selection.missing(HERE, llm, queries, capped, answered)


def pool_of(count: int, seed: int = 0) -> pd.DataFrame:
    made = world.world(count, seed=seed)
    columns = {"query_id": [f"{seed}-{place:04}" for place in range(count)], "text": made.texts, "dataset": "made", "grader": "exact"}
    return pd.DataFrame(columns | {"domain": [homes.KINDS[kind] for kind in made.kinds_Q]})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a small encoder; what is embedded once stays so for all tests."""
    made = tmp_path_factory.mktemp("home")
    homes.write_params(made, encoder=str(homes.write_encoder(made / "encoder")))
    return made


@pytest.fixture
def queries(home: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """500 queries of that project."""
    monkeypatch.chdir(home)
    return pool_of(500)


def of_training(queries: pd.DataFrame, ids: list[str]) -> list[str]:
    split_of = splits.assign(queries, params.load(HERE.params).assemble, {})
    return [query_id for query_id in ids if split_of[query_id] == "train"]


def test_a_row_is_judged_on_the_common_sample_and_trained_on_chosen_queries(queries: pd.DataFrame) -> None:
    """As many as an LLM trained whole, the same where they do not train, others where they do, alternating alike."""
    whole, row = (missing(llm, queries, None, ()) for llm in (WHOLE, ROW))
    assert whole == query_selection.in_hash_order(queries["query_id"])[:120]
    assert len(set(row)) == 120
    trains = set(of_training(queries, list(queries["query_id"])))
    assert [query_id for query_id in row if query_id not in trains] == [query_id for query_id in whole if query_id not in trains]
    assert [query_id in trains for query_id in row] == [query_id in trains for query_id in whole]
    assert set(row) != set(whole)


def test_an_interrupted_row_gets_the_rest(queries: pd.DataFrame) -> None:
    """What was answered counts; once all is, nothing is missing, and raising the limit asks the difference."""
    row = missing(ROW, queries, None, ())
    assert sorted([*row[:50], *missing(ROW, queries, None, row[:50])]) == sorted(row)
    assert missing(ROW, queries, None, row) == []
    assert len(missing(replace(ROW, max_training_queries=150), queries, None, row)) == 30
    assert missing(ROW, queries, 60, row) == []


def test_a_pool_that_grows_asks_no_more_than_by_hash(queries: pd.DataFrame) -> None:
    """Of new queries those of the common sample that nothing answered speaks for; who was asked by hash before is asked nothing more."""
    row, whole = (missing(llm, queries, None, ()) for llm in (ROW, WHOLE))
    strange = pool_of(150, seed=1).assign(text=[f"sort_{at}(x); return y[{at}] # {at * 7}" for at in range(150)])
    grown = pd.concat([queries, strange], ignore_index=True)
    more = missing(ROW, grown, None, row)
    by_hash = missing(WHOLE, grown, None, whole)
    assert more
    assert set(of_training(grown, more)) <= set(of_training(grown, query_selection.in_hash_order(grown["query_id"])[:120]))
    assert len(more) <= len(by_hash)
    assert missing(ROW, queries, None, whole) == []


def test_where_nothing_is_chosen_no_encoder_is_needed(queries: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is asked everything, or more than is compared, or nothing that trains, is asked by hash."""
    monkeypatch.setattr(query_selection, "_embedded", None)
    order = query_selection.in_hash_order(queries["query_id"])
    assert missing(replace(ROW, max_training_queries=None), queries, None, ()) == order
    outside = queries.assign(domain="law")
    assert missing(ROW, outside, None, ()) == order[:120]
    monkeypatch.setattr(query_selection, "MOST", 20)
    assert missing(ROW, queries, None, ()) == order[:120]


def test_of_a_large_pool_the_first_by_hash_are_compared(queries: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more training queries are embedded and held against each other than MOST and the answered ones."""
    monkeypatch.setattr(query_selection, "MOST", 100)
    trains = of_training(queries, query_selection.in_hash_order(queries["query_id"]))
    row = missing(ROW, queries, None, ())
    assert set(of_training(queries, row)) <= set(trains[:100])
    assert missing(ROW, queries, None, row) == []


def test_choosing_takes_time_as_the_pool_grows_and_no_more(queries: pd.DataFrame) -> None:
    """Ten times the queries, ten times the seconds; it was a hundred times, by a look at the whole sample for each query."""
    many = pd.DataFrame({"query_id": [f"q{at}" for at in range(50_000)]}).assign(text="?", dataset="made", grader="exact", domain="any")
    with at_most(5):
        assert len(missing(replace(WHOLE, max_training_queries=None), many, None, ())) == 50_000
