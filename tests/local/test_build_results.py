"""What the demo reads of a project's build."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from local import build_results
from pipelines import dataset, tables
from pipelines.query_selection import in_hash_order
from tests.pipelines.trained_home import write_dataset


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project whose pipeline has registered version 7 with a failed gate."""
    build = tmp_path / "build"
    build.mkdir()
    (build / "registered.json").write_text(json.dumps({"version": 7}))
    (build / "metrics.json").write_text(json.dumps({"test.ours.quality": 0.62649, "test.best_single.quality": 0.632}))
    (build / "gate.json").write_text(json.dumps({"passed": False, "reasons": ["worse"]}))
    return tmp_path


def test_the_registered_version_is_told_with_its_quality(home: Path) -> None:
    """The figure stands beside the best single LLM's; the gate's word is the gate's."""
    assert build_results.version(home) == "7"
    assert build_results.registered(home) == "version 7 registered, test quality 0.626 (best single LLM 0.632)"
    assert not build_results.gate_passed(home)
    (home / "build" / "gate.json").write_text(json.dumps({"passed": True}))
    assert build_results.gate_passed(home)


def test_queries_are_sampled_from_a_split_in_an_order_of_their_own(tmp_path: Path) -> None:
    """The same ones each time, of that split only, the smaller sample within the larger; never one that was trained on."""
    write_dataset(tmp_path / "build" / "dataset", queries=120)
    five, ten = build_results.sample(tmp_path, 5, "test"), build_results.sample(tmp_path, 10, "test")
    assert [query["query_id"] for query in ten[:5]] == [query["query_id"] for query in five]
    ids = [query["query_id"] for query in ten]
    assert ids == in_hash_order(ids)
    loaded = dataset.load(tmp_path / "build" / "dataset")
    split = dict(zip(loaded.queries["query_id"], loaded.splits_Q, strict=True))
    assert {split[query_id] for query_id in ids} == {"test"}
    assert set(five[0]) == set(tables.QUERIES.names)
    assert all(query["domain"] == "biomedicine" for query in build_results.sample(tmp_path, 50, "ood"))


def test_queries_are_counted_without_reading_them(tmp_path: Path) -> None:
    """As many as the table has rows."""
    rows = [dict.fromkeys(tables.QUERIES.names, "x") | {"query_id": str(number), "choices": []} for number in range(12)]
    tables.write(tmp_path / "data" / "queries.parquet", pd.DataFrame(rows), tables.QUERIES)
    assert build_results.query_count(tmp_path) == 12


def test_only_answers_that_travel_and_are_not_here_are_pulled(tmp_path: Path) -> None:
    """Not of retired LLMs, not of those no lock names, and never over answers that are here already."""
    price = {"input": 1, "output": 1}
    entries = {name: {"name": name, "endpoint": None, "price": price} for name in ("here", "away", "new")}
    entries["gone"] = {**entries["away"], "status": "retired"}
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "pool.yaml").write_text(yaml.safe_dump({"llms": entries}))
    assert build_results.stages_to_pull(tmp_path) == []
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": {f"answer@{name}": {} for name in ("here", "away", "gone")}}))
    (tmp_path / "build" / "answers").mkdir(parents=True)
    (tmp_path / "build" / "answers" / "here.parquet").touch()
    assert build_results.stages_to_pull(tmp_path) == ["answer@away"]
