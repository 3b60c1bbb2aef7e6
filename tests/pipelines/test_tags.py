"""Which of a training query's columns is its tag."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import tags
from pipelines.dataset import Dataset
from tests.pipelines import trained_home as homes


@pytest.mark.parametrize(
    ("datasets", "domains", "expected"),
    [
        (["a", "b"] * 50, ["x", "y"] * 50, "dataset"),
        (["mine"] * 100, ["x", "y"] * 50, "domain"),
        ([f"set {place // 5}" for place in range(100)], ["x", "y"] * 50, "domain"),
        (["mine"] * 100, ["x"] * 100, None),
        (["mine"] * 95 + ["rare"] * 5, ["x"] * 100, None),
    ],
)
def test_the_finer_column_that_says_enough(datasets: list[str], domains: list[str], expected: str | None, home: Dataset) -> None:
    """The dataset where most queries are of a common one; else the domain; nothing where neither tells queries apart."""
    some = home.where(np.arange(len(home.queries)) < 100)
    queries = pd.DataFrame(some.queries).assign(dataset=datasets, domain=domains)
    tagged = Dataset(queries, some.llms, some.labels_QL, some.cost_QL, some.latency_QL, some.splits_Q)
    assert tags.of(tagged) == {"dataset": datasets, "domain": domains, None: None}[expected]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A dataset of some hundred queries."""
    folder: Path = tmp_path_factory.mktemp("tags") / "home"
    return homes.loaded(homes.trained_home(folder))
