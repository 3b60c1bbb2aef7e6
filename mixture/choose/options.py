"""What a request may spend and asks for, whatever the strategy by which it is answered."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from scorer.errors import RouteMoAError

Aggregation = Literal["auto", "best", "vote", "synthesise"]
AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)


class OptionsRefused(RouteMoAError, ValueError):
    """An option outside its range."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What a right answer, a dollar, a second and a kilowatt-hour are worth, in one unit.

    The defaults say: a right answer is worth ten cents, a second of waiting 0.2 % of a right answer, and energy nothing of its own.
    """

    quality: float = 1.0
    usd: float = 10.0
    second: float = 0.002
    kwh: float = 0.0

    def __post_init__(self) -> None:
        if min(self.quality, self.usd, self.second, self.kwh) < 0:
            raise OptionsRefused(f"Weights must not be negative, got {self}.", next_step="Give 0 to ignore one.")

    def penalty(self, cost_usd: float, latency_s: float, kwh: float | None) -> float:
        """What so much money, time and energy are worth; infinite where energy counts and nobody knows it."""
        energy = self.kwh * (math.inf if kwh is None else kwh) if self.kwh else 0.0
        return (self.usd * cost_usd if self.usd else 0.0) + self.second * latency_s + energy  # a price that nobody knows is infinite


@dataclass(frozen=True, slots=True)
class Options:
    """What one request may spend and asks for, whatever its strategy.

    k: LLMs a layer at most. max_layers: layers at most. quorum: answers after which a layer no longer waits for its stragglers
    (capped by the LLMs in it). spares: LLMs beyond the chosen that may be asked in place of failed ones, a layer.
    budget_usd, deadline: limits of the whole request; `deadline` is monotonic seconds (`time.monotonic`).
    own_deadline: whether the caller set it, and it is no fault of an LLM that it does not answer by then.
    data_policy: tags of which an LLM must carry one, None for any. capabilities: what every LLM asked must have.
    aggregation: how answers become one; "auto" votes over short ones and pays for a synthesis only where it is worth it.
    """

    k: int = 3
    max_layers: int = 3
    weights: Weights = field(default_factory=Weights)
    quorum: int = 2
    spares: int = 4
    budget_usd: float | None = None
    deadline: float | None = None
    own_deadline: bool = False
    aggregation: Aggregation = "auto"
    data_policy: frozenset[str] | None = None
    capabilities: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in ("k", "max_layers", "quorum"):
            if getattr(self, name) < 1:
                raise OptionsRefused(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.budget_usd is not None and self.budget_usd < 0:
            raise OptionsRefused(f"budget_usd must not be negative, got {self.budget_usd}.")
        if self.aggregation not in AGGREGATIONS:
            raise OptionsRefused(f"Unknown aggregation {self.aggregation!r}.", next_step=f"Aggregations: {', '.join(AGGREGATIONS)}.")

    @property
    def counts_cost(self) -> bool:
        """Whether the price of an LLM matters; one of unknown price is left out then."""
        return self.budget_usd is not None or self.weights.usd > 0

    @property
    def counts_energy(self) -> bool:
        """Whether the energy of an LLM matters; one of unknown energy is left out then."""
        return self.weights.kwh > 0

    @property
    def single(self) -> bool:
        """Whether exactly one LLM answers, unchanged."""
        return self.k == 1 and self.max_layers == 1

    def as_single(self) -> "Options":
        """The same limits and preferences for one LLM that answers unchanged."""
        return replace(self, k=1, max_layers=1, aggregation="best")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; sets are sorted lists."""
        return {each.name: _jsonable(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Options":
        """The options `as_dict` wrote; fields it does not know are an error (TypeError)."""
        read = dict(tree)
        for name in ("data_policy", "capabilities"):
            if isinstance(read.get(name), list):
                read[name] = frozenset(read[name])
        if isinstance(weights := read.get("weights"), Mapping):
            read["weights"] = Weights(**weights)
        return cls(**read)


def _jsonable(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    return asdict(value) if isinstance(value, Weights) else value
