"""Parts of a dataset: by query, by LLM, side by side."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from pipelines.dataset import Dataset, RosterLLM

GRIDS = ("labels_QL", "cost_QL", "latency_QL", "weights_QL")


@pytest.fixture
def data() -> Dataset:
    """Five queries by three LLMs, each array with values of its own; label [q, l] is missing where q < l."""
    dice = np.random.default_rng(0)
    grids = {name: dice.random((5, 3)) for name in GRIDS}
    grids["labels_QL"][np.triu_indices(3, k=1)] = np.nan
    llms = tuple(RosterLLM(name, name, "active", 1.0, 1.0) for name in "abc")
    return Dataset(
        queries=pd.DataFrame({"query_id": list("vwxyz")}),
        llms=llms,
        splits_Q=np.array(["train", "test", "train", "test", "ood"]),
        **grids,
    )


def test_every_array_goes_with_its_queries(data: Dataset) -> None:
    """Taking splits takes the same rows of each array and of the table, whose index starts anew."""
    part = data.take("test", "ood")
    assert part.queries["query_id"].tolist() == ["w", "y", "z"]
    assert part.queries.index.tolist() == [0, 1, 2]
    assert part.splits_Q.tolist() == ["test", "test", "ood"]
    for name in GRIDS:
        np.testing.assert_array_equal(getattr(part, name), getattr(data, name)[[1, 3, 4]])


def test_columns_taken_apart_and_put_together_are_the_same(data: Dataset) -> None:
    """The LLMs kept and those left, side by side, are the dataset again, in the new order."""
    keep_L = np.array([True, False, True])
    kept, left = data.columns(keep_L), data.columns(~keep_L)
    assert (kept.roster, left.roster) == (("a", "c"), ("b",))
    together = kept.beside(left)
    assert together.roster == ("a", "c", "b")
    for name in GRIDS:
        np.testing.assert_array_equal(getattr(together, name), getattr(data, name)[:, [0, 2, 1]])
    assert together.columns(np.array([True, True, False])).llms == kept.llms


def test_a_query_is_labelled_where_enough_llms_are(data: Dataset) -> None:
    """Without labels it teaches nothing; with one there is no choice to judge."""
    assert len(data.labelled().queries) == 5
    assert data.labelled(2).queries["query_id"].tolist() == ["w", "x", "y", "z"]
    assert data.labelled(3).queries["query_id"].tolist() == ["x", "y", "z"]


def test_without_weights_there_are_none_to_take(data: Dataset) -> None:
    """A dataset whose labels all count in full stays one."""
    plain = Dataset(**{field.name: getattr(data, field.name) for field in fields(Dataset) if field.name != "weights_QL"})
    assert plain.take("train").columns(np.array([True, False, False])).weights_QL is None
