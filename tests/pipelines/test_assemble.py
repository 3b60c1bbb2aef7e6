"""The dataset: every query in one split for good, near-duplicates together, unknown never zero, today's prices."""

from dataclasses import replace
from fractions import Fraction as F  # noqa: N817
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mixture.llm import LLM
from mixture.price import UNKNOWN, Override, Price
from pipelines import assemble, dataset, params, tables
from pipelines.errors import PipelineError, TableRefused
from pipelines.project import Project

ROOT = Path(__file__).parents[2]
PROJECT = Project(Path())
SETTINGS = params.load(ROOT / "params.yaml").assemble
LLMS = (LLM("b-llm", "B", Price(1, 2)), LLM("a-llm", "A", Price(10, 20), status="candidate"))
TOPICS = ["heron", "lighthouse", "tractor", "violin", "glacier", "saffron", "compass", "beetle", "anvil", "cathedral"]


def text_of(number: int) -> str:
    """A text of its own for each number."""
    return f"Why does the {TOPICS[number % 10]} number {number} need a {TOPICS[number // 10 % 10]} worth {number * 7}?"


def queries(count: int = 200, **changed: list[Any]) -> pd.DataFrame:
    rows = pd.DataFrame({"query_id": [f"q{n:04d}" for n in range(count)], "text": [text_of(n) for n in range(count)]})
    rows = rows.assign(
        dataset="d", domain="reading", language="en", choices=None, reference="1", grader="number", source="t", licence="MIT"
    )
    return rows.assign(**changed)[tables.QUERIES.names]


def labels(llm: str, scores: dict[str, float], grader: str = "number") -> pd.DataFrame:
    rows = {"query_id": list(scores), "llm": llm, "score": [float(score) for score in scores.values()]}
    return pd.DataFrame(rows | {"grader": grader, "grader_version": "1"})[tables.LABELS.names]


def answers(llm: str, ids: list[str], errors: list[str | None] | None = None) -> pd.DataFrame:
    frame = pd.DataFrame({"query_id": ids, "llm": llm, "sample": 0, "text": "1", "finish_reason": "stop"})
    frame = frame.assign(
        input_tokens=100, output_tokens=50, cost_usd=9.0, latency_s=0.5, mean_logprob=-0.2, error=errors or [None] * len(ids)
    )
    return frame.assign(asked_at=pd.Timestamp("2026-01-01", tz="UTC"), asked_with="x")


def assembled(**replaced: Any) -> assemble.Assembled:
    tables_: dict[str, Any] = {
        "queries": queries(),
        "labels": {"b-llm": labels("b-llm", {"q0000": 1, "q0001": 0}), "a-llm": labels("a-llm", {"q0001": 0.5, "gone": 1})},
        "answers": {"b-llm": answers("b-llm", ["q0000", "q0001", "q0002"], [None, None, "timed out"]), "a-llm": answers("a-llm", [])},
        "llms": LLMS,
        "settings": SETTINGS,
    }
    return assemble.assemble(**(tables_ | replaced))


def test_the_dataset_reads_back_as_arrays(tmp_path: Path) -> None:
    """Columns are the pool's order, rows the ids' order; what nobody measured is NaN; cost is tokens at the pool's prices of today."""
    assemble.write(assembled(), tmp_path)
    loaded = dataset.load(tmp_path)
    assert loaded.roster == ("b-llm", "a-llm")
    assert loaded.llms[1] == dataset.RosterLLM("a-llm", "A", "candidate", 10.0, 20.0, family="a-llm", served=False)
    assert loaded.labels_QL.shape == (200, 2)
    np.testing.assert_array_equal(loaded.labels_QL[:3], [[1, np.nan], [0, 0.5], [np.nan, np.nan]])
    np.testing.assert_allclose(loaded.cost_QL[:3], [[200e-6, np.nan], [200e-6, np.nan], [np.nan, np.nan]])
    np.testing.assert_allclose(loaded.latency_QL[:2, 0], 0.5)
    train = loaded.take("train")
    assert set(train.splits_Q) == {"train"}
    assert len(train.queries) == len(train.labels_QL) == (loaded.splits_Q == "train").sum() > 0
    assert len(loaded.take("train", "test").queries) == np.isin(loaded.splits_Q, ["train", "test"]).sum()


def test_what_was_bought_is_priced_as_the_biller_does() -> None:
    """Cached, written and thought tokens, a tier by length, hours, a fee and a discount, to the cent of a reckoning in exact fractions."""
    tiered = Override(input=2.0, output=8.0, cache_read=0.5, longer_than=1000)
    at_night = Override(output=1.0, start=22 * 60, end=6 * 60)
    price = Price(1.0, 4.0, 0.25, 1.25, 2.0, reasoning=3.0, request=0.01, overrides=(tiered, at_night), discount=0.5)
    frame = answers("b-llm", ["q0000", "q0000", "q0001", "q0002"]).assign(
        sample=[0, 1, 0, 0],
        input_tokens=[900, 2000, 900, 100],
        output_tokens=[50, 60, 50, 10],
        cache_read=[100, 1500, 100, None],
        cache_write=[200, 0, 200, None],
        cache_write_1h=[300, 0, 300, None],
        reasoning=[20, 40, 20, None],
        asked_at=[pd.Timestamp(f"2026-01-01T{hour}:00", tz="UTC") for hour in ("12", "12", "23", "12")],
    )
    usual = F(300 * 1 + 100 * F(1, 4) + 200 * F(5, 4) + 300 * 2 + 30 * 4 + 20 * 3, 10**6) + F(1, 100)
    longer = F(500 * 2 + 1500 * F(1, 2) + 20 * 8 + 40 * 3, 10**6) + F(1, 100)
    night = F(300 * 1 + 100 * F(1, 4) + 200 * F(5, 4) + 300 * 2 + 30 * 1 + 20 * 3, 10**6) + F(1, 100)
    plain = F(100 * 1 + 10 * 4, 10**6) + F(1, 100)
    meta = assemble.priced(frame, replace(LLMS[0], price=price)).set_index("query_id")
    expected = {"q0000": (usual + longer) / 4, "q0001": night / 2, "q0002": plain / 2}
    assert meta["cost_usd"].to_dict() == pytest.approx({name: float(usd) for name, usd in expected.items()}, rel=1e-12)


def test_a_price_that_nobody_said_leaves_the_cost_unknown(tmp_path: Path) -> None:
    """Neither 0 nor infinite, and so it reads back; an answer whose tokens nobody counted has no cost either."""
    uncounted = answers("a-llm", ["q0001", "q0002"]).assign(output_tokens=[None, 50])
    llms = (replace(LLMS[0], price=UNKNOWN), LLMS[1])
    assemble.write(assembled(llms=llms, answers={"b-llm": answers("b-llm", ["q0000"]), "a-llm": uncounted}), tmp_path)
    assert '"input_price": null' in (tmp_path / "roster.json").read_text()
    loaded = dataset.load(tmp_path)
    assert loaded.llms[0].input_price == loaded.llms[0].output_price == float("inf")
    np.testing.assert_allclose(loaded.cost_QL[:3], [[np.nan, np.nan], [np.nan, np.nan], [np.nan, 2000e-6]])


def test_a_graders_reliability_is_what_its_labels_count(tmp_path: Path) -> None:
    """Labels of a judge count what params.yaml says, others in full; a dataset written before there were weights counts in full."""
    given_labels = {"b-llm": labels("b-llm", {"q0000": 1}), "a-llm": labels("a-llm", {"q0000": 0.5}, "judge")}
    made = assembled(labels=given_labels, reliability={"judge": 0.25})
    assemble.write(made, tmp_path)
    loaded = dataset.load(tmp_path)
    assert loaded.weights_QL is not None
    assert loaded.weights_QL[0].tolist() == [1.0, 0.25]
    assert loaded.take(str(loaded.splits_Q[0])).weights_QL is not None
    tables.write(tmp_path / "labels.parquet", made.labels, tables.LABELS)
    old = dataset.load(tmp_path)
    assert old.weights_QL is not None
    assert (old.weights_QL == 1).all()


def test_assembling_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Rows in another order give the same files, so that nothing is trained again for nothing."""
    shuffled = queries().sample(frac=1, random_state=1).reset_index(drop=True)
    assemble.write(assembled(), tmp_path / "one")
    assemble.write(assembled(queries=shuffled), tmp_path / "other")
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes(), path.name


def test_an_llm_without_labels_is_left_out_and_named() -> None:
    """Nothing can be learnt about it yet; with nobody labelled there is no dataset."""
    found = assembled(labels={"b-llm": labels("b-llm", {"q0000": 1}), "a-llm": labels("a-llm", {})})
    assert [llm.id for llm in found.roster] == ["b-llm"]
    assert found.unlabelled == ("a-llm",)
    with pytest.raises(PipelineError, match="None of the 2 LLMs in the pool has a label"):
        assembled(labels={llm.id: labels(llm.id, {}) for llm in LLMS})


def test_a_broken_dataset_is_refused(tmp_path: Path) -> None:
    """A missing file, or a label of an LLM that is not in the roster, is named."""
    with pytest.raises(TableRefused, match=r"roster\.json: not a roster"):
        dataset.load(tmp_path)
    assemble.write(assembled(), tmp_path)
    tables.write(tmp_path / "labels.parquet", labels("stranger", {"q0000": 1}), tables.LABELS)
    with pytest.raises(TableRefused, match="q0000 / stranger"):
        dataset.load(tmp_path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the pool's LLMs and 200 queries, the current folder."""
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry/pool.yaml").write_text(
        "llms:\n" + "".join(f"  {llm.id}: {{name: {llm.name}, endpoint: null, price: {{input: 1, output: 2}}}}\n" for llm in LLMS)
    )
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    tables.write(PROJECT.queries, queries(), tables.QUERIES)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_the_stage_reads_the_pool_not_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """A removed LLM's labels lie in the folder still, and stay out of the dataset."""
    for llm in ("a-llm", "b-llm", "removed"):
        tables.write(PROJECT.labels(llm), labels(llm, dict.fromkeys(queries()["query_id"], 1)), tables.LABELS)
    assemble.main()
    assert dataset.load(PROJECT.dataset).roster == ("b-llm", "a-llm")
    assert "400 labels of 2 LLMs on 200 queries" in capsys.readouterr().out


def test_labels_of_suspect_pairs_are_left_out_where_params_say_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With validate.leave_out_suspect the pair's labels are not in the dataset, its LLM's and its queries' others are."""
    tables.write(PROJECT.queries, queries().assign(dataset=["d", "other"] * 100), tables.QUERIES)
    for llm in ("a-llm", "b-llm"):
        scores = {query_id: 1 - place % 2 for place, query_id in enumerate(queries()["query_id"])}
        tables.write(PROJECT.labels(llm), labels(llm, scores), tables.LABELS)
    suspects = pd.DataFrame([("a-llm", "d", "nothing right")], columns=tables.SUSPECTS.names)
    tables.write(PROJECT.suspects, suspects, tables.SUSPECTS)
    assemble.main()
    assert not np.isnan(dataset.load(PROJECT.dataset).labels_QL[:2]).any()
    text = (project / "params.yaml").read_text(encoding="utf-8")
    (project / "params.yaml").write_text(text.replace("leave_out_suspect: false", "leave_out_suspect: true"), encoding="utf-8")
    assemble.main()
    loaded = dataset.load(PROJECT.dataset)
    assert loaded.roster == ("b-llm", "a-llm")
    np.testing.assert_array_equal(loaded.labels_QL[:2], [[1, np.nan], [0, 0]])
    assert "100 labels of 1 suspect LLM x dataset pairs are left out" in capsys.readouterr().out


def test_who_joins_by_row_comes_last_and_is_marked(tmp_path: Path) -> None:
    """The roster starts with the LLMs that are trained together; how each joins travels to training in roster.json."""
    llms = (replace(LLMS[0], trained="row"), LLMS[1])
    assemble.write(assembled(llms=llms), tmp_path)
    loaded = dataset.load(tmp_path)
    assert [(llm.id, llm.trained) for llm in loaded.llms] == [("a-llm", "jointly"), ("b-llm", "row")]
    assert loaded.labels_QL[1].tolist() == [0.5, 0.0]


def test_what_each_llm_says_can_be_compared(tmp_path: Path) -> None:
    """The first sample's final answer in normal form stands beside its log-probability."""
    assemble.write(assembled(), tmp_path)
    assert dataset.final_answers(tmp_path) == {("q0000", "b-llm"): ("1", -0.2), ("q0001", "b-llm"): ("1", -0.2)}


def test_splits_that_leave_nothing_to_judge_by_are_refused_before_training() -> None:
    """Where queries came with splits and no labelled one is left to test on, that is said before any text is embedded."""
    shared = {f"q{n:04d}": 1.0 for n in range(60)}
    made = assembled(
        labels={"b-llm": labels("b-llm", shared), "a-llm": labels("a-llm", shared)}, predefined={f"q{n:04d}": "train" for n in range(200)}
    )
    with pytest.raises(
        PipelineError, match=r"no query of the test split is labelled for 2 LLMs.*import queries again with more marked test"
    ):
        assemble.require_splits(made)


def test_what_owners_call_their_queries_goes_along(tmp_path: Path) -> None:
    """The ids of every import, of queries that are in the pool."""
    brought = pd.DataFrame({"query_id": ["q0001", "gone"], "own_id": ["7", "8"]})
    tables.write(tmp_path / "mine.ids.parquet", brought, tables.OWN_IDS)
    assert assemble.read_own_ids(tmp_path, queries()).to_numpy().tolist() == [["q0001", "7"]]


@pytest.mark.usefixtures("project")
def test_training_queries_that_stand_in_test_too_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """A near-duplicate of a test query is kept from training, and the stage says how many are."""
    twins = [text_of(n % 150) + ("" if n < 150 else " Please explain.") for n in range(200)]
    tables.write(PROJECT.queries, queries(text=twins), tables.QUERIES)
    for llm in ("a-llm", "b-llm"):
        tables.write(PROJECT.labels(llm), labels(llm, dict.fromkeys(queries()["query_id"], 1)), tables.LABELS)
    brought = pd.DataFrame({"query_id": queries()["query_id"], "split": ["train"] * 150 + ["test"] * 50})
    tables.write(PROJECT.recorded_splits("mine"), brought, tables.SPLITS)
    assemble.main()
    assert "50 queries that came for training stand, or almost, in a split farther from it too" in capsys.readouterr().out
    data = dataset.load(PROJECT.dataset)
    assert set(data.splits_Q[:50]) == {"test"}
    assert set(data.splits_Q[50:150]) == {"train", "calibration", "validation"}
