"""What the demo says of scorer versions and traffic in figures: each beside its baseline, differences with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from local.traffic import Served
from pipelines import dataset, gate
from pipelines.dataset import Dataset
from pipelines.project import Project
from registry import gate_rules
from registry.gate_rules import ValidationLabels
from scorer import metrics
from scorer.metrics import Interval

RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Compared:
    """Two scorer versions on the same queries, none of which either was trained on.

    before, after: mean label of their choices; gain: the paired difference. closer: by how much the squared error of the promises shrank.
    cost: USD a query by the recorded answers, before and after; NaN where unknown.
    """

    queries: int
    before: float
    after: float
    gain: Interval
    closer: Interval
    cost: tuple[float, float]

    def quality(self) -> str:
        """The choices of both in words."""
        return f"quality {self.before:.3f} -> {self.after:.3f} ({signed(self.gain)}, {self.queries} queries that none was trained on)"


def signed(interval: Interval) -> str:
    """A difference and its 95 % interval."""
    return f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def compare(home: Path, before: Path, after: Path, data: Dataset) -> Compared:
    """The scorer artifacts in two folders on the labelled queries of `data`."""
    cache = Project(home).embeddings
    labels = ValidationLabels(data.roster, data.labels_QL, data.queries["domain"].to_numpy(dtype=np.str_))
    old, new = gate.scored(before, data, cache), gate.scored(after, data, cache)
    old_Q, new_Q = (gate_rules.realised_quality(scores, labels) for scores in (old, new))
    costs = ValidationLabels(data.roster, np.where(np.isnan(data.labels_QL), np.nan, data.cost_QL), labels.domains_Q)
    cost = tuple(metrics.mean(gate_rules.realised_quality(scores, costs)) for scores in (old, new))
    return Compared(
        queries=int(np.isfinite(old_Q).sum()),
        before=metrics.mean(old_Q),
        after=metrics.mean(new_Q),
        gain=metrics.difference(new_Q, old_Q, resamples=RESAMPLES),
        closer=metrics.interval(gate_rules.closer_promises(new, old, labels), resamples=RESAMPLES),
        cost=(cost[0], cost[1]),
    )


def test_split(home: Path) -> Dataset:
    """The project's test queries with labels of two LLMs or more."""
    return dataset.load(Project(home).dataset).take("test").labelled(2)


def best_single(data: Dataset) -> str:
    """The LLM with the best mean label in training, of those asked about half of the queries or more."""
    train = data.take("train")
    share_L = (~np.isnan(train.labels_QL)).mean(axis=0)
    means_L = np.where(share_L >= 0.5, np.nanmean(train.labels_QL, axis=0), -np.inf)
    return train.roster[int(means_L.argmax())]


def each_llm(data: Dataset) -> str:
    """A line an LLM: how many of all queries it answered right, at what cost; last what choosing the cheapest right one would come to."""
    lines = [
        f"{llm}: {np.nanmean(labels_Q):.0%} right of {np.isfinite(labels_Q).sum()}, {1e6 * np.nanmean(cost_Q):.1f} USD a million"
        for llm, labels_Q, cost_Q in zip(data.roster, data.labels_QL.T, data.cost_QL.T, strict=True)
    ]
    known = data.labelled()
    best_Q = np.nanmax(known.labels_QL, axis=1)
    cheapest_Q = np.nanmin(np.where(known.labels_QL == best_Q[:, None], known.cost_QL, np.nan), axis=1)
    return "\n".join(
        [*lines, f"whoever knew the cheapest right one: {best_Q.mean():.0%} right, {1e6 * np.nanmean(cheapest_Q):.1f} USD a million"]
    )


def who_answered(served: Sequence[Served]) -> str:
    """How many queries each LLM answered, and how many nobody did in time."""
    late = sum(one.late for one in served)
    by_llm = {llm: sum(one.llm == llm for one in served) for llm in sorted({one.llm for one in served if one.llm})}
    who = ", ".join(f"{llm} {count}" for llm, count in by_llm.items()) or "nobody"
    return f"{len(served)} queries answered by {who}{f', {late} too late' if late else ''}"


def traffic(home: Path, served: Sequence[Served]) -> str:
    """Who answered, how many were right and what they cost, beside always asking the best single LLM (by its recorded answers)."""
    graded = [one for one in served if one.score is not None]
    who = who_answered(served)
    if not graded:
        return f"{who}; none graded"
    right, cost = np.mean([one.score for one in graded]), np.mean([one.cost_usd for one in graded])
    text = f"{who}: {right:.0%} right, {1e6 * cost:.1f} USD a million"
    data = dataset.load(Project(home).dataset)
    best = best_single(data)
    at = {query_id: place for place, query_id in enumerate(data.queries["query_id"])}
    known = [at[one.query_id] for one in graded if one.query_id in at]
    labels_N, costs_N = (values[known, data.roster.index(best)] for values in (data.labels_QL, data.cost_QL))
    if not np.isfinite(labels_N).any():
        return text
    return f"{text}; always {best}: {np.nanmean(labels_N):.0%} right, {1e6 * np.nanmean(costs_N):.1f} USD a million"
