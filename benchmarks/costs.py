"""What a system costs: it chooses by score - weight * expected cost, and its weight by held-out queries; test queries only report.

Expected cost of an LLM on a query: the query's tokens at its input price, and what its answers cost beyond that on average in training.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import outcomes
from benchmarks.systems import CHEAPEST, SINGLE, System
from pipelines.comparison import OURS
from pipelines.dataset import Dataset
from scorer import metrics
from scorer.metrics import Interval, Values

RESAMPLES = 2000
WEIGHTS = 60  # tried, from "quality alone" to "the cheapest, unless its score is a disaster"
BUDGETS = 25  # USD a query, evenly spaced in log cost from the cheapest LLM's expected cost to the dearest's
TYPICAL_OUTPUT = 200  # tokens of an answer of an LLM without any known cost
MARGIN = 0.005  # of held-out quality given up to match best single: half of what the bar allows
BAR_QUALITY, BAR_COST = -0.01, 0.5  # of the LLM that dominates: its quality within a point, at half its cost
BAR = f"bar (≥ {BAR_QUALITY:+g}, ≤ {BAR_COST:.0%})"


@dataclass(frozen=True, slots=True)
class Priced:
    """What each answer costs and what it is expected to cost, USD [Q, L]. assumed: share of labelled test answers of unknown cost, taken
    at the expected one.
    """

    test_QL: NDArray[np.float64]
    held_QL: NDArray[np.float64]
    test_expected_QL: NDArray[np.float64]
    held_expected_QL: NDArray[np.float64]
    assumed: float


@dataclass(frozen=True, slots=True)
class Cost:
    """A system's row. usd, quality: by its scores alone, mean per query. area: quality, averaged over budgets.

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
        """Whether best single's quality was kept at half its cost."""
        return verdict(self.matched_difference, self.matched_share)


def verdict(difference: Interval | None, share: Interval | None) -> str:
    """Whether the bar is met: by the means, or even by the ends of both intervals."""
    if difference is None or share is None:
        return "missed"
    if difference.low >= BAR_QUALITY and share.high <= BAR_COST:
        return "met beyond doubt"
    return "met" if difference.mean >= BAR_QUALITY and share.mean <= BAR_COST else "missed"


def priced(parts: dict[str, Dataset]) -> Priced | None:
    """What the answers to the parts `held` and `test` cost; None where no answer's cost is known."""
    train, test, held = (parts[name] for name in ("train", "test", "held"))
    if np.isnan(train.cost_QL).all():
        return None
    input_L, output_L = (np.array([getattr(llm, name) for llm in train.llms]) / 1e6 for name in ("input_price", "output_price"))
    beyond_QL = train.cost_QL - outcomes.tokens(train.queries)[:, None] * input_L
    known_QL = ~np.isnan(beyond_QL)
    counts_L = known_QL.sum(axis=0)
    mean_L = np.where(known_QL, beyond_QL, 0.0).sum(axis=0) / np.maximum(counts_L, 1)
    beyond_L = np.maximum(np.where(counts_L > 0, mean_L, TYPICAL_OUTPUT * output_L), 0.0)
    expected = [outcomes.tokens(part.queries)[:, None] * input_L + beyond_L for part in (test, held)]
    paid = [np.where(np.isnan(part.cost_QL), expected_QL, part.cost_QL) for part, expected_QL in zip((test, held), expected, strict=True)]
    labelled_QL = ~np.isnan(test.labels_QL)
    return Priced(paid[0], paid[1], expected[0], expected[1], float(np.isnan(test.cost_QL[labelled_QL]).mean()))


def compare(rows: Mapping[str, System], parts: dict[str, Dataset], money: Priced) -> dict[str, Cost]:
    """Every system's row."""
    budgets = _budgets(money)
    swept = {name: _sweeps(row, parts, money) for name, row in rows.items()}
    area_Q = {name: np.mean([one.area(budgets) for one in sweeps], axis=0) for name, sweeps in swept.items()}
    found = {}
    for name, sweeps in swept.items():
        quality_Q, cost_Q = (np.mean([one.test(0)[which] for one in sweeps], axis=0) for which in (0, 1))
        difference, share = _matched(sweeps, rows[SINGLE], parts, money) or (None, None)
        found[name] = Cost(
            usd=metrics.interval(cost_Q, resamples=RESAMPLES),
            quality=metrics.interval(quality_Q, resamples=RESAMPLES),
            matched_difference=difference,
            matched_share=share,
            area=metrics.interval(area_Q[name], resamples=RESAMPLES),
            ours_area=metrics.difference(area_Q[OURS], area_Q[name], resamples=RESAMPLES),
            curve=_mean_curve([one.curve(budgets) for one in sweeps]),
        )
    return found


def matched(row: System, single: System, parts: dict[str, Dataset], money: Priced) -> tuple[Interval, Interval] | None:
    """See `Cost`: the difference to `single` and the share of its cost at which `row` matches it; None where it does not."""
    return _matched(_sweeps(row, parts, money), single, parts, money)


def _matched(sweeps: "list[_Sweep]", single: System, parts: dict[str, Dataset], money: Priced) -> tuple[Interval, Interval] | None:
    test_QL = parts["test"].labels_QL
    target = metrics.mean(metrics.quality(single.held_SQL[0], parts["held"].labels_QL)) - MARGIN
    places = [one.cheapest_at(target) for one in sweeps]
    found = [one.test(place) for one, place in zip(sweeps, places, strict=True) if place is not None]
    if len(found) < len(sweeps):
        return None
    quality_Q, cost_Q = (np.mean([each[which] for each in found], axis=0) for which in (0, 1))
    single_cost_Q = metrics.at_choice(money.test_QL, metrics.choices(single.scores_SQL[0], test_QL))
    difference = metrics.difference(quality_Q, metrics.quality(single.scores_SQL[0], test_QL), resamples=RESAMPLES)
    return difference, ratio(cost_Q, single_cost_Q)


@dataclass(frozen=True, slots=True)
class _Sweep:
    """One system and seed at each weight: mean held-out quality and cost [W]; quality and cost of each test query [W, Q]."""

    held_quality_W: Values
    held_cost_W: Values
    quality_WQ: NDArray[np.float64]
    cost_WQ: NDArray[np.float64]

    def test(self, place: int) -> tuple[Values, Values]:
        """Quality and cost of the test queries at a weight."""
        return self.quality_WQ[place], self.cost_WQ[place]

    def cheapest_at(self, target: float) -> int | None:
        """The weight of least held-out cost whose held-out quality is at least `target`."""
        good_W = self.held_quality_W >= target - 1e-9
        return int(np.where(good_W, self.held_cost_W, np.inf).argmin()) if good_W.any() else None

    def within(self, budget: float) -> int:
        """The weight of best held-out quality whose held-out cost is within `budget`; the cheapest where none is."""
        inside_W = self.held_cost_W <= budget
        return int(np.where(inside_W, self.held_quality_W, -np.inf).argmax() if inside_W.any() else self.held_cost_W.argmin())

    def area(self, budgets: Values) -> Values:
        """Each test query's quality, averaged over the budgets."""
        return np.asarray(np.mean([self.quality_WQ[self.within(budget)] for budget in budgets], axis=0))

    def curve(self, budgets: Values) -> list[metrics.Point]:
        """Mean cost and quality of the test queries at each budget."""
        places = [self.within(budget) for budget in budgets]
        return [metrics.Point(metrics.mean(self.cost_WQ[place]), metrics.mean(self.quality_WQ[place])) for place in places]


def _sweeps(row: System, parts: dict[str, Dataset], money: Priced) -> list[_Sweep]:
    """One a seed."""
    return [_sweep(row, seed, parts, money) for seed in range(len(row.scores_SQL))]


def _sweep(row: System, seed: int, parts: dict[str, Dataset], money: Priced) -> _Sweep:
    held_QL, test_QL = parts["held"].labels_QL, parts["test"].labels_QL
    scale = float(np.ptp(row.held_SQL[seed], axis=1).mean()) / float(np.ptp(money.held_expected_QL, axis=1).mean())
    weights = [0.0] if row.name == CHEAPEST else [0.0, *np.geomspace(1e-3, 1e4, WEIGHTS - 1) * scale]
    held = [metrics.choices(row.held_SQL[seed] - weight * money.held_expected_QL, held_QL) for weight in weights]
    test = [metrics.choices(row.scores_SQL[seed] - weight * money.test_expected_QL, test_QL) for weight in weights]
    return _Sweep(
        held_quality_W=np.array([metrics.mean(metrics.at_choice(held_QL, chosen_Q)) for chosen_Q in held]),
        held_cost_W=np.array([metrics.mean(metrics.at_choice(money.held_QL, chosen_Q)) for chosen_Q in held]),
        quality_WQ=np.stack([metrics.at_choice(test_QL, chosen_Q) for chosen_Q in test]),
        cost_WQ=np.stack([metrics.at_choice(money.test_QL, chosen_Q) for chosen_Q in test]),
    )


def _budgets(money: Priced) -> Values:
    mean_L = money.held_expected_QL.mean(axis=0)
    return np.geomspace(mean_L.min(), mean_L.max(), BUDGETS)


def _mean_curve(curves: list[list[metrics.Point]]) -> tuple[metrics.Point, ...]:
    return tuple(
        metrics.Point(float(np.mean([point.cost for point in points])), float(np.mean([point.quality for point in points])))
        for points in zip(*curves, strict=True)
    )


def ratio(over_Q: Values, under_Q: Values) -> Interval:
    """Mean of one over mean of the other on the same queries, with its percentile bootstrap interval."""
    known_Q = ~np.isnan(over_Q) & ~np.isnan(under_Q)
    pairs = np.stack([over_Q[known_Q], under_Q[known_Q]], axis=1)
    dice = np.random.default_rng(0)
    means = np.array([pairs[dice.integers(len(pairs), size=len(pairs))].mean(axis=0) for _ in range(RESAMPLES)])
    low, high = np.quantile(means[:, 0] / means[:, 1], [0.025, 0.975])
    over, under = pairs.mean(axis=0)
    return Interval(float(over / under), float(low), float(high))


def table(found: Mapping[str, Cost]) -> str:
    """One row a system, USD per 1,000 queries."""
    columns = (
        "quality",
        "USD / 1,000",
        "matched − best single",
        "share of its cost",
        BAR,
        "area",
    )
    lines = [f"| system | {' | '.join(columns)} | ours − this area |", "|---" * (len(columns) + 2) + "|"]
    for name, row in found.items():
        usd = Interval(*(1000 * value for value in asdict(row.usd).values()))
        matched = [str(value) if value is not None else "" for value in (row.matched_difference, row.matched_share)]
        ours = "" if name == OURS else str(row.ours_area)
        lines.append(f"| {' | '.join([name, str(row.quality), str(usd), *matched, row.bar, str(row.area), ours])} |")
    return "\n".join(lines)
