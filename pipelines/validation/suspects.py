"""LLM x dataset pairs whose scores look like answers that could not be read rather than like skill.

Either rule is enough; texts that are empty or all the same are a third.

`below chance`: on choice questions, a mean score below what blind guessing gives (exact binomial tail).
`far below expected`: below what the LLM's level and the dataset's difficulty predict, in an additive model of log-odds fitted by medians
(Tukey's median polish, which a few broken cells do not move) within datasets of one kind (choice questions, others). How much LLMs
differ on single datasets is estimated from the same table: an LLM that is weak at one subject is no suspect.

The first raises any alarm on 5 % of clean tables at most, however many pairs it looks at; how many the second raises is simulated
(docs/results/graders.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

ENOUGH = 30  # labels of a pair before it is looked at
LEAST = 4  # LLMs, and datasets, that an additive fit needs
ALPHA = 0.05  # chance of any score below blind guessing in a clean table
TAIL = 0.01  # of drawn clean tables beyond which a pair is far below; what that comes to: docs/results/graders.md
DRAWS = 400  # clean tables that the additive rule is calibrated on
WIDE = 0.6  # log-odds by which LLMs may differ on a dataset, whatever a table shows
ROUNDS = 8  # of median polish
FAR = 0.15  # a smaller gap between expected and observed is not worth a warning
LETTERS = 0.9  # share of a dataset's references that are one letter where it asks to choose
RARE = 0.01  # a letter rarer than that among references is no option
NAMED = 3  # queries that a suspect names
SAME = 0.95  # share of answers with one text
EMPTY = 0.5  # share of empty answers
COLUMNS = ("llm", "dataset", "labels", "observed", "low", "high", "chance", "expected", "why", "evidence", "suspect")

Grid = NDArray[np.float64]  # [L, S]: L LLMs, S datasets; NaN where there are too few labels


@dataclass(frozen=True, slots=True)
class Cells:
    """Mean scores and label counts, with the names of rows and columns."""

    llms: tuple[str, ...]
    datasets: tuple[str, ...]
    means_LS: Grid
    counts_LS: Grid


def find(labels: pd.DataFrame, queries: pd.DataFrame, answers: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row (COLUMNS) a pair with enough labels; `suspect` is 1 where a rule calls it one, `why` and `evidence` say which and on what.

    labels: LABELS, one a (query, LLM). queries: QUERIES. answers: ANSWERS, where there are texts to look at.
    """
    queries = queries.drop_duplicates("query_id")
    joined = labels.dropna(subset=["score"]).merge(queries[["query_id", "dataset"]], on="query_id")
    chances, cells = chance(queries), cells_of(joined)
    below = _below_chance(cells, chances)
    expected_LS, far_LS = np.full(cells.means_LS.shape, np.nan), np.zeros(cells.means_LS.shape, dtype=bool)
    for kind in (True, False):
        of_kind = [place for place, dataset in enumerate(cells.datasets) if (dataset in chances) == kind]
        expected_LS[:, of_kind], far_LS[:, of_kind] = far_below(cells.means_LS[:, of_kind], cells.counts_LS[:, of_kind])
    odd = _texts(answers, queries) if answers is not None else {}
    examples = joined[joined["score"] <= 0].sort_values("query_id").groupby(["llm", "dataset"])["query_id"].agg(list)
    rows = []
    for at in zip(*np.nonzero(~np.isnan(cells.means_LS)), strict=True):
        llm, dataset, mean, count = cells.llms[at[0]], cells.datasets[at[1]], float(cells.means_LS[at]), int(cells.counts_LS[at])
        low, high = wilson(mean, count)
        why = {"below chance": bool(below[at]), "far below expected": bool(far_LS[at]), odd.get((llm, dataset), ""): (llm, dataset) in odd}
        reasons = "; ".join(name for name, holds in why.items() if holds)
        row = {"llm": llm, "dataset": dataset, "labels": count, "observed": mean, "low": low, "high": high, "why": reasons}
        row |= {"chance": chances.get(dataset, np.nan), "expected": float(expected_LS[at]), "suspect": int(bool(reasons))}
        rows.append(row | {"evidence": _evidence(row, examples.get((llm, dataset), []))})
    types = dict.fromkeys(COLUMNS, "float64") | dict.fromkeys(("llm", "dataset", "why", "evidence"), "str") | {"labels": "int64"}
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(types | {"suspect": "int64"})


def chance(queries: pd.DataFrame) -> dict[str, float]:
    """Dataset -> what blind guessing gives, for those that ask to choose: their references are single letters. At least 1 / options."""
    chances: dict[str, float] = {}
    for dataset, references in queries.groupby("dataset")["reference"]:
        letters = references.fillna("").str.strip().str.upper()
        letters = letters[letters.str.fullmatch("[A-Z]")]
        if len(letters) >= max(ENOUGH, LETTERS * len(references)):
            options = int((letters.value_counts(normalize=True) >= RARE).sum())
            chances |= {str(dataset): 1 / options} if options > 1 else {}
    return chances


def cells_of(joined: pd.DataFrame) -> Cells:
    """The table of pairs, of labels that have a dataset."""
    grouped = joined.groupby(["llm", "dataset"])["score"].agg(["mean", "size"]).reset_index()
    grouped = grouped[grouped["size"] >= ENOUGH]
    means, counts = (grouped.pivot(index="llm", columns="dataset", values=column) for column in ("mean", "size"))
    return Cells(tuple(means.index), tuple(means.columns), means.to_numpy(dtype=np.float64), counts.to_numpy(dtype=np.float64))


def _below_chance(cells: Cells, chances: Mapping[str, float]) -> NDArray[np.bool_]:
    chance_S = np.array([chances.get(dataset, np.nan) for dataset in cells.datasets])
    right_LS = np.floor(cells.means_LS * cells.counts_LS + 1e-9)
    tail_LS = np.asarray(binom.cdf(right_LS, cells.counts_LS, chance_S), dtype=np.float64)
    looked_at = max(1, int((~np.isnan(tail_LS)).sum()))
    return np.asarray(tail_LS < ALPHA / looked_at)


def far_below(means_LS: Grid, counts_LS: Grid) -> tuple[Grid, NDArray[np.bool_]]:
    """What the additive model expects of each pair (NaN where it cannot say), and which are far below that.

    Far is a distance beyond which a share TAIL of clean tables, drawn with the same levels and counts, have any pair. They are drawn with
    the table's own spread and with a wider one, and the larger distance counts: a small table may look more even than its LLMs are.
    """
    known_LS = ~np.isnan(means_LS)
    enough_L = known_LS.sum(axis=1) >= LEAST
    enough_S = known_LS[enough_L].sum(axis=0) >= LEAST
    if enough_L.sum() < LEAST or enough_S.sum() < LEAST:
        return np.full(means_LS.shape, np.nan), np.zeros(means_LS.shape, dtype=bool)
    core = np.ix_(enough_L, enough_S)
    means, counts = means_LS[core], counts_LS[core]
    fitted, spread, surprise = _surprise(means, counts)
    farthest = min(_farthest(fitted, wide, means, counts) for wide in (spread, np.maximum(2 * spread, WIDE)))
    expected_LS, far_LS = np.full(means_LS.shape, np.nan), np.zeros(means_LS.shape, dtype=bool)
    expected_LS[core] = _share(fitted)
    far_LS[core] = (surprise < farthest) & (_share(fitted) - means >= FAR)
    return expected_LS, far_LS


def _farthest(fitted: Grid, spread: Grid, means: Grid, counts: Grid) -> float:
    """The distance that TAIL of DRAWS clean tables have any pair beyond."""
    dice = np.random.default_rng(0)
    rates = _share(fitted + spread * dice.normal(size=(DRAWS, *fitted.shape)))
    right = dice.binomial(np.nan_to_num(counts).astype(np.int64), np.nan_to_num(rates, nan=0.5))
    drawn = np.where(np.isnan(means), np.nan, right / counts)
    return float(np.quantile(np.nanmin(_surprise(drawn, counts)[2], axis=(1, 2)), TAIL))


def _surprise(means: Grid, counts: Grid) -> tuple[Grid, Grid, Grid]:
    """The additive fit in log-odds, how far pairs spread around it, and each pair's distance from it in standard deviations.

    spread: the standard deviation between pairs beyond what sampling explains, from the median distance.
    distance = (log-odds - fit) / sqrt(spread^2 + sampling variance).
    means: one table [L, S] or a stack of them [..., L, S].
    """
    smoothed = (means * counts + 0.5) / (counts + 1)
    odds = np.log(smoothed / (1 - smoothed))
    fitted = _polished(odds)
    sampling = 1 / (counts * _share(fitted) * (1 - _share(fitted)))
    has_labels = ~np.isnan(odds)
    pairs = has_labels.sum(axis=(-2, -1), keepdims=True)
    typical = 1.4826 * _median(np.where(has_labels, np.abs(odds - fitted), np.nan))
    freedom = np.maximum(1, pairs - sum(odds.shape[-2:]) + 1)
    between = np.maximum(typical**2 * pairs / freedom - _median(np.where(has_labels, sampling, np.nan)), 0.0)
    return fitted, np.sqrt(between), (odds - fitted) / np.sqrt(between + sampling)


def _share(odds: Grid) -> Grid:
    return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)


def _polished(odds: Grid) -> Grid:
    """LLM plus dataset effects by median polish."""
    datasets = np.zeros((*odds.shape[:-2], 1, odds.shape[-1]))
    llms = np.zeros((*odds.shape[:-1], 1))
    for _ in range(ROUNDS):
        llms = _median(odds - datasets, axis=-1)
        datasets = _median(odds - llms, axis=-2)
    return np.asarray(llms + datasets, dtype=np.float64)


def _median(values: Grid, axis: int | tuple[int, int] = (-2, -1)) -> Grid:
    """Over what is known, the axis kept; sorting puts NaN last (numpy's own nanmedian is slow on many small tables)."""
    if isinstance(axis, tuple):
        return _median(values.reshape(*values.shape[:-2], 1, -1), axis=-1)
    ordered = np.sort(values, axis=axis)
    counts = (~np.isnan(values)).sum(axis=axis, keepdims=True)
    low, high = (np.take_along_axis(ordered, np.maximum(place, 0), axis=axis) for place in ((counts - 1) // 2, counts // 2))
    return np.asarray((low + high) / 2, dtype=np.float64)


def _texts(answers: pd.DataFrame, queries: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Pairs whose answers are mostly empty, or nearly all one text where the references are not."""
    usable = answers[answers["error"].isna()].merge(queries[["query_id", "dataset", "reference"]], on="query_id")
    usable = usable.assign(text=usable["text"].fillna("").str.strip(), reference=usable["reference"].fillna(""))
    reasons = {}
    for (llm, dataset), rows in usable.groupby(["llm", "dataset"]):
        if len(rows) < ENOUGH:
            continue
        empty, shares = float((rows["text"] == "").mean()), rows["text"].value_counts(normalize=True)
        common_reference = float(rows["reference"].value_counts(normalize=True).iloc[0])
        if empty > EMPTY:
            reasons[str(llm), str(dataset)] = f"{empty:.0%} of the answers are empty"
        elif shares.iloc[0] > SAME > common_reference:
            reasons[str(llm), str(dataset)] = f"{shares.iloc[0]:.0%} of the answers are {str(shares.index[0])[:40]!r}"
    return reasons


def wilson(mean: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of the mean of `count` scores, their sum rounded: at most too wide for scores between 0 and 1.

    A mean outside [0, 1] counts as the bound: that such labels are wrong is for the contract to say (`pipelines.validation.rules`).
    """
    interval = binomtest(round(min(max(mean, 0.0), 1.0) * count), count).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _evidence(row: Mapping[str, object], zeros: list[str]) -> str:
    """What the pair is called a suspect for, in one line."""
    if not row["suspect"]:
        return ""
    expected = f", {row['expected']:.3f} expected" if row["expected"] == row["expected"] else ""
    guessed = f", {row['chance']:.3f} by guessing" if row["chance"] == row["chance"] else ""
    named = f"; scored 0: {', '.join(zeros[:NAMED])}" if zeros else ""
    return (
        f"{row['why']}: {row['observed']:.3f} [{row['low']:.3f}, {row['high']:.3f}] over {row['labels']} labels{expected}{guessed}{named}"
    )
