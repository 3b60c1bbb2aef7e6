"""Which LLMs and queries of the dataset train the scorer, calibrate it and choose between epochs."""

import sys
from dataclasses import dataclass

import numpy as np

from pipelines.dataset import Dataset
from scorer.errors import TrainingError

LEAST_JOINTLY = 2  # a row is fitted beside the rows of others


@dataclass(frozen=True, slots=True)
class Parts:
    """The dataset's splits that training reads, for the LLMs trained together. Held out: calibration and validation."""

    roster: tuple[str, ...]
    train: Dataset
    calibration: Dataset
    validation: Dataset
    held_out: Dataset


def apart(data: Dataset, min_labels: int) -> tuple[Dataset, Dataset]:
    """The LLMs to train together, and those that join by their row; those with too few training labels in neither.

    Where fewer than two would be trained together, all are. Raises TrainingError where no LLM has labels enough.
    """
    enough = with_labels(data, min_labels)
    by_row_L = np.array([llm.trained == "row" for llm in enough.llms])
    if by_row_L.any() and (~by_row_L).sum() < LEAST_JOINTLY:
        names = ", ".join(llm.id for llm in enough.llms if llm.trained == "row")
        print(
            f"Trained jointly, not by row: {names}; fewer than {LEAST_JOINTLY} others have {min_labels} training labels.", file=sys.stderr
        )
        by_row_L[:] = False
    return enough.columns(~by_row_L), enough.columns(by_row_L)


def with_labels(data: Dataset, min_labels: int) -> Dataset:
    """Only the LLMs with at least `min_labels` training labels; the others are named on stderr. Raises TrainingError where all are."""
    counts_L = (~np.isnan(data.take("train").labels_QL)).sum(axis=0)
    for llm, count in zip(data.roster, counts_L, strict=True):
        if count < min_labels:
            print(f"Left out of the roster: {llm} has {count} training labels, {min_labels} are needed.", file=sys.stderr)
    if (counts_L < min_labels).all():
        raise TrainingError(f"no LLM has {min_labels} training labels.", next_step="Answer and label more queries (`dvc repro label`).")
    return data.columns(counts_L >= min_labels)


def split(data: Dataset) -> Parts:
    """The splits that training reads, each without the queries that none of its LLMs is labelled on."""
    train, calibration, validation, held_out = (
        data.take(*names).labelled() for names in (("train",), ("calibration",), ("validation",), ("calibration", "validation"))
    )
    return Parts(data.roster, train, calibration, validation, held_out)
