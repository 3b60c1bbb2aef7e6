"""How far routing by text could get on recorded outcomes: `python -m benchmarks.ceiling FOLDER [--bar .56]`.

Four looks at what separates a scorer from the oracle. None chooses anything; all figures are of test queries.

1. Labels: ours trained on shares of the training queries, and a power law through them, carried on to more labels than there are.
2. A panel: the LLMs are halved at random, many times. A rule that chooses within one half is told how the other half did on the very
   query, besides our text scores. No function of the text knows as much about a query; what the rule gains is what such knowledge is worth.
   With --llms and other LLMs in FOLDER, the rule is also told those: a panel from outside, for the whole pool.
3. Luck: where questions are choices (lines "A.", "B.", ...), how much of the oracle guessing alone could explain.
4. Neighbours: how much two queries' labels agree, by how near they are. What near-duplicates do not share, no smooth function of the
   text can know.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from benchmarks import machine, outcomes, recorded
from benchmarks.recorded import Outcomes
from scorer import metrics, training
from scorer.interface import Floats
from scorer.metrics import Interval
from scorer.start import Labels, Shrinkage, starting_weights
from scorer.weights import unit

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
MORE = (2.0, 4.0, 10.0)  # times the training queries there are
RESAMPLES = 2000
FOLDS = 5
NEARNESS = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.01)  # edges of the cosine between two queries
OPTION = re.compile(r"(?m)^\(?([A-J])[.):] ?\S")
Qualities = NDArray[np.float64]  # [Q]


# ---- 1. more labels


def learning_curve(parts: dict[str, Outcomes], seeds: int) -> tuple[list[int], NDArray[np.float64]]:
    """Training queries used, and quality_NQ of test queries for each such number, the mean of seeds (each draws its own queries)."""
    whole, rows = len(parts["train"].queries_QD), []
    for share in SHARES:
        found = []
        for seed in range(seeds):
            keep_Q = np.random.default_rng(seed).permutation(whole) < round(share * whole)
            fit = parts["train"].where(keep_Q)
            trained = training.train(fit.data.roster, fit.embedded(), parts["validation"].embedded(), training.Plan(seed=seed))
            found.append(metrics.quality(trained.weights.logits(parts["test"].queries_QD), parts["test"].labels_QL))
        rows.append(np.mean(found, axis=0))
    return [round(share * whole) for share in SHARES], np.stack(rows)


def power_law(queries_N: NDArray[np.float64], top: float, lost: float, bent: float) -> NDArray[np.float64]:
    """Quality: top - lost * (queries / 1000) ^ -bent."""
    return np.asarray(top - lost * (queries_N / 1000) ** -bent, dtype=np.float64)


def carried_on(sizes: Sequence[int], quality_NQ: NDArray[np.float64], at: Sequence[float]) -> list[Interval]:
    """The fitted power law at other numbers of queries (inf: its limit), with intervals from resampled test queries."""
    dice, sizes_N, at_M = np.random.default_rng(0), np.array(sizes, dtype=float), np.array(at)
    size = quality_NQ.shape[1]
    places: list[NDArray[np.int64]] = [np.arange(size), *dice.integers(size, size=(200, size))]
    found = []
    for place in places:
        mean_N = np.nanmean(quality_NQ[:, place], axis=1)
        fitted, _ = curve_fit(power_law, sizes_N, mean_N, p0=(mean_N[-1] + 0.01, 0.02, 0.5), bounds=([0, 0, 0.1], [1, 1, 2]), maxfev=20_000)
        found.append(np.where(np.isinf(at_M), fitted[0], power_law(np.where(np.isinf(at_M), 1.0, at_M), *fitted)))
    low_M, high_M = np.quantile(found[1:], [0.025, 0.975], axis=0)
    return [Interval(float(mean), float(low), float(high)) for mean, low, high in zip(found[0], low_M, high_M, strict=True)]


# ---- 2. being told how other LLMs did


@dataclass(frozen=True, slots=True)
class Told:
    """Realised quality per test query of four ways to choose among the same LLMs."""

    single_Q: Qualities
    text_Q: Qualities
    panel_Q: Qualities
    oracle_Q: Qualities


def text_logits(parts: dict[str, Outcomes], shrinkage: Shrinkage) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """logits_QL of our start for training queries (each by one fitted without it) and for test queries."""
    fit, test = parts["train"], parts["test"]
    folds_Q = np.random.default_rng(0).integers(FOLDS, size=len(fit.queries_QD))
    seen_QL = np.zeros(fit.labels_QL.shape)
    for fold in range(FOLDS):
        rest, left = fit.where(folds_Q != fold), fit.where(folds_Q == fold)
        seen_QL[folds_Q == fold] = starting_weights(fit.data.roster, rest.queries_QD, rest.labels_QL, shrinkage, 0).logits(left.queries_QD)
    return seen_QL, starting_weights(fit.data.roster, fit.queries_QD, fit.labels_QL, shrinkage, 0).logits(test.queries_QD)


def predicted(features_QF: NDArray[np.float64], labels_Q: Qualities, asked_QF: NDArray[np.float64]) -> Qualities:
    """Log-odds that an LLM answers well: the mean of a logistic regression's and boosted trees', labels weighing both outcomes."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    known_Q = ~np.isnan(labels_Q)
    label_Q = labels_Q[known_Q]
    rows, truth = np.concatenate([features_QF[known_Q]] * 2), np.repeat([1, 0], len(label_Q))
    weights = np.concatenate([label_Q, 1 - label_Q])
    some = weights > 0
    models = (LogisticRegression(C=0.3, max_iter=500), HistGradientBoostingClassifier(max_iter=60, learning_rate=0.08, max_leaf_nodes=12))
    chances = [model.fit(rows[some], truth[some], sample_weight=weights[some]).predict_proba(asked_QF)[:, 1] for model in models]
    logits = [np.log(np.clip(chance, 1e-6, 1) / np.clip(1 - chance, 1e-6, 1)) for chance in chances]
    return np.asarray(np.mean(logits, axis=0), dtype=np.float64)


def told(labels: tuple[Labels, Labels], texts: tuple[Labels, Labels], panel: tuple[Labels, Labels]) -> Told:
    """Choosing among LLMs by text logits, with and without a panel's outcomes; each pair: of training queries, of test queries."""
    (fit_QL, test_QL), rates_P = labels, np.nanmean(panel[0], axis=0)
    known, asked = (
        np.concatenate([text_QL, np.where(np.isnan(of_QP), rates_P, of_QP)], axis=1) for text_QL, of_QP in zip(texts, panel, strict=True)
    )
    scores_QL = np.stack([predicted(known, fit_QL[:, llm], asked) for llm in range(fit_QL.shape[1])], axis=1)
    single_QL = np.tile(np.nanmean(fit_QL, axis=0), (len(test_QL), 1))
    best_QL = np.nan_to_num(test_QL, nan=-1.0)
    return Told(*(metrics.quality(each_QL, test_QL) for each_QL in (single_QL, texts[1], scores_QL, best_QL)))


def halved(labels: tuple[Labels, Labels], texts: tuple[Labels, Labels], times: int) -> list[Told]:
    """`times` random halvings of the roster, each half once the panel of the other."""
    dice, found = np.random.default_rng(0), []
    for _ in range(times):
        order = dice.permutation(labels[0].shape[1])
        halves = (order[: len(order) // 2], order[len(order) // 2 :])
        for chosen, others in (halves, halves[::-1]):
            found.append(told(columns(labels, chosen), columns(texts, chosen), columns(labels, others)))
    return found


def columns(pair: tuple[Labels, Labels], some: NDArray[np.int64]) -> tuple[Labels, Labels]:
    """These LLMs' columns of both."""
    return pair[0][:, some], pair[1][:, some]


def told_row(name: str, runs: list[Told]) -> str:
    """One line of the panel's table: the mean over runs."""
    mean = Told(*(np.mean([getattr(run, field) for run in runs], axis=0) for field in ("single_Q", "text_Q", "panel_Q", "oracle_Q")))
    gain = metrics.difference(mean.panel_Q, mean.text_Q, resamples=RESAMPLES)
    gap = np.nanmean(mean.oracle_Q - mean.single_Q)
    closed = [np.nanmean(quality_Q - mean.single_Q) / gap for quality_Q in (mean.text_Q, mean.panel_Q)]
    cells = [f"{np.nanmean(quality_Q):.3f}" for quality_Q in (mean.single_Q, mean.text_Q, mean.panel_Q, mean.oracle_Q)]
    return f"| {name} | {' | '.join(cells)} | {gain} | {closed[0]:.3f} | {closed[1]:.3f} |"


# ---- 3. luck


def options(texts: Sequence[str]) -> NDArray[np.int64]:
    """How many choices each text lists; 0 where it lists none (or one)."""
    counts = [len(set(OPTION.findall(text))) for text in texts]
    return np.array([count if count > 1 else 0 for count in counts])


def luck(labels_QL: Labels, options_Q: NDArray[np.int64]) -> dict[str, float]:
    """Of the choice questions: the oracle, how many nobody can know at most, and the oracle that is left if those are all guessed.

    Assumed: an LLM that does not know hits one of k options by chance, independently of the others. If a share u of the questions is
    known to nobody, then u (1 - 1/k)^L of all are missed by all, which cannot be more than are: u is at most what is missed over that.
    """
    asked_Q = (options_Q > 0) & ~np.isnan(labels_QL).any(axis=1)
    right_QL, options_N = labels_QL[asked_Q] > 0.5, options_Q[asked_Q]
    missed = float((~right_QL.any(axis=1)).mean())
    all_miss = float(((1 - 1 / options_N) ** right_QL.shape[1]).mean())
    unknown = min(1.0, missed / all_miss)
    return {
        "questions": float(asked_Q.sum()),
        "mean options": float(options_N.mean()),
        "oracle": 1 - missed,
        "missed by all": missed,
        "chance that all guess wrong": all_miss,
        "known to nobody, at most": unknown,
        "oracle without luck, at least": 1 - unknown,
    }


# ---- 4. neighbours


def agreement(queries_QD: Floats, labels_QL: Labels) -> list[tuple[float, float, int, Interval, Interval]]:
    """By the cosine between a query and its nearest neighbour: correlation of labels and of contrasts (a label less the mean of the
    query's labels and less the LLM's mean), over LLMs with both labels; intervals by resampled pairs.
    """
    cosines_QQ = unit(queries_QD) @ unit(queries_QD).T
    np.fill_diagonal(cosines_QQ, -1)
    nearest_Q = cosines_QQ.argmax(axis=1)
    cosine_Q = cosines_QQ[np.arange(len(nearest_Q)), nearest_Q]
    lead_QL = labels_QL - np.nanmean(labels_QL, axis=0)
    contrast_QL = lead_QL - np.nanmean(lead_QL, axis=1, keepdims=True)
    found = []
    for low, high in itertools.pairwise(NEARNESS):
        here = np.flatnonzero((cosine_Q >= low) & (cosine_Q < high))
        if len(here) >= 30:
            labels, contrasts = (_correlation(values, here, nearest_Q[here]) for values in (lead_QL, contrast_QL))
            found.append((low, high, len(here), labels, contrasts))
    return found


def _correlation(values_QL: Labels, first_N: NDArray[np.int64], second_N: NDArray[np.int64]) -> Interval:
    one_NL, other_NL = values_QL[first_N], values_QL[second_N]
    known_NL = ~(np.isnan(one_NL) | np.isnan(other_NL))
    one_NL, other_NL = np.where(known_NL, one_NL, 0.0), np.where(known_NL, other_NL, 0.0)
    products_N, spread_N = (one_NL * other_NL).sum(axis=1), ((one_NL**2 + other_NL**2) / 2).sum(axis=1)
    dice = np.random.default_rng(0)
    drawn = [dice.integers(len(first_N), size=len(first_N)) for _ in range(500)]
    low, high = np.quantile([products_N[place].sum() / spread_N[place].sum() for place in drawn], [0.025, 0.975])
    return Interval(float(products_N.sum() / spread_N.sum()), float(low), float(high))


# ---- the report


def main() -> None:
    """Reads, embeds, looks four times, prints and writes."""
    parser = recorded.arguments(__doc__ or "")
    parser.add_argument("--bar", type=float, help="the quality somebody hopes for: how many labels, and which share of the gap, it needs")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--halvings", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/ceiling"))
    given = parser.parse_args()
    known = recorded.read(recorded.wanted(given))
    parts = {name: known.take(name) for name in outcomes.SHARES}
    sizes, quality_NQ = learning_curve(parts, given.seeds)
    lines = [
        f"`{machine.command(given.folder)}`",
        "",
        f"{len(known.data.roster)} LLMs, {sizes[-1]} training and {quality_NQ.shape[1]} test queries.",
        "",
    ]
    lines += ["| training queries | quality |", "|---|---|"]
    lines += [f"| {size} | {metrics.interval(row_Q, resamples=RESAMPLES)} |" for size, row_Q in zip(sizes, quality_NQ, strict=True)]
    last = metrics.difference(quality_NQ[-1], quality_NQ[-2], resamples=RESAMPLES)
    on = carried_on(sizes, quality_NQ, [*(times * sizes[-1] for times in MORE), np.inf])
    lines += [f"| {times:g} times as many (fitted) | {value} |" for times, value in zip((*MORE, np.inf), on, strict=True)]
    lines += ["", f"The last doubling brought {last}.", ""]

    labels = (parts["train"].labels_QL, parts["test"].labels_QL)
    texts = text_logits(parts, Shrinkage())
    runs = {"half of the LLMs, told the other half": halved(labels, texts, given.halvings)}
    everyone = recorded.read(replace(recorded.wanted(given), llms=()))
    outside = [place for place, llm in enumerate(everyone.data.roster) if llm not in known.data.roster]
    if outside:
        panel = (everyone.take("train").labels_QL[:, outside], everyone.take("test").labels_QL[:, outside])
        runs[f"all, told {len(outside)} LLMs from outside"] = [told(labels, texts, panel)]
    heads = "| choosing among | best single | by text | by text and panel | oracle | panel gains | gap closed by text | by text and panel |"
    lines += [heads, "|---" * 8 + "|", *(told_row(name, run) for name, run in runs.items()), ""]
    if given.bar is not None:
        single_QL = np.tile(np.nanmean(parts["train"].labels_QL, axis=0), (len(parts["test"].queries_QD), 1))
        single = float(np.nanmean(metrics.quality(single_QL, parts["test"].labels_QL)))
        best = float(np.nanmean(np.nanmax(parts["test"].labels_QL, axis=1)))
        lines += [f"A quality of {given.bar:.3f} would close {(given.bar - single) / (best - single):.3f} of the gap.", ""]

    found = luck(parts["test"].labels_QL, options(parts["test"].data.queries["text"].tolist()))
    if found["questions"] > 100:
        lines += [
            "| choice questions of the test split | |",
            "|---|---|",
            *(f"| {name} | {value:.3f} |" for name, value in found.items()),
            "",
        ]
    pairs = known.take("train", "calibration", "validation")
    lines += ["| cosine to the nearest other query | pairs | labels correlate | contrasts correlate |", "|---|---|---|---|"]
    lines += [
        f"| {low:g} to {min(high, 1):g} | {count} | {whole} | {apart} |"
        for low, high, count, whole, apart in agreement(pairs.queries_QD, pairs.labels_QL)
    ]
    machine.write(given.out, ["\n".join(lines)], {}, ["torch", "scikit-learn", "numpy"])
    print("\n".join(lines))


if __name__ == "__main__":
    main()
