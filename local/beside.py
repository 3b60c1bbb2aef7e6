"""What served answers came to beside always asking one LLM: quality and money on the same queries, by its recorded answers to them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from local.traffic import Served
from pipelines.dataset import Dataset
from scorer.metrics import Interval, Values

RESAMPLES = 2_000
NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True)
class Beside:
    """Of `queries` served and graded: quality is ours less the baseline's; saved is the share of what the baseline would have cost.

    usd: what a query cost, ours and the baseline's, on average. right: mean grades, ours and the baseline's.
    """

    baseline: str
    queries: int
    right: tuple[float, float]
    usd: tuple[float, float]
    quality: Interval
    saved: Interval

    def __str__(self) -> str:
        """As a sentence."""
        ours, theirs = self.right
        usd, usd_theirs = (1e6 * each for each in self.usd)
        return (
            f"{self.queries} queries that no scorer was trained on: {ours:.0%} right at {usd:.1f} USD a million; "
            f"always {self.baseline}: {theirs:.0%} right at {usd_theirs:.1f}\n"
            f"beside it: quality {_points(self.quality)} points, money saved {100 * self.saved.mean:.0f} % "
            f"[{100 * self.saved.low:.0f}, {100 * self.saved.high:.0f}]"
        )

    def pays(self, floor: float) -> str:
        """Whether routing pays with a loss of `floor` allowed (a share), as far as so many queries can tell."""
        points = f"{100 * floor:g} points"
        if self.saved.low > 0:
            if self.quality.high < -floor:
                return f"It does not pay here: quality is worse by more than the floor of {points}, beyond doubt."
            if self.quality.low >= -floor:
                return f"It pays here: it is cheaper, and quality within the floor of {points}, both beyond doubt."
            return f"It is cheaper beyond doubt; that quality is within the floor of {points}, {self.queries} queries cannot tell."
        if self.quality.low > 0:
            return "It answers better beyond doubt; it is not cheaper beyond doubt."
        return f"It does not pay here: of {self.queries} queries neither money saved nor better answers are beyond doubt."


def compared(served: Sequence[Served], data: Dataset, baseline: str) -> Beside | None:
    """The graded ones that `baseline` has a label for; None where there is none."""
    at = {query_id: place for place, query_id in enumerate(data.queries["query_id"])}
    column = data.roster.index(baseline)
    known = [one for one in served if one.score is not None and one.query_id in at]
    rows = [at[one.query_id] for one in known]
    theirs_N, theirs_usd_N = data.labels_QL[rows, column], data.cost_QL[rows, column]
    both_N = ~(np.isnan(theirs_N) | np.isnan(theirs_usd_N))
    if not both_N.any():
        return None
    ours_N, usd_N = (
        np.array([value or 0.0 for value in values])[both_N] for values in zip(*((one.score, one.cost_usd) for one in known), strict=True)
    )
    theirs_N, theirs_usd_N = theirs_N[both_N], theirs_usd_N[both_N]
    return Beside(
        baseline,
        len(ours_N),
        (float(ours_N.mean()), float(theirs_N.mean())),
        (float(usd_N.mean()), float(theirs_usd_N.mean())),
        paired(ours_N - theirs_N),
        _saved(usd_N, theirs_usd_N),
    )


def paired(differences_N: Values) -> Interval:
    """Mean of differences in [-1, 1] with its 95 % interval, which a few equal differences do not shrink to nothing.

    Agresti and Min 2005: one win and one loss are added, half a query each way and as much again of ties. The mean is the sample's own.
    """
    count = len(differences_N) + 2
    middle = float(differences_N.sum()) / count
    spread = (float((differences_N**2).sum()) + 1) / count - middle**2
    half = NORMAL_95 * float(np.sqrt(spread / count))
    return Interval(float(differences_N.mean()), max(-1.0, middle - half), min(1.0, middle + half))


def _saved(ours_N: Values, theirs_N: Values) -> Interval:
    """Share of `theirs` that was not spent; queries resampled."""
    picks_RN = np.random.default_rng(0).integers(len(ours_N), size=(RESAMPLES, len(ours_N)))
    shares_R = 1 - ours_N[picks_RN].sum(axis=1) / theirs_N[picks_RN].sum(axis=1)
    low, high = np.quantile(shares_R, [0.025, 0.975])
    return Interval(float(1 - ours_N.sum() / theirs_N.sum()), float(low), float(high))


def _points(interval: Interval) -> str:
    return f"{100 * interval.mean:+.0f} [{100 * interval.low:+.0f}, {100 * interval.high:+.0f}]"
