"""The trained scorer beside its baselines: every figure of each on the same queries, with its bootstrap interval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.dataset import Dataset
from pipelines.executor import door
from scorer import baselines, metrics
from scorer.baselines import Baseline, Embed, TrainingSet
from scorer.initialisation import Labels
from scorer.metrics import Interval

OURS = "ours"
CHEAPEST = 1e-9  # USD: keeps an LLM without known costs from looking free
RIDGE_PENALTIES = (10.0, 30.0, 100.0, 300.0)
SHOWN = ("regret", "hit1_any", "hit1_split", "hit3_any", "hit3_split", "agree3_any", "agree3_split")
CLUSTERS = (4, 8, 16, 32)
RANKS = (1, 2, 4)
BOOTSTRAPS = 8  # of a shard, where they are spread


@dataclass(frozen=True, slots=True)
class Row:
    """One scorer on one set of queries. figures: name -> mean and interval; quality_Q: for paired comparisons."""

    name: str
    detail: str
    figures: dict[str, Interval]
    quality_Q: NDArray[np.float64]


def rivals(
    train: Dataset, validation: Dataset, labelled: Dataset, embed: Embed, *, neighbours: int, seed: int
) -> list[tuple[Baseline, str]]:
    """Every baseline with the setting chosen for it on validation data, the oracle last.

    labelled: the queries whose dataset names the best-per-dataset row is given, and whose labels the oracle.
    """
    return [*drawn_rivals(train, validation, embed, seed=seed), *fixed_rivals(train, validation, labelled, embed, neighbours=neighbours)]


def drawn_rivals(train: Dataset, validation: Dataset, embed: Embed, *, seed: int) -> list[tuple[Baseline, str]]:
    """The baselines that another seed changes."""
    seen = _seen(train, embed)
    by_groups = [(baselines.cluster_lookup(seen, embed, groups=groups, seed=seed), f"{groups} clusters") for groups in CLUSTERS]
    return [(baselines.random(train.roster, embed, seed=seed), "one draw per query"), best_of(by_groups, validation)]


def fixed_rivals(train: Dataset, validation: Dataset, labelled: Dataset, embed: Embed, *, neighbours: int) -> list[tuple[Baseline, str]]:
    """The baselines that no seed changes."""
    seen = _seen(train, embed)
    texts = labelled.queries["text"].tolist()
    datasets = dict(zip(texts, labelled.queries["dataset"].tolist(), strict=True))
    labels = dict(zip(texts, labelled.labels_QL, strict=True))
    by_neighbours = [
        (baselines.nearest_neighbours(seen, embed, neighbours=count), f"k = {count}") for count in sorted({10, neighbours, 2 * neighbours})
    ]
    fits = {f"penalty {penalty:g}": baselines.linear_fit(seen, penalty) for penalty in RIDGE_PENALTIES}
    by_penalty = [(baselines.ridge(seen, embed, fit), penalty) for penalty, fit in fits.items()]
    by_rank = [
        (baselines.low_rank(seen, embed, fit, rank=rank), f"rank {rank}, {penalty}") for rank in RANKS for penalty, fit in fits.items()
    ]
    return [
        (baselines.cheapest(train.roster, embed, expected_cost(train)), "mean cost in training"),
        (baselines.best_single(seen, embed), "best mean label in training"),
        (baselines.best_per_dataset(seen, embed, datasets), "told the dataset's name"),
        best_of(by_neighbours, validation),
        best_of(by_penalty, validation),
        best_of(by_rank, validation),
        (baselines.oracle(train.roster, embed, labels), "told the labels"),
    ]


def _seen(train: Dataset, embed: Embed) -> TrainingSet:
    return TrainingSet(train.roster, embed(train.queries["text"].tolist()), train.labels_QL, train.queries["dataset"].tolist())


def best_of(candidates: Sequence[tuple[Baseline, str]], validation: Dataset) -> tuple[Baseline, str]:
    """The candidate of best realised quality on validation queries."""
    texts = validation.queries["text"].tolist()

    def realised(candidate: tuple[Baseline, str]) -> float:
        return float(np.nanmean(metrics.quality(candidate[0].order(texts), validation.labels_QL)))

    return max(candidates, key=realised)


def expected_cost(data: Dataset) -> NDArray[np.float64]:
    """Mean USD per query of each LLM; where nothing is known, by its prices for a typical answer."""
    known_QL = ~np.isnan(data.cost_QL)
    counts_L = known_QL.sum(axis=0)
    means_L = np.where(known_QL, data.cost_QL, 0.0).sum(axis=0) / np.maximum(counts_L, 1)
    priced_L = np.array([max((llm.input_price * 200 + llm.output_price * 200) / 1e6, CHEAPEST) for llm in data.llms])
    return np.where(counts_L > 0, means_L, priced_L)


def row(name: str, detail: str, scores_QL: NDArray[np.floating], data: Dataset, *, resamples: int) -> Row:
    """Every figure of one scorer on the queries of `data`."""
    return rows([(name, detail, scores_QL)], data, resamples=resamples)[0]


def rows(scorers: Sequence[tuple[str, str, NDArray[np.floating]]], data: Dataset, *, resamples: int) -> list[Row]:
    """The same of several: the name, detail and scores_QL of each."""
    per_query = [per_query_figures(scores_QL, data) for _, _, scores_QL in scorers]
    every = iter(intervals([values_Q for figures in per_query for values_Q in figures.values()], resamples=resamples))
    made = []
    for (name, detail, _), figures in zip(scorers, per_query, strict=True):
        resampled = {figure: next(every) for figure in figures}
        known = {figure: interval for figure, interval in resampled.items() if np.isfinite(interval.mean)}
        made.append(Row(name, detail, known, figures["quality"]))
    return made


def per_query_figures(scores_QL: NDArray[np.floating], data: Dataset) -> dict[str, NDArray[np.float64]]:
    """What a scorer's choices are worth, query by query (NaN: undefined)."""
    labels_QL = data.labels_QL
    return {
        "quality": metrics.quality(scores_QL, labels_QL),
        "regret": metrics.regret(scores_QL, labels_QL),
        "cost_usd": metrics.at_choice(data.cost_QL, metrics.choices(scores_QL, labels_QL)),
        **hits(scores_QL, labels_QL),
    }


@dataclass(frozen=True, slots=True)
class Resampling:
    """Bootstraps, as an executor spreads them: each has dice of its own, so it matters not where it is done."""

    resamples: int

    def __call__(self, values: Sequence[NDArray[np.float64]]) -> Iterator[tuple[int, Interval]]:
        """The place and interval of each values_Q."""
        for at, values_Q in enumerate(values):
            yield at, metrics.interval(values_Q, resamples=self.resamples)


def intervals(values: Sequence[NDArray[np.float64]], *, resamples: int) -> list[Interval]:
    """Mean and bootstrap interval of each values_Q, in their order."""
    found = dict(door.chosen().map(Resampling(resamples), values, size=BOOTSTRAPS))
    return [found[at] for at in range(len(values))]


def hits(scores_QL: NDArray[np.floating], labels_QL: Labels) -> dict[str, NDArray[np.float64]]:
    """Hit@1, Hit@3 and Agree@3 by both conventions for ties."""
    shares: dict[str, NDArray[np.float64]] = {}
    for name, predicted, true in (("hit1", 1, 1), ("hit3", 3, 1), ("agree3", 3, 3)):
        overlap = metrics.overlap(scores_QL, labels_QL, predicted=predicted, true=true)
        shares |= {f"{name}_any": overlap.any_Q, f"{name}_split": overlap.split_Q}
    return shares


def flat(split: str, rows: Sequence[Row]) -> dict[str, float]:
    """`test.ours.quality`, `.low` and `.high` beside it, for every row and figure."""
    values: dict[str, float] = {}
    for one in rows:
        for figure, interval in one.figures.items():
            name = f"{split}.{one.name.replace(' ', '_')}.{figure}"
            values |= {name: interval.mean, f"{name}.low": interval.low, f"{name}.high": interval.high}
    return values


def gains(rows: Sequence[Row], *, resamples: int) -> dict[str, Interval]:
    """Paired difference in realised quality of our row over each other, by name."""
    ours = next(one for one in rows if one.name == OURS)
    others = [one for one in rows if one.name != OURS]
    found = intervals([ours.quality_Q - one.quality_Q for one in others], resamples=resamples)
    return {one.name: interval for one, interval in zip(others, found, strict=True)}


def table(rows: Sequence[Row], gained: dict[str, Interval]) -> str:
    """The rows as Markdown; every figure's interval is in results.json."""
    columns = [name for name in SHOWN if any(name in one.figures for one in rows)]
    lines = [f"| scorer | quality | ours − this | {' | '.join(columns)} | USD per 1,000 queries |", "|---" * (len(columns) + 4) + "|"]
    for one in rows:
        figures = [f"{one.figures[name].mean:.3f}" if name in one.figures else "" for name in columns]
        cost = f"{1000 * one.figures['cost_usd'].mean:.3g}" if "cost_usd" in one.figures else "unknown"
        gain = str(gained[one.name]) if one.name in gained else ""
        lines.append(f"| {one.name} ({one.detail}) | {one.figures['quality']} | {gain} | {' | '.join(figures)} | {cost} |")
    return "\n".join(lines)
