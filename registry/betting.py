"""Evidence by betting that a bounded mean is above a floor, exact at any number of values (Waudby-Smith and Ramdas, arXiv 2010.09686).

A gambler who starts with 1 bets, value by value, that the mean is above the floor. Where it is not, his wealth is at most 1 on average
whatever he stakes, so the chance that it ever reaches 1 / alpha is at most alpha (Ville). How much he stakes follows from the spread of the
values before: where most are equal he stakes much, and few values are enough.
"""

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

SPREAD = 0.25  # variance that is assumed before the first value: the largest there is on [0, 1]
MOST_STAKED = 0.75  # share of the wealth that one value can cost
MOST_LABELS = 10_000_000  # more are not asked for: none would do


def rejects(differences_N: Values, floor: float, alpha: float) -> bool:
    """Whether it is beyond doubt at `alpha` that the mean of values in [-1, 1] is above -`floor` (in [0, 1]).

    The values must be in an order that does not depend on them.
    """
    return wealth(differences_N, floor, alpha) >= 1 / alpha


def wealth(differences_N: Values, floor: float, alpha: float) -> float:
    """The most that the gambler ever had. With an empty sample: 1."""
    if not len(differences_N):
        return 1.0
    values_N, null = _scaled(differences_N, floor)
    count_N = np.arange(1, len(values_N) + 1)
    mean_N = (0.5 + values_N.cumsum()) / (count_N + 1)
    spread_N = (SPREAD + ((values_N - mean_N) ** 2).cumsum()) / (count_N + 1)
    stake_N = _stake(np.concatenate([[SPREAD], spread_N[:-1]]), len(values_N), null, alpha)
    return float(np.exp(min(np.log1p(stake_N * (values_N - null)).cumsum().max(), 700.0)))


def needed(differences_N: Values, floor: float, alpha: float) -> int | None:
    """About how many values like these would reject; None where no number would, for their mean is not above -`floor`."""
    if not len(differences_N):
        return None
    values_N, null = _scaled(differences_N, floor)
    if values_N.mean() <= null:
        return None

    def enough(count: int) -> bool:
        spread = np.array([float(values_N.var()) + SPREAD / count])
        return count * float(np.log1p(_stake(spread, count, null, alpha) * (values_N - null)).mean()) >= math.log(1 / alpha)

    least, most = 1, 2
    while not enough(most):
        least, most = most, 2 * most
        if most > MOST_LABELS:
            return None
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if enough(middle) else (middle, most)
    return most


def _scaled(differences_N: Values, floor: float) -> tuple[Values, float]:
    """Values and floor on [0, 1]. Raises ValueError for values or a floor outside."""
    if not (0 <= floor < 1) or np.isnan(differences_N).any() or np.abs(differences_N).max() > 1:
        raise ValueError(f"differences must lie in [-1, 1] and the floor in [0, 1), got {differences_N} and {floor}")
    return (1 + differences_N) / 2, (1 - floor) / 2


def _stake(spread_N: Values, count: int, null: float, alpha: float) -> Values:
    """What is best for a mean that `count` values can just tell from the null (their equation 26), and never all of the wealth."""
    return np.minimum(np.sqrt(2 * math.log(1 / alpha) / (count * spread_N)), MOST_STAKED / null)
