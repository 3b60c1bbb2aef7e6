"""A certificate: with which confidence routing loses at most so much against always asking the best LLM, and at which value of a dollar.

The settings (values of a dollar) are tested in a fixed order, those that spend most first, each at the same level, up to the first that
cannot be rejected; so the chance that any setting passes which loses more is at most 1 - confidence (fixed-sequence testing, Learn then
Test, arXiv 2110.01052). The last that passes is certified: it is the cheapest. Pure; who scores and grades: pipelines.certify.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry import betting

Values = NDArray[np.float64]

SETTINGS = 25
PERCENT = 100


@dataclass(frozen=True, slots=True)
class Promise:
    """What is to be certified: at most `floor` (0.01 is a point) below the best LLM, with `confidence`."""

    floor: float
    confidence: float = 0.95

    @property
    def alpha(self) -> float:
        """The chance that a certificate may be wrong."""
        return 1 - self.confidence


@dataclass(frozen=True, slots=True)
class Measured:
    """What N held-out queries say of S settings, those that spend most first, against always asking `baseline`, chosen on other data.

    usd_S: the values of a dollar. difference_SN: quality of the choice minus that of the baseline, in [-1, 1], the queries in an order
    that has nothing to do with them. cost_SN, baseline_cost_N: USD. domains_N: the domain of each query. prices: USD per million tokens
    in and out of each LLM that may be chosen, by which the choices were made.
    """

    baseline: str
    usd_S: Values
    difference_SN: Values
    cost_SN: Values
    baseline_cost_N: Values
    domains_N: NDArray[np.str_]
    prices: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Part:
    """One domain: whether the certified setting is certified there too, by a sequence of its own, with the domains' floor."""

    domain: str
    floor: float
    queries: int
    certified: bool
    difference: float
    needed: int | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """usd: the certified value of a dollar; None: not certifiable with `queries` labels, and `needed` would do (None: no number would).

    difference: the choices' mean quality minus the baseline's, as measured; cost_share: of the baseline's cost. Both are of the certified
    setting, else of the one that spends most. prices: by which LLMs are chosen. why_not: what no label would mend.
    """

    baseline: str
    floor: float
    confidence: float
    queries: int
    usd: float | None = None
    difference: float | None = None
    cost_share: float | None = None
    needed: int | None = None
    prices: Mapping[str, tuple[float, float]] | None = None
    domains: tuple[Part, ...] = ()
    why_not: str = ""
    bound: str = "betting"

    @property
    def certified(self) -> bool:
        """Whether there is a setting to serve."""
        return self.usd is not None

    def sentence(self) -> str:
        """What it promises, or why it does not, for a person."""
        confidence = f"{PERCENT * self.confidence:g} % confidence"
        if self.usd is not None and self.cost_share is not None:
            return (
                f"With {confidence} at most {points(self.floor)} below always asking {self.baseline}, at {self.cost_share:.0%} of its cost "
                f"(a dollar worth {self.usd:.3g} right answers; measured {PERCENT * (self.difference or 0):+.1f} points; "
                f"{self.queries:,} labels, bound by {self.bound}); void on drift."
            )
        if self.why_not:
            return f"Not certifiable: {self.why_not}"
        more = (
            f"about {_rounded(self.needed)} would do"
            if self.needed is not None
            else f"and more of the like would not do: {PERCENT * (self.difference or 0):+.1f} points were measured"
        )
        return f"Not certifiable with {self.queries:,} labels as at most {points(self.floor)} below always asking {self.baseline}; {more}."

    def by_domain(self) -> list[str]:
        """A clause for each domain with queries."""
        return [
            f"{part.domain} ({part.queries}): "
            + (
                f"at most {points(part.floor)} below"
                if part.certified
                else f"not certified at {points(part.floor)}{_would_do(part.needed)}"
            )
            for part in self.domains
        ]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, with the sentence."""
        return {**asdict(self), "sentence": self.sentence()}

    def as_json(self) -> str:
        """One line."""
        return json.dumps(self.as_dict(), separators=(",", ":"))


def read(text: str) -> Certificate | None:
    """The certificate of a version's tag; None where there is none or it is of another release."""
    try:
        tree = json.loads(text)
        tree.pop("sentence", None)
        parts = tuple(Part(**part) for part in tree.pop("domains"))
        prices = {llm: (float(pair[0]), float(pair[1])) for llm, pair in (tree.pop("prices") or {}).items()}
        return Certificate(**tree, domains=parts, prices=prices)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        return None


def certify(measured: Measured, overall: Promise, per_domain: Promise) -> Certificate:
    """The certificate that these labels allow. Each domain's is tested alone: it holds with `per_domain.confidence` by itself."""
    passed = sequence(measured.difference_SN, overall)
    at = max(passed - 1, 0)
    queries = measured.difference_SN.shape[1]
    blank = Certificate(measured.baseline, overall.floor, overall.confidence, queries, prices=dict(measured.prices))
    if not queries:
        return replace(blank, why_not="no held-out query is labelled for every LLM that may be chosen.")
    total = float(measured.baseline_cost_N.sum())
    return replace(
        blank,
        usd=float(measured.usd_S[at]) if passed else None,
        difference=float(measured.difference_SN[at].mean()),
        cost_share=float(measured.cost_SN[at].sum()) / total if total > 0 else None,
        needed=None if passed else betting.needed(measured.difference_SN[0], overall.floor, overall.alpha),
        domains=tuple(_part(measured, domain, at, per_domain) for domain in sorted(set(measured.domains_N.tolist()))),
    )


def sequence(difference_SN: Values, promise: Promise) -> int:
    """How many of the settings, from the first on, pass the test."""
    for at, difference_N in enumerate(difference_SN):
        if not betting.rejects(difference_N, promise.floor, promise.alpha):
            return at
    return len(difference_SN)


def grid(costs_QL: Values) -> Values:
    """usd_S: values of a dollar from almost nothing to where always the cheapest LLM is chosen; from costs alone, never from labels.

    Not zero: where cost does not count, an LLM of unknown price could be chosen.
    """
    dearest = max(float(np.ptp(costs_QL.mean(axis=0))), 1e-12)
    return np.array([float(f"{usd:.3g}") for usd in np.geomspace(0.001, 2.0, SETTINGS) / dearest])


def points(share: float) -> str:
    """`1 point`."""
    return f"{PERCENT * share:g} point{'' if round(PERCENT * share, 6) == 1 else 's'}"


def _part(measured: Measured, domain: str, at: int, promise: Promise) -> Part:
    inside_SN: Values = measured.difference_SN[:, measured.domains_N == domain]
    reached: Sequence[Values] = list(inside_SN[: at + 1])
    certified = sequence(np.array(reached), promise) > at
    needed = None if certified else betting.needed(inside_SN[at], promise.floor, promise.alpha)
    return Part(domain, promise.floor, inside_SN.shape[1], certified, float(inside_SN[at].mean()), needed)


def _would_do(needed: int | None) -> str:
    return "" if needed is None else f", about {_rounded(needed)} labels would do"


def _rounded(count: int) -> str:
    """Two digits of it: more it does not know."""
    return f"{float(f'{count:.2g}'):,.0f}"
