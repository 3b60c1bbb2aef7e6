"""Recorded outcomes with their embeddings, and the arguments that name them: what the benchmarks on recorded outcomes share."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import outcomes
from pipelines import embeddings, params, train
from pipelines.dataset import Dataset
from scorer.interface import Floats
from scorer.start import Labels
from scorer.training import Embedded


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Queries as the encoder sees them, beside their dataset."""

    data: Dataset
    queries_QD: Floats

    @property
    def labels_QL(self) -> Labels:  # noqa: D102
        return self.data.labels_QL

    def take(self, *splits: str) -> "Outcomes":
        """The queries of these splits."""
        return self.where(np.isin(self.data.splits_Q, splits))

    def where(self, keep_Q: NDArray[np.bool_]) -> "Outcomes":
        """The queries that are kept."""
        return Outcomes(self.data.where(keep_Q), self.queries_QD[keep_Q])

    def embedded(self) -> Embedded:
        """As the training loop wants them."""
        return Embedded(self.queries_QD, self.labels_QL)


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser that knows FOLDER, --llms, --group, --keep and --most."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--llms", default="", help="comma-separated; all where none is named")
    parser.add_argument("--group", default="dataset", help="column that says which queries belong together")
    parser.add_argument("--keep", help="use only this split of the folder's own, cut anew by hash")
    parser.add_argument("--most", type=int, help="take at most this many queries")
    return parser


def outcomes_of(given: argparse.Namespace, llms: tuple[str, ...] | None = None) -> Dataset:
    """What the arguments name; `llms` instead of the named ones where given."""
    named = tuple(name for name in given.llms.split(",") if name) if llms is None else llms
    return outcomes.read(outcomes.Recorded(given.folder, named, given.group, given.keep, given.most))


def read(given: argparse.Namespace, llms: tuple[str, ...] | None = None) -> Outcomes:
    """The same, embedded by the encoder of params.yaml (cached)."""
    data = outcomes_of(given, llms)
    encoder = train.load_encoder(params.load().train)
    return Outcomes(data, embeddings.trained_on(encoder, data.queries["text"].tolist()))
