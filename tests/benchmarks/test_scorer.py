"""The harness on a recorded world whose best LLM per query is known: splits, figures, what is held apart."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import costs, recorded_set, report, scorer, scorer_tables
from benchmarks.rivals import routerdc, routers
from benchmarks.set_file import Reading
from pipelines import params
from pipelines.comparison import OURS
from pipelines.dataset import Dataset
from pipelines.errors import TableRefused
from scorer import training
from scorer.baselines import Embed
from tests.pipelines import trained_home
from tests.scorer import world

QUERIES = 1200
DRAWN = (OURS, "random", "cluster lookup", routers.PUBLISHED)  # what a seed changes


def write(folder: Path, *, queries: int = QUERIES, **more: list[str]) -> world.World:
    """A folder as somebody's recorded outcomes would be, a third of the labels missing."""
    made = world.world(queries, seed=3)
    ids = [f"q{place:04}" for place in range(queries)]
    kinds = [f"kind-{kind}" for kind in made.kinds_Q]
    pd.DataFrame({"query_id": ids, "dataset": kinds, "domain": kinds, "query": made.texts, **more}).to_parquet(folder / "queries.parquet")
    dice = np.random.default_rng(0)
    known = [(ids[query], llm, made.labels_QL[query, place]) for query in range(queries) for place, llm in enumerate(world.ROSTER)]
    kept = [row for row in known if dice.random() < 0.7]
    pd.DataFrame(kept, columns=["query_id", "llm", "score"]).to_parquet(folder / "outcomes.parquet")
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, world.World]:
    """The recorded world, read, and its truth."""
    folder = tmp_path_factory.mktemp("recorded")
    truth = write(folder)
    return recorded_set.read(folder), truth


def plans(seeds: int) -> list[training.Plan]:
    """Few epochs suffice here."""
    return scorer.plans(params.load(Path("params.yaml")).train.model_copy(update={"epochs": 3}), seeds)


def embed_by(truth: world.World) -> Embed:
    """Looks a text's embedding up."""
    vectors = dict(zip(truth.texts, truth.queries_QD, strict=True))
    return lambda texts: np.stack([vectors[text] for text in texts])


def test_splits_are_made_by_hash(made: tuple[Dataset, world.World]) -> None:
    """Four parts in the stated proportions; a missing label is NaN; equal texts count once, so none is in two parts."""
    data, _ = made
    for name, share in recorded_set.SHARES.items():
        assert (data.splits_Q == name).mean() == pytest.approx(share, abs=0.04)
    assert data.queries["text"].is_unique
    assert 0.2 < np.isnan(data.labels_QL).mean() < 0.4
    assert data.roster == tuple(sorted(world.ROSTER))


def test_a_folders_own_splits_are_kept(tmp_path: Path) -> None:
    """Its test queries stay the test queries, its val is halved; `keep` cuts one split anew and leaves the others out."""
    own = (["train"] * 8 + ["val", "test"]) * (QUERIES // 10)
    write(tmp_path, split=own)
    data = recorded_set.read(tmp_path)
    came_from = dict(zip((f"q{place:04}" for place in range(QUERIES)), own, strict=True))
    for query_id, split in zip(data.queries["query_id"], data.splits_Q, strict=True):
        assert {"calibration": "val", "validation": "val"}.get(split, split) == came_from[query_id]
    kept = recorded_set.read(tmp_path, Reading(keep="train"))
    assert {came_from[query_id] for query_id in kept.queries["query_id"]} == {"train"}
    assert set(kept.splits_Q) == set(recorded_set.SHARES)


def test_every_system_has_its_figures(made: tuple[Dataset, world.World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where routing pays, ours gains over the best single LLM beyond doubt; the oracle closes the gap; choices can be scored again."""
    monkeypatch.setattr(routerdc, "STEPS", 100)
    monkeypatch.setattr(report, "RESAMPLES", 200)
    data, truth = made
    parts = routers.split(data)
    rows = {router.name: router for router in routers.trained(parts, data, embed_by(truth), plans(2))}
    found = {name: scorer_tables.figures(system, rows, parts["test"].labels_QL, 0.0) for name, system in rows.items()}
    assert list(rows) == list(routers.ORDER)
    assert {name: len(row.rules) for name, row in rows.items() if len(row.rules) > 1} == dict.fromkeys(DRAWN, 2)
    assert found[OURS]["over best single"].low > 0.05
    assert found["oracle"]["gap closed"] == pytest.approx(1)
    assert found["best single"]["gap closed"] == pytest.approx(0)
    assert found[routers.PUBLISHED]["quality"].mean > found["random"]["quality"].mean
    assert found[OURS]["worst ECE"] >= found[OURS]["ECE"]
    assert 0 < found[OURS]["by chance"] < 0.2
    text = scorer_tables.routers_table(found, {name: system.detail for name, system in rows.items()})
    assert all(f"\n| {name} " in text for name in rows)
    scorer.write_choices(tmp_path / "choices.csv", rows, parts["test"])
    with (tmp_path / "choices.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["system"] == "kNN"]
    labels = pd.DataFrame(parts["test"].labels_QL, index=parts["test"].queries["query_id"], columns=list(data.roster))
    again = np.mean([labels.loc[line["query_id"], line["llm"]] for line in lines])
    assert again == pytest.approx(found["kNN"]["quality"].mean)


def test_a_group_left_out_is_never_trained_on(made: tuple[Dataset, world.World], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each group is tested whole by systems that saw none of it."""
    data, truth = made
    seen = []
    real = routers.trained

    def noted(parts: dict[str, Dataset], *arguments: object, **more: object) -> list[routers.Router]:
        seen.append({name: set(part.queries["dataset"]) for name, part in parts.items()})
        return real(parts, *arguments, **more)

    monkeypatch.setattr(routers, "trained", noted)
    apart = scorer.leave_out(data, embed_by(truth), plans(1)[0])
    assert set(apart) == set(data.queries["dataset"])
    for groups in seen:
        (tested,) = groups["test"]
        assert all(tested not in groups[name] for name in ("train", "calibration", "validation", "heldout"))
    assert "mean of groups" in scorer_tables.left_out_table(apart)


def test_settings_are_those_of_the_pipeline() -> None:
    """A value of params.yaml reaches the plan; each seed has a plan of its own."""
    settings = params.load(Path("params.yaml")).train
    first, second = scorer.plans(settings.model_copy(update={"ridge": 30.5}), 2)
    assert (first.shrinkage.ridge, first.epochs, first.seed, second.seed) == (30.5, settings.epochs, 0, 1)


def test_unknown_splits_are_refused(tmp_path: Path) -> None:
    """A folder's published test queries are never cut into training ones unasked."""
    write(tmp_path, split=(["train", "test"] * QUERIES)[:QUERIES])
    with pytest.raises(TableRefused, match="keep: train"):
        recorded_set.read(tmp_path)


def test_one_command_on_ones_own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with nothing but query, LLM, score and cost gives every file."""
    home = trained_home.trained_home(tmp_path / "home")
    monkeypatch.setattr(routerdc, "STEPS", 50)
    monkeypatch.setattr(report, "RESAMPLES", 50)
    monkeypatch.chdir(home)
    mine = tmp_path / "mine"
    mine.mkdir()
    write(mine, queries=200)
    recorded = pd.read_parquet(mine / "outcomes.parquet")
    recorded.assign(cost=recorded["llm"].map({llm: 1e-4 * 10**place for place, llm in enumerate(world.ROSTER)})).to_parquet(
        mine / "outcomes.parquet"
    )
    monkeypatch.setattr("sys.argv", ["benchmarks/scorer.py", str(mine), "--seeds", "1", "--out", str(tmp_path / "out")])
    scorer.main()
    said = (tmp_path / "out" / "table.md").read_text()
    assert said.startswith("`python -m benchmarks.scorer FOLDER/mine")
    assert "\n| cheapest | " in said
    assert "int8 encoder against fp32" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"table.md", "results.json", "choices.csv", "curve.svg", "curve.vl.json"}


def test_the_default_pools_dataset_is_read_too(tmp_path: Path) -> None:
    """build/dataset: its own splits and costs, out-of-domain queries apart, LLMs with too few labels left out; read whole or not at all."""
    folder = trained_home.trained_home(tmp_path / "home") / "build" / "dataset"
    data = recorded_set.read(folder, Reading(group="domain"))
    assert data.roster == world.ROSTER
    assert set(data.splits_Q) == set(recorded_set.SHARES)
    assert costs.priced(routers.split(data)) is not None
    with pytest.raises(TableRefused, match="read whole"):
        recorded_set.read(folder, Reading(llms=("maths-llm",)))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"folder": Path("mistyped")}, r"mistyped/queries.parquet: cannot be read .* FOLDER must hold"),
        ({"llms": ("maths-lm",)}, r"no outcome of an LLM called 'maths-lm'. It has maths-llm"),
        ({"without": ("nobody",)}, r"no outcome of an LLM called 'nobody'"),
        ({"group": "subject"}, r"no column 'subject'. Name one with `group` in the file for --set: query_id, dataset, domain"),
        ({"keep": "train"}, r"no column 'split'"),
    ],
)
def test_what_is_mistyped_is_named(tmp_path: Path, wanted: dict[str, object], said: str) -> None:
    """The value that is wrong, and what to write instead."""
    write(tmp_path)
    with pytest.raises(TableRefused, match=said):
        recorded_set.read(wanted.pop("folder", tmp_path), Reading(**wanted))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    """A table without a score is refused by the name of the column."""
    write(tmp_path)
    pd.read_parquet(tmp_path / "outcomes.parquet").drop(columns="score").to_parquet(tmp_path / "outcomes.parquet")
    with pytest.raises(TableRefused, match="no column 'score', only query_id, llm"):
        recorded_set.read(tmp_path)
