"""A folder of recorded outcomes read into a dataset, on one whose every cell is known, and the files that say how."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import recorded_set, set_file
from benchmarks.set_file import Reading
from pipelines.errors import TableRefused
from pipelines.imports import price_list

SETS = sorted((Path(__file__).parents[2] / "benchmarks" / "sets").glob("*.yaml"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty queries, ten a split, of which `q29` has the text of `q09`; `a` answered all rightly, `b` the even ones wrongly."""
    ids = [f"q{n:02}" for n in range(30)]
    texts = [f"Question {9 if n == 29 else n}?" for n in range(30)]
    splits = ["train"] * 10 + ["val"] * 10 + ["test"] * 10
    subjects = ["odd" if n % 2 else "even" for n in range(30)]
    pd.DataFrame({"query_id": ids, "dataset": "d", "subject": subjects, "query": texts, "split": splits}).to_parquet(
        tmp_path / "queries.parquet"
    )
    rows = [(query_id, "a", 1.0, 0.25) for query_id in ids] + [(query_id, "b", 0.0, None) for query_id in ids[::2]]
    pd.DataFrame(rows, columns=["query_id", "llm", "score", "cost"]).to_parquet(tmp_path / "outcomes.parquet")
    return tmp_path


def test_labels_and_costs_stand_where_they_belong(folder: Path) -> None:
    """Rows by query id, columns by LLM; what nobody answered is NaN and no zero; an unknown cost is unknown."""
    data = recorded_set.read(folder)
    assert data.roster == ("a", "b")
    even_Q = np.array([int(query_id[1:]) % 2 == 0 for query_id in data.queries["query_id"]])
    assert data.labels_QL[:, 0].tolist() == [1.0] * len(even_Q)
    assert data.labels_QL[even_Q, 1].tolist() == [0.0] * even_Q.sum()
    assert np.isnan(data.labels_QL[~even_Q, 1]).all()
    assert data.cost_QL[:, 0].tolist() == [0.25] * len(even_Q)
    assert np.isnan(data.cost_QL[:, 1]).all()


def test_a_text_in_two_splits_is_never_trained_on(folder: Path) -> None:
    """It belongs to the test; what is left out is the copy in training."""
    data = recorded_set.read(folder)
    split = dict(zip(data.queries["query_id"], data.splits_Q, strict=True))
    assert split["q29"] == "test"
    assert "q09" not in split
    assert {split[f"q{n:02}"] for n in range(9)} == {"train"}
    assert {split[f"q{n}"] for n in range(10, 20)} == {"calibration", "validation"}


def test_llms_are_chosen_by_name_or_by_what_they_answered(folder: Path) -> None:
    """`llms` in their order, `without` leaves out, `complete` drops those that lack an outcome."""
    assert recorded_set.read(folder, Reading(llms=("b", "a"))).roster == ("b", "a")
    assert recorded_set.read(folder, Reading(without=("a",))).roster == ("b",)
    assert recorded_set.read(folder, Reading(complete=True)).roster == ("a",)


def test_the_group_is_the_column_that_is_named(folder: Path) -> None:
    """Best per group and leaving groups out go by it."""
    assert set(recorded_set.read(folder, Reading(group="subject")).queries["dataset"]) == {"odd", "even"}


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_the_sets_that_ship_can_be_read(path: Path) -> None:
    """Each names what `Reading` knows, LLMs that have a price, and a price file that is there."""
    reading = set_file.read_reading(path)
    if reading.prices:
        listed = price_list.read(Path(__file__).parents[2] / reading.prices)
        assert len(set_file.prices_of(reading.llms, listed)) == len(reading.llms)


def test_a_mistyped_key_is_named_with_those_there_are(tmp_path: Path) -> None:
    """A set that is read by other rules than it says would show other figures."""
    (tmp_path / "mine.yaml").write_text("grup: domain\n")
    with pytest.raises(TableRefused, match=r"mine.yaml: grup.*llms, without, complete, group"):
        set_file.read_reading(tmp_path / "mine.yaml")
    with pytest.raises(TableRefused, match="cannot be read"):
        set_file.read_reading(tmp_path / "yours.yaml")


def test_a_command_line_names_folder_and_set(tmp_path: Path) -> None:
    """Without a set the whole folder is read as it is."""
    (tmp_path / "mine.yaml").write_text("keep: train\noutput_tokens: 200\n")
    parser = set_file.parser("A benchmark.", "mine")
    arguments = parser.parse_args(["FOLDER", "--set", str(tmp_path / "mine.yaml")])
    assert (arguments.folder, arguments.out) == (Path("FOLDER"), Path("build/benchmarks/mine"))
    assert set_file.named(arguments) == Reading(keep="train", output_tokens=200)
    assert set_file.named(parser.parse_args(["FOLDER"])) == Reading()
