"""Recorded outcomes with their embeddings, and the arguments that name them: what the benchmarks on recorded outcomes share."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import outcomes, prices
from pipelines import embeddings, params, train
from pipelines.dataset import Dataset
from scorer.initialisation import Labels
from scorer.training import Embedded
from scorer.types import Floats


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


def arguments(description: str, *, priced: bool = False) -> argparse.ArgumentParser:
    """A parser that knows what names recorded outcomes, and where `priced`, what their tokens cost."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--llms", type=names, default=(), help="comma-separated; all where none is named")
    parser.add_argument("--without", type=names, default=(), help="comma-separated LLMs to leave out")
    parser.add_argument("--complete", action="store_true", help="only LLMs with an outcome for every query")
    parser.add_argument("--group", default="dataset", help="column that says which queries belong together")
    parser.add_argument("--keep", help="use only this split of the folder's own, cut anew by hash")
    parser.add_argument("--most", type=int, help="take at most this many queries")
    if priced:
        parser.add_argument("--prices", type=Path, help="YAML of prices by LLM, such as benchmarks/prices.yaml")
        parser.add_argument("--output-tokens", type=float, help="length of answers whose tokens were not recorded")
    else:
        parser.set_defaults(prices=None, output_tokens=None)
    return parser


def names(typed: str) -> tuple[str, ...]:
    """What a comma-separated list names."""
    return tuple(name for name in typed.split(",") if name)


def wanted(given: argparse.Namespace) -> outcomes.Recorded:
    """What the arguments name. Raises PriceUnknown and TableRefused for an unusable price file."""
    return outcomes.Recorded(
        folder=given.folder,
        llms=given.llms,
        group=given.group,
        keep=given.keep,
        most=given.most,
        complete=given.complete,
        without=given.without,
        listed=prices.read(given.prices) if given.prices else None,
        output_tokens=given.output_tokens,
    )


def read(recorded: outcomes.Recorded) -> Outcomes:
    """The recorded outcomes, embedded by the encoder of params.yaml (cached)."""
    data = outcomes.read(recorded)
    encoder = train.load_encoder(params.load().train)
    return Outcomes(data, embeddings.trained_on(encoder, data.queries["text"].tolist()))
