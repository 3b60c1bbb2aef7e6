"""What training queries are tagged with: their `dataset`, or where that says too little their `domain`."""

from collections import Counter

from pipelines.dataset import Dataset
from scorer.initialisation import FEWEST_TAGGED

COLUMNS = ("dataset", "domain")  # the finer one first
LEAST_SHARE = 0.8  # of the training queries, in tags that are common enough


def of(train: Dataset) -> list[str] | None:
    """Each query's tag by the first column with two common tags or more that hold most queries; None where there is no such column."""
    for column in COLUMNS:
        tags: list[str] = train.queries[column].astype(str).tolist()
        common = [count for count in Counter(tags).values() if count >= FEWEST_TAGGED]
        if len(common) >= 2 and sum(common) >= LEAST_SHARE * len(tags):
            return tags
    return None
