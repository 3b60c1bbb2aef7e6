"""Whether a scorer version keeps its promises: all its audits so far, in one test that may be looked at after every one of them.

Testing by betting (Waudby-Smith & Ramdas 2024): somebody bets, one audit after another in the order they were reported, that the outcome
falls short of the promise. Where promises are kept his wealth reaches 1 / alpha with a probability of at most alpha, ever (Ville 1939):

    wealth = product over audits of  1 + stake (promise - outcome)
    stake  = shortfall / (promise (1 - promise) + LEAST_VARIANCE)

shortfall is what the audits of the same domain before it fell short by, drawn towards EXPECTED by PRIOR audits, and never below 0: he
stakes much where a domain has disappointed him, much on an answer that was promised almost surely, and nothing where all is well. So one
purse looks for one bad domain and for a fault everywhere, and many domains cost nothing.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
PRIOR = 4.0  # audits; this and the next three were chosen on simulated audits, none of a recorded set
EXPECTED = 0.05
LEAST_VARIANCE = 0.05
MOST_SHORT = 0.5
MOST_STAKED = 0.9  # of the wealth, so that no audit ruins
MOSTLY = 0.8  # a domain that brought so much of the evidence is where it is, else it is everywhere
LARGEST = 700.0  # logarithm of a wealth that is still a number
REST = "other domains"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """How much outcomes fell short in one group of audits: their number, the mean gap, what they multiplied the wealth by."""

    group: str
    audits: int
    gap: float
    wealth: float


@dataclass(frozen=True, slots=True)
class Promises:
    """The audits of a scorer version. wealth: what the bettor has now, 1 without audits; 1 / alpha is beyond doubt at alpha.

    groups: all audits together first, then domains, the largest wealth first; those without an audit are left out.
    """

    audits: int
    wealth: float
    groups: tuple[Shortfall, ...]

    def broken(self, *, alpha: float, tolerance: float) -> Shortfall | None:
        """Where promises are broken, beyond doubt at `alpha` and by at least `tolerance`: one domain, or all; None where they are kept."""
        if self.wealth < 1 / alpha:
            return None
        together, first = self.groups[:2]
        worst = first if math.log(first.wealth) >= MOSTLY * math.log(together.wealth) else together
        return worst if worst.gap >= tolerance else None


def bet(promised_M: Doubles, outcome_M: Doubles, domains_M: list[str], known: frozenset[str]) -> Promises:
    """What M audits, in the order they were reported, say of the promises.

    known: the domains that the scorer was trained on; audits of others are one group. promised_M and outcome_M in [0, 1].
    """
    groups_M = [domain if domain in known else REST for domain in domains_M]
    won_M = _won(promised_M, outcome_M, groups_M)
    if not len(won_M):
        return Promises(0, 1.0, ())
    gap_M, names_M = promised_M - outcome_M, np.array(groups_M)

    def shortfall(name: str, rows: NDArray[np.bool_]) -> Shortfall:
        return Shortfall(name, int(rows.sum()), float(gap_M[rows].mean()), math.exp(min(LARGEST, won_M[rows].sum())))

    domains = sorted((shortfall(name, names_M == name) for name in sorted(set(groups_M))), key=lambda group: -group.wealth)
    together = shortfall("all", np.ones(len(won_M), dtype=bool))
    return Promises(together.audits, together.wealth, (together, *domains))


def _won(promised_M: Doubles, outcome_M: Doubles, groups_M: list[str]) -> Doubles:
    """The logarithm of what each audit multiplied the wealth by."""
    audits: dict[str, int] = defaultdict(int)
    short: dict[str, float] = defaultdict(float)
    won = []
    for promise, outcome, group in zip(promised_M.tolist(), outcome_M.tolist(), groups_M, strict=True):
        expected = (PRIOR * EXPECTED + short[group]) / (PRIOR + audits[group])
        stake = min(max(expected, 0.0), MOST_SHORT) / (promise * (1 - promise) + LEAST_VARIANCE)
        won.append(math.log1p(min(stake, MOST_STAKED / max(1 - promise, 1e-9)) * (promise - outcome)))
        audits[group] += 1
        short[group] += promise - outcome
    return np.array(won, dtype=np.float64)
