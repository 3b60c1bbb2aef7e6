"""Recorded outcomes as `benchmarks.joining` needs them: heads of some LLMs, trained whole or joined by rows, and what a new LLM gains."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer import calibration, metrics, training
from scorer.initialisation import Embedded, Labels
from scorer.row_fit import TrainedScorer, add_rows
from scorer.types import Floats
from scorer.weights import Calibration, HeadWeights

Head = tuple[HeadWeights, Calibration]
Places = NDArray[np.int64]  # of training queries


@dataclass(frozen=True, slots=True)
class JoiningSet:
    """Recorded outcomes by split: embeddings and labels. `plan`: how heads are trained. LLMs are named by their columns."""

    roster: tuple[str, ...]
    queries: dict[str, Floats]
    labels: dict[str, Labels]
    plan: training.Plan

    def labelled(self, llm: int) -> Places:
        """The training queries an LLM has a label on."""
        return np.flatnonzero(~np.isnan(self.labels["train"][:, llm]))

    def known(self, head: Head, llms: list[int]) -> TrainedScorer:
        """A head of these LLMs with its training queries."""
        return TrainedScorer(*head, self.queries["train"], self.labels["train"][:, llms])

    def whole(self, llms: list[int], few: Mapping[int, Places] | None = None) -> tuple[Head, float]:
        """The whole head trained for some LLMs, those of `few` on these training labels alone; and its CPU seconds."""
        labels = {name: labels_QL.copy() for name, labels_QL in self.labels.items()}
        for llm, places in (few or {}).items():
            kept_Q = self.labels["train"][places, llm]
            for labels_QL in labels.values():
                labels_QL[:, llm] = np.nan
            labels["train"][places, llm] = kept_Q
        parts = {name: Embedded(self.queries[name], labels[name][:, llms]) for name in ("train", "calibration", "validation")}
        began = time.process_time()
        trained = training.train(tuple(self.roster[llm] for llm in llms), parts["train"], parts["validation"], self.plan)
        fitted = calibration.fit(trained.weights.logits(parts["calibration"].queries_QD), parts["calibration"].labels_QL)
        return (trained.weights, fitted), time.process_time() - began

    def by_rows(self, known: TrainedScorer, asked: Mapping[int, Places]) -> Head:
        """`known` and the LLMs of `asked`, each joined by its row from its labels on the training queries at its places."""
        labels_QN = np.full((len(known.queries_QD), len(asked)), np.nan)
        for column, (llm, places) in enumerate(asked.items()):
            labels_QN[places, column] = self.labels["train"][places, llm]
        return add_rows(known, tuple(self.roster[llm] for llm in asked), labels_QN)

    def joins(self, llm: int, known: TrainedScorer, draws: Sequence[Places], splits: Sequence[str] = ("test",)) -> "Joins":
        """An LLM joins `known`, which has all others, once by each draw of labels: means over draws on the queries of `splits`."""
        queries_QD = np.concatenate([self.queries[name] for name in splits])
        labels_QL = np.concatenate([self.labels[name] for name in splits])
        llms = [*(other for other in range(len(self.roster)) if other != llm), llm]
        before = scores((known.weights, known.calibration), queries_QD)
        each = [joins_of(scores(self.by_rows(known, {llm: places}), queries_QD), before, labels_QL, llms) for places in draws]
        gains_Q, ece, log_losses = zip(*((one.gains[0], one.ece[0], one.log_loss[0]) for one in each), strict=True)
        return Joins([np.mean(gains_Q, axis=0)], [float(np.mean(ece))], [float(np.mean(log_losses))])


@dataclass(frozen=True, slots=True)
class Joins:
    """One way to join, for each LLM that was left out: gain per test query (mean over draws), and the row's ECE and log-loss."""

    gains: list[NDArray[np.float64]]
    ece: list[float]
    log_loss: list[float]

    def total_Q(self) -> NDArray[np.float64]:
        """The gains summed over LLMs, per test query."""
        return np.asarray(np.sum(self.gains, axis=0), dtype=np.float64)

    def __add__(self, other: "Joins") -> "Joins":
        return Joins(self.gains + other.gains, self.ece + other.ece, self.log_loss + other.log_loss)


def joins_of(after_QL: Floats, before_QL: Floats, labels_QL: Labels, llms: list[int]) -> Joins:
    """The last of `llms` joined the others: scores of all after and of the others before."""
    own_Q1 = labels_QL[:, [llms[-1]]]
    last_Q1 = after_QL[:, [-1]]
    return Joins([gain(after_QL, before_QL, labels_QL, llms)], [metrics.calibration_error(last_Q1, own_Q1)], [log_loss(last_Q1, own_Q1)])


def scores(head: Head, queries_QD: Floats) -> Floats:
    """Calibrated scores_QL."""
    return head[1].probabilities(head[0].logits(queries_QD))


def gain(after_QL: Floats, before_QL: Floats, labels_QL: Labels, llms: list[int]) -> NDArray[np.float64]:
    """gain_Q of choosing among `llms` by `after` over choosing among all but the last by `before`; 0 where nobody is labelled."""
    return np.nan_to_num(metrics.quality(after_QL, labels_QL[:, llms]) - metrics.quality(before_QL, labels_QL[:, llms[:-1]]))


def log_loss(scores_QL: Floats, labels_QL: Labels) -> float:
    """Mean cross-entropy over known labels."""
    chances_QL = np.clip(scores_QL.astype(np.float64), 1e-6, 1 - 1e-6)
    return -float(np.nanmean(labels_QL * np.log(chances_QL) + (1 - labels_QL) * np.log(1 - chances_QL)))
