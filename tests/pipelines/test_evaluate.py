"""The stage `evaluate`: every file it promises, with figures that a known world makes checkable."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import dataset, evaluate, qualities, tables
from pipelines.errors import PipelineError, TableRefused
from pipelines.project import Project
from scorer.errors import ArtifactRefused
from tests.pipelines import trained_home as homes

PLOTS = ("quality-cost.png", "calibration.png", "domains.png")
ROWS = ("ours", "random", "cheapest", "best_single", "best_per_dataset", "kNN", "ridge", "matrix_factorisation", "cluster_lookup", "oracle")


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after evaluation; nobody changes it."""
    home = homes.trained_home(tmp_path_factory.mktemp("judged") / "home")
    first = homes.loaded(home).labelled().queries["query_id"][0]
    own_ids = pd.DataFrame({"query_id": [first], "own_id": ["row 7"]})
    tables.write(Project(home).dataset / dataset.OWN_IDS_FILE, own_ids, tables.OWN_IDS)
    evaluate.run(Project(home))
    return home


def test_every_row_has_its_figures_on_every_split(judged: Path) -> None:
    """Flat numbers with intervals around them, for us and all nine baselines; all of them finite."""
    report = json.loads((Project(judged).metrics).read_text())
    for split in ("validation", "test", "ood"):
        for row in ROWS:
            low, mean, high = (report[f"{split}.{row}.quality{end}"] for end in (".low", "", ".high"))
            assert low <= mean <= high
    assert all(isinstance(value, float) and np.isfinite(value) for value in report.values())


def test_the_scorer_stands_between_best_single_and_oracle(judged: Path) -> None:
    """In a world made to be routed, routing gains beyond doubt; nobody passes the oracle, whose regret is 0."""
    report = json.loads((Project(judged).metrics).read_text())
    assert report["test.gain_over_best_single.low"] > 0.1
    assert report["test.gain_over_oracle.high"] <= 0
    assert report["test.oracle.regret"] == 0
    assert report["test.oracle.hit1_any"] == 1
    assert report["test.cheapest.cost_usd"] == pytest.approx(1e-5, rel=0.2)  # dearer only where the cheapest is unlabelled
    assert report["int8.same_choice"] > 0.9
    assert report["test.ours.ece"] < 0.15


def test_tables_and_pictures_are_written(judged: Path) -> None:
    """A Markdown table with each row, results with the slices, three pictures."""
    folder = Project(judged).evaluation
    text = (folder / "table.md").read_text()
    for row in ROWS:
        assert f"| {row.replace('_', ' ')} (" in text
    results = json.loads((folder / "results.json").read_text())
    assert "biomedicine (ood)" in results["domains"]
    assert {"mathematics", "coding", "reading"} <= set(results["domains"])
    for name in PLOTS:
        assert (folder / "plots" / name).read_bytes().startswith(b"\x89PNG")


def test_decisions_name_an_llm_for_every_labelled_query(judged: Path) -> None:
    """One line per query of the dataset with a label, its owner's id, its split, an LLM of the roster and its score."""
    whole = homes.loaded(judged)
    data = whole.where(~np.isnan(whole.labels_QL).all(axis=1))
    assert len(data.queries) < len(whole.queries)
    with (Project(judged).evaluation / "decisions.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["query_id"] for line in lines] == data.queries["query_id"].tolist()
    assert lines[0]["own_id"] == "row 7"
    assert not any(line["own_id"] for line in lines[1:])
    assert {line["split"] for line in lines} == set(data.splits_Q)
    assert all(line["llm"] in data.roster and 0 <= float(line["score"]) <= 1 for line in lines)


def test_test_and_out_of_domain_queries_of_a_set_stand_side_by_side(judged: Path) -> None:
    """Of all queries the figures are the report's; of one dataset they are its own; a misspelt set is refused with near ones."""
    project = Project(judged)
    report = json.loads(project.metrics.read_text())
    reached = qualities.side_by_side(qualities.read(project.evaluation), resamples=50)
    for split in ("test", "ood"):
        assert reached["ours"][split].quality.mean == pytest.approx(report[f"{split}.ours.quality"])
        assert reached["best single"][split].gain.mean == pytest.approx(report[f"{split}.gain_over_best_single"])
        assert reached["ours"][split].queries == report[f"{split}.queries"]
    assert next(iter(reached)) == "ours"
    assert qualities.read(project.evaluation, "synthetic").equals(qualities.read(project.evaluation))
    apart = qualities.side_by_side(qualities.read(project.evaluation, "biomedicine"), resamples=50)
    assert set(apart["ours"]) == {"ood"}
    with pytest.raises(TableRefused, match=r"set or dataset 'biomedicin'\. Did you mean biomedicine"):
        qualities.read(project.evaluation, "biomedicin")


def test_test_labels_decide_nothing(judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every test label turned around, no scorer and no baseline but the oracle chooses otherwise."""
    taken: list[dict[str, list[int]]] = []
    judge = evaluate.judge

    def watched(data, ours, rivals, embed, settings):
        texts = data.queries["text"].tolist()
        taken.append({rival.name: rival.score(texts).scores_QL.argmax(axis=1).tolist() for rival, _ in rivals})
        return judge(data, ours, rivals, embed, settings)

    home = homes.trained_home(tmp_path / "home")
    monkeypatch.setattr(evaluate, "judge", watched)
    evaluate.run(Project(home))
    load = evaluate.dataset.load

    def turned(folder: Path):
        data = load(folder)
        data.labels_QL[data.splits_Q == "test"] = 1 - data.labels_QL[data.splits_Q == "test"]
        return data

    monkeypatch.setattr(evaluate.dataset, "load", turned)
    evaluate.run(Project(home))
    before, after = taken[1], taken[4]  # validation, test, ood; twice
    assert {name for name in before if before[name] != after[name]} == {"oracle"}


def test_what_cannot_be_judged_is_said(judged: Path, tmp_path: Path) -> None:
    """No test query, another roster, or a broken scorer: an error with the way out, and the old evaluation stays."""
    home = homes.trained_home(tmp_path / "home")
    (Project(home).scorer / "roster.json").write_text('{"llms": ["a"]}')
    with pytest.raises(ArtifactRefused, match="sha256"):
        evaluate.run(Project(home))
    home = homes.trained_home(tmp_path / "other")
    homes.write_dataset(Project(home).dataset, queries=5, newcomer=False)
    with pytest.raises(PipelineError, match="no labelled query in the test split"):
        evaluate.run(Project(home))
