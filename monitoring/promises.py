"""Whether a scorer version keeps its promises: all its audits so far, in one test that may be looked at after every one of them.

Testing by betting (Waudby-Smith & Ramdas 2024): somebody bets, one audit after another, that outcomes fall short of promises by more than
a tolerance. Where they do not, his wealth grows with a probability of at most alpha to 1 / alpha, ever (Ville 1939):

    wealth = mean over bets b of  prod over audits (1 + b (promise - outcome - tolerance))

The bets do not change with what was seen, so the order of the audits does not matter and one that is reported late counts like any other.
Half of the money is on all audits together, the other half is divided among the domains the scorer knows and the rest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
BETS = 6
REST = "other domains"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """How much outcomes fell short of promises in one group of audits: their number, the mean gap, and the wealth it brought."""

    group: str
    audits: int
    gap: float
    wealth: float


@dataclass(frozen=True, slots=True)
class Promises:
    """The audits of a scorer version. wealth: of the whole bettor, 1 without audits; 1 / alpha is beyond doubt at alpha.

    groups: all audits together first, then domains, the largest wealth first; those without an audit are left out.
    """

    audits: int
    wealth: float
    groups: tuple[Shortfall, ...]


def bet(promised_M: Doubles, outcome_M: Doubles, domains_M: list[str], known: frozenset[str], *, tolerance: float) -> Promises:
    """What M audits say of the promises. known: the domains that the scorer was trained on; audits of others are one group.

    promised_M and outcome_M in [0, 1].
    """
    names = [domain if domain in known else REST for domain in domains_M]
    groups = []
    for name in sorted(set(names)):
        rows = np.array([each == name for each in names])
        groups.append(_shortfall(name, promised_M[rows], outcome_M[rows], tolerance))
    groups.sort(key=lambda group: -group.wealth)
    if not groups:
        return Promises(0, 1.0, ())
    together = _shortfall("all", promised_M, outcome_M, tolerance)
    unseen = len(known) + 1 - len(groups)  # groups without an audit keep the money they began with
    domains = (sum(group.wealth for group in groups) + unseen) / (len(known) + 1)
    return Promises(len(names), (together.wealth + domains) / 2, (together, *groups))


def _shortfall(group: str, promised_M: Doubles, outcome_M: Doubles, tolerance: float) -> Shortfall:
    gap_M = promised_M - outcome_M
    bets_B = np.arange(1, BETS + 1) / (BETS + 1) / (1 + tolerance)  # below 1 / (1 + tolerance), so that no audit ruins
    log_B = np.log1p(bets_B[:, None] * (gap_M - tolerance)).sum(axis=1)
    highest = float(log_B.max())
    wealth = float(np.exp(min(700.0, highest))) * float(np.exp(log_B - highest).mean())
    return Shortfall(group, len(gap_M), float(gap_M.mean()), wealth)
