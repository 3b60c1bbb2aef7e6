"""The table of all recorded sets: what it measures in a world whose best LLM is known, and how promises are checked."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import promises, recorded_set, report, scorer_sets, scorer_sets_tables
from pipelines import params
from scorer.text_features import NAMES
from tests.scorer import world


def test_every_row_in_and_out_of_domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours beats the best single LLM on known kinds of queries and is near the told lookup; the table has all rows."""
    monkeypatch.setattr(report, "RESAMPLES", 100)
    made = world.world(700, seed=3)
    ids, kinds = [f"q{place:04}" for place in range(700)], [f"kind-{kind}" for kind in made.kinds_Q]
    pd.DataFrame({"query_id": ids, "dataset": kinds, "query": made.texts}).to_parquet(tmp_path / "queries.parquet")
    known = [(ids[query], llm, made.labels_QL[query, place]) for query in range(700) for place, llm in enumerate(world.ROSTER)]
    pd.DataFrame(known, columns=["query_id", "llm", "score"]).to_parquet(tmp_path / "outcomes.parquet")
    data = recorded_set.read(tmp_path)
    vectors = dict(zip(made.texts, made.queries_QD, strict=True))
    vectors_QD = np.stack([np.append(vectors[text], np.zeros(len(NAMES), np.float32)) for text in data.queries["text"]])
    settings = params.load(Path("params.yaml")).train.model_copy(update={"epochs": 2})
    found = report.as_json(scorer_sets.measured(data, vectors_QD, settings))
    assert found["in"]["best single"][1][1] > 0  # the interval of ours less it
    assert abs(found["in"][scorer_sets_tables.TOLD][1][0]) < 0.05
    assert found["chosen"][0].startswith("groups by tags")
    assert (
        set(found["in"])
        == set(found["out"])
        > {"ridge, bare", "kNN, text features", "k-means, bare", "lookup by tag, guessed, bare", "ours"}
    )
    text = "\n\n".join(scorer_sets_tables.table({"one": found, "another": found}))
    assert text.count("| ours |") == 2
    assert "the defaults" in text or "ridge" in text
    opening, unseen = scorer_sets_tables.summary({"one": found}).splitlines(), scorer_sets_tables.unseen({"one": found}).splitlines()
    assert [line.split(" | ")[1] for line in opening[2:]] == ["in domain", "out of domain"]
    assert len(unseen) == 3
    assert f"{found['in']['best single'][0][0]:.3f}" in opening[2]


def test_a_share_of_each_split_is_kept(tmp_path: Path) -> None:
    """About so many queries, each split by its share; all where no number is given."""
    made = world.world(600, seed=3)
    ids = [f"q{place:04}" for place in range(600)]
    pd.DataFrame({"query_id": ids, "dataset": "one", "query": made.texts}).to_parquet(tmp_path / "queries.parquet")
    pd.DataFrame({"query_id": ids, "llm": "a", "score": made.labels_QL[:, 0]}).to_parquet(tmp_path / "outcomes.parquet")
    data = recorded_set.read(tmp_path)
    some = recorded_set.first_by_hash(data, 300)
    assert len(some.queries) == pytest.approx(300, abs=4)
    for split in recorded_set.SHARES:
        assert (some.splits_Q == split).mean() == pytest.approx((data.splits_Q == split).mean(), abs=0.02)
    assert recorded_set.first_by_hash(data, None) is data


def test_doubt_that_tells_is_told() -> None:
    """One kind is promised wrongly and doubted: AUROC 1, and the half that is doubted less has no error."""
    kinds_Q = np.repeat(["known", "unknown"], 50)
    labels_QL = np.repeat([[1.0, 1.0], [0.0, 0.0]], 50, axis=0)
    promised_QL = np.full((100, 2), 0.9, dtype=np.float32)
    doubt_QL = np.repeat([[0.01, 0.01], [0.3, 0.3]], 50, axis=0).astype(np.float32)
    found = promises.checked({"promised": promised_QL, "without trust": promised_QL, "doubt": doubt_QL}, labels_QL, kinds_Q)
    assert found["auroc"] == 1.0
    assert found["off"] == 0.5
    assert found["risk"] == pytest.approx([0.5, 0.1, 0.1], abs=1e-6)
    assert (found["promised"], found["reached"]) == (pytest.approx(0.9), pytest.approx(0.5))
