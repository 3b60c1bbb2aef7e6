"""Where a newcomer might lead the pool, by what its first answers say: which training queries to ask it next.

A sample that speaks for all queries holds few of a specialist's kind. After the first answers the rest therefore go to the scorer's groups
of queries, in proportion to the chance that the newcomer's rate there is above what the pool's choice is promised: much where the pool is
bad or the newcomer was right, little where it was wrong.
"""

import numpy as np
from numpy.typing import NDArray

from scorer.types import Floats

FIRST = 50  # training queries of the first round
PRIOR = 4.0  # labels at its overall rate that a newcomer starts with in each group


def order(
    groups_Q: NDArray[np.int64], labels_Q: NDArray[np.float64], promised_Q: Floats, asked_Q: NDArray[np.bool_], *, count: int
) -> list[int]:
    """Places of up to `count` queries to ask next, in each group the first.

    labels_Q: the newcomer's, NaN where unknown; promised_Q: the best of the pool's scores.
    """
    chances = chances_to_lead(groups_Q, labels_Q, promised_Q)
    left = {group: np.flatnonzero((groups_Q == group) & ~asked_Q).tolist() for group in chances}
    weights = {group: chances[group] * len(places) ** 0.5 for group, places in left.items() if places}
    due = dict.fromkeys(weights, 0.0)
    chosen: list[int] = []
    while weights and len(chosen) < count:
        for group, weight in weights.items():
            due[group] += weight / sum(weights.values())
        group = max(weights, key=lambda one: due[one])
        due[group] -= 1.0
        chosen.append(left[group].pop(0))
        if not left[group]:
            del weights[group]
    return chosen


def chances_to_lead(groups_Q: NDArray[np.int64], labels_Q: NDArray[np.float64], promised_Q: Floats) -> dict[int, float]:
    """Of each group: the posterior chance that the newcomer's rate is above the mean promise of the pool's choice (beta-binomial)."""
    from scipy.stats import beta

    known_Q = ~np.isnan(labels_Q)
    overall = float((np.nansum(labels_Q) + 1) / (known_Q.sum() + 2))
    chances = {}
    for group in np.unique(groups_Q).tolist():
        inside_Q = groups_Q == group
        right, count = float(np.nansum(labels_Q[inside_Q])), int((inside_Q & known_Q).sum())
        promise = min(float(promised_Q[inside_Q].mean()), 0.98)
        chance = beta.sf(promise, right + PRIOR * overall, count - right + PRIOR * (1 - overall))
        chances[group] = max(float(chance), 1e-6)
    return chances
