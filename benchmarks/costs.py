"""What a router costs: it chooses by score - weight * expected cost, and its weight by held-out queries; test queries only report.

Expected cost of an LLM on a query: the query's tokens at its input price, and what its answers cost beyond that on average in training.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import recorded_set, report
from benchmarks.rivals.routers import CHEAPEST, SINGLE, Router
from pipelines.comparison import OURS
from pipelines.dataset import Dataset
from scorer import metrics
from scorer.metrics import Interval, Values

WEIGHTS = 60  # tried, from "quality alone" to "the cheapest, unless its score is a disaster"
BUDGETS = 25  # USD a query, evenly spaced in log cost from the cheapest LLM's expected cost to the dearest's
TYPICAL_OUTPUT = 200  # tokens of an answer of an LLM without any known cost
MARGIN = 0.005  # of held-out quality given up to match best single: half of what the bar allows
BAR_QUALITY, BAR_COST = -0.01, 0.5  # of the LLM that dominates: its quality within a point, at half its cost
BAR = f"bar (≥ {BAR_QUALITY:+g}, ≤ {BAR_COST:.0%})"


@dataclass(frozen=True, slots=True)
class Priced:
    """What each answer costs and what it is expected to cost, USD [Q, L].

    assumed: share of labelled test answers of unknown cost, taken at the expected one.
    """

    test_QL: NDArray[np.float64]
    heldout_QL: NDArray[np.float64]
    test_expected_QL: NDArray[np.float64]
    heldout_expected_QL: NDArray[np.float64]
    assumed: float


@dataclass(frozen=True, slots=True)
class Cost:
    """A router's row. usd, quality: by its scores alone, mean per query. area: quality, averaged over budgets.

    matched_*: at the weight of least held-out cost whose held-out quality is no more than MARGIN below best single's: difference to
    best single and share of its cost. None where no weight is so good.
    """

    usd: Interval
    quality: Interval
    matched_difference: Interval | None
    matched_share: Interval | None
    area: Interval
    ours_area: Interval
    curve: tuple[metrics.Point, ...]

    @property
    def bar(self) -> str:
        """Whether best single's quality was kept at half its cost: by the means, or even by the ends of both intervals."""
        difference, share = self.matched_difference, self.matched_share
        if difference is None or share is None:
            return "missed"
        if difference.low >= BAR_QUALITY and share.high <= BAR_COST:
            return "met beyond doubt"
        return "met" if difference.mean >= BAR_QUALITY and share.mean <= BAR_COST else "missed"


def priced(parts: dict[str, Dataset]) -> Priced | None:
    """What the answers to the held-out and the test queries cost; None where no answer's cost is known."""
    train, test, heldout = (parts[name] for name in ("train", "test", "heldout"))
    if np.isnan(train.cost_QL).all():
        return None
    expected = [_expected(part, train) for part in (test, heldout)]
    paid = [
        np.where(np.isnan(part.cost_QL), expected_QL, part.cost_QL) for part, expected_QL in zip((test, heldout), expected, strict=True)
    ]
    labelled_QL = ~np.isnan(test.labels_QL)
    return Priced(paid[0], paid[1], expected[0], expected[1], float(np.isnan(test.cost_QL[labelled_QL]).mean()))


def _expected(part: Dataset, train: Dataset) -> NDArray[np.float64]:
    """Expected cost of each LLM [Q, L] on the queries of `part`, from what answers cost in `train`."""
    input_L, output_L = (np.array([getattr(llm, name) for llm in train.llms]) / 1e6 for name in ("input_price", "output_price"))
    beyond_QL = train.cost_QL - recorded_set.tokens(train.queries)[:, None] * input_L
    known_QL = ~np.isnan(beyond_QL)
    counts_L = known_QL.sum(axis=0)
    mean_L = np.where(known_QL, beyond_QL, 0.0).sum(axis=0) / np.maximum(counts_L, 1)
    beyond_L = np.maximum(np.where(counts_L > 0, mean_L, TYPICAL_OUTPUT * output_L), 0.0)
    return np.asarray(recorded_set.tokens(part.queries)[:, None] * input_L + beyond_L)


def compare(rows: Mapping[str, Router], parts: dict[str, Dataset], money: Priced) -> dict[str, Cost]:
    """Every router's row."""
    mean_L = money.heldout_expected_QL.mean(axis=0)
    budgets = np.geomspace(mean_L.min(), mean_L.max(), BUDGETS)
    swept = {name: [_sweep(row, seed, parts, money) for seed in range(len(row.test_SQL))] for name, row in rows.items()}
    area_Q = {name: np.mean([sweep.area(budgets) for sweep in sweeps], axis=0) for name, sweeps in swept.items()}
    compared = {}
    for name, sweeps in swept.items():
        quality_Q, cost_Q = (np.mean([sweep.test(0)[which] for sweep in sweeps], axis=0) for which in (0, 1))
        difference, share = _matched(sweeps, rows[SINGLE], parts, money) or (None, None)
        compared[name] = Cost(
            usd=report.interval(cost_Q),
            quality=report.interval(quality_Q),
            matched_difference=difference,
            matched_share=share,
            area=report.interval(area_Q[name]),
            ours_area=report.difference(area_Q[OURS], area_Q[name]),
            curve=_mean_curve([sweep.curve(budgets) for sweep in sweeps]),
        )
    return compared


def _matched(sweeps: "list[_Sweep]", single: Router, parts: dict[str, Dataset], money: Priced) -> tuple[Interval, Interval] | None:
    """See `Cost`: difference to `single` and share of its cost; None where a seed never gets so good."""
    test_QL = parts["test"].labels_QL
    target = metrics.mean(metrics.quality(single.heldout_SQL[0], parts["heldout"].labels_QL)) - MARGIN
    places = [sweep.cheapest_at(target) for sweep in sweeps]
    reached = [sweep.test(place) for sweep, place in zip(sweeps, places, strict=True) if place is not None]
    if len(reached) < len(sweeps):
        return None
    quality_Q, cost_Q = (np.mean([each[which] for each in reached], axis=0) for which in (0, 1))
    single_cost_Q = metrics.at_choice(money.test_QL, metrics.choices(single.test_SQL[0], test_QL))
    return report.difference(quality_Q, metrics.quality(single.test_SQL[0], test_QL)), report.ratio(cost_Q, single_cost_Q)


@dataclass(frozen=True, slots=True)
class _Sweep:
    """One router and seed at each weight: mean held-out quality and cost [W]; quality and cost of each test query [W, Q]."""

    heldout_quality_W: Values
    heldout_cost_W: Values
    quality_WQ: NDArray[np.float64]
    cost_WQ: NDArray[np.float64]

    def test(self, place: int) -> tuple[Values, Values]:
        """Quality and cost of the test queries at a weight."""
        return self.quality_WQ[place], self.cost_WQ[place]

    def cheapest_at(self, target: float) -> int | None:
        """The weight of least held-out cost whose held-out quality is at least `target`."""
        good_W = self.heldout_quality_W >= target - 1e-9
        return int(np.where(good_W, self.heldout_cost_W, np.inf).argmin()) if good_W.any() else None

    def within(self, budget: float) -> int:
        """The weight of best held-out quality whose held-out cost is within `budget`; the cheapest where none is."""
        inside_W = self.heldout_cost_W <= budget
        return int(np.where(inside_W, self.heldout_quality_W, -np.inf).argmax() if inside_W.any() else self.heldout_cost_W.argmin())

    def area(self, budgets: Values) -> Values:
        """Each test query's quality, averaged over the budgets."""
        return np.asarray(np.mean([self.quality_WQ[self.within(budget)] for budget in budgets], axis=0))

    def curve(self, budgets: Values) -> list[metrics.Point]:
        """Mean cost and quality of the test queries at each budget."""
        places = [self.within(budget) for budget in budgets]
        return [metrics.Point(metrics.mean(self.cost_WQ[place]), metrics.mean(self.quality_WQ[place])) for place in places]


def _sweep(row: Router, seed: int, parts: dict[str, Dataset], money: Priced) -> _Sweep:
    heldout_QL, test_QL = parts["heldout"].labels_QL, parts["test"].labels_QL
    scale = float(np.ptp(row.heldout_SQL[seed], axis=1).mean()) / float(np.ptp(money.heldout_expected_QL, axis=1).mean())
    weights = [0.0] if row.name == CHEAPEST else [0.0, *np.geomspace(1e-3, 1e4, WEIGHTS - 1) * scale]
    heldout = [metrics.choices(row.heldout_SQL[seed] - weight * money.heldout_expected_QL, heldout_QL) for weight in weights]
    test = [metrics.choices(row.test_SQL[seed] - weight * money.test_expected_QL, test_QL) for weight in weights]
    return _Sweep(
        heldout_quality_W=np.array([metrics.mean(metrics.at_choice(heldout_QL, chosen_Q)) for chosen_Q in heldout]),
        heldout_cost_W=np.array([metrics.mean(metrics.at_choice(money.heldout_QL, chosen_Q)) for chosen_Q in heldout]),
        quality_WQ=np.stack([metrics.at_choice(test_QL, chosen_Q) for chosen_Q in test]),
        cost_WQ=np.stack([metrics.at_choice(money.test_QL, chosen_Q) for chosen_Q in test]),
    )


def _mean_curve(curves: list[list[metrics.Point]]) -> tuple[metrics.Point, ...]:
    return tuple(
        metrics.Point(float(np.mean([point.cost for point in points])), float(np.mean([point.quality for point in points])))
        for points in zip(*curves, strict=True)
    )
