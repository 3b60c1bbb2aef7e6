"""What a request may spend and prefer: the operator's settings, and how a request narrows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from mixture.choose.posterior import AgreementPosterior, PaperScore, Posterior
from scorer.errors import RouteMoAError

Number = TypeVar("Number", int, float)
Aggregation = Literal["auto", "best", "vote", "synthesise"]
Order = Literal["value", "strict"]
Deepening = Literal["refine", "widen"]
Stopping = Literal["gain", "threshold"]

# What a request may choose under each operator's setting: never something that could cost more than that setting may.
_NARROWER: Mapping[Aggregation, frozenset[Aggregation]] = {
    "best": frozenset({"best"}),
    "vote": frozenset({"best", "vote"}),
    "auto": frozenset({"best", "vote", "auto", "synthesise"}),
    "synthesise": frozenset({"best", "vote", "auto", "synthesise"}),
}


class OptionsRefused(RouteMoAError, ValueError):
    """An option outside its range."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What a right answer, a dollar and a second are worth, in one unit.

    The defaults say: a right answer is worth ten cents, and a second of waiting 0.2 % of a right answer.
    """

    quality: float = 1.0
    usd: float = 10.0
    second: float = 0.002

    def __post_init__(self) -> None:
        if min(self.quality, self.usd, self.second) < 0:
            raise OptionsRefused(f"Weights must not be negative, got {self}.", next_step="Give 0 to ignore one.")

    def price(self, cost_usd: float, latency_s: float) -> float:
        """What `cost_usd` and `latency_s` are worth."""
        return self.usd * cost_usd + self.second * latency_s


@dataclass(frozen=True, slots=True)
class Options:
    """How one request is answered.

    k: LLMs a layer at most. max_layers: layers at most. quorum: answers after which a layer no longer waits for its stragglers
    (capped by the LLMs in it). patience: how many times its expected latency a straggler gets in all, or where that is unknown,
    how many times what the quorum took; a call that is later gets another LLM asked beside it, or in its place.
    straggler_grace_s: seconds that a straggler of unknown latency gets after the quorum at least.
    ranking: "value" weighs quality, price and latency; "strict" is the paper's performance > output price > input price > latency.
    deepen: what a further layer does. "refine" shows the last layer's answers to the LLMs that rank first now (the paper's);
    "widen" asks LLMs that have not answered the bare question, as many as are expected to bring more than they cost.
    stopping: "gain" weighs what a further layer brings against its price; "threshold" is the paper's: at `stop_threshold`, expected
    quality at which no further layer runs (widening with k = 1 and no weight but on USD is a cascade, cheap to dear).
    refine_gain: share of the questions not yet answered right that more answers to combine turn right (used for sets, refining and
    synthesis). posterior: the rule that makes scores of what was heard; widening needs `AgreementPosterior`.
    spares: LLMs beyond the chosen that may be asked in place of failed ones, a layer.
    budget_usd, deadline: limits of the whole request; `deadline` is monotonic seconds (`time.monotonic`).
    data_policy: tags of which an LLM must carry one, None for any. capabilities: what every LLM asked must have.
    self_assessment, cross_assessment: whether LLMs are asked to judge their and their peers' answers (`LLM.self_assessment`: how each is).
    """

    k: int = 3
    max_layers: int = 3
    weights: Weights = field(default_factory=Weights)
    ranking: Order = "value"
    deepen: Deepening = "refine"
    stopping: Stopping = "gain"
    stop_threshold: float = 0.85
    refine_gain: float = 0.15
    quorum: int = 2
    patience: float = 2.0
    straggler_grace_s: float = 5.0
    spares: int = 4
    budget_usd: float | None = None
    deadline: float | None = None
    aggregation: Aggregation = "auto"
    data_policy: frozenset[str] | None = None
    capabilities: frozenset[str] = frozenset()
    self_assessment: bool = True
    cross_assessment: bool = True
    posterior: Posterior = field(default_factory=PaperScore)

    def __post_init__(self) -> None:
        for name in ("k", "max_layers", "quorum"):
            if getattr(self, name) < 1:
                raise OptionsRefused(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.budget_usd is not None and self.budget_usd < 0:
            raise OptionsRefused(f"budget_usd must not be negative, got {self.budget_usd}.")
        if self.aggregation not in _NARROWER or self.ranking not in {"value", "strict"}:
            raise OptionsRefused(
                f"Unknown aggregation {self.aggregation!r} or ranking {self.ranking!r}.",
                next_step=f"Aggregations: {', '.join(_NARROWER)}; rankings: value, strict.",
            )
        if self.deepen == "widen" and not isinstance(self.posterior, AgreementPosterior):
            raise OptionsRefused(
                "Widening compares answers; the published posterior does not.", next_step="Give posterior=AgreementPosterior()."
            )

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
        if isinstance(rule := read.get("posterior"), Mapping):
            read["posterior"] = (
                AgreementPosterior(**rule) if "base" in rule else PaperScore(**{name: tuple(part) for name, part in rule.items()})
            )
        return cls(**read)


@dataclass(frozen=True, slots=True)
class Requested:
    """What one request asks for; None leaves the operator's setting. `deadline` is monotonic seconds."""

    k: int | None = None
    max_layers: int | None = None
    weights: Weights | None = None
    stop_threshold: float | None = None
    budget_usd: float | None = None
    deadline: float | None = None
    aggregation: Aggregation | None = None
    data_policy: frozenset[str] | None = None
    capabilities: frozenset[str] | None = None
    self_assessment: bool | None = None
    cross_assessment: bool | None = None


def restrict(operator: Options, wishes: Requested) -> Options:
    """`operator` with every wish that asks for less: fewer LLMs, less money, less time, fewer places, more weight on price.

    A wish for more than the operator allows gets what the operator allows.
    """
    asked = wishes.aggregation
    buys = operator.aggregation != "auto" or operator.refine_gain > 0  # "auto" without refine_gain never pays for a synthesis
    permitted = _NARROWER[operator.aggregation] - (frozenset() if buys else {"synthesise"})
    return replace(
        operator,
        k=_least(operator.k, wishes.k),
        max_layers=_least(operator.max_layers, wishes.max_layers),
        weights=_dearer(operator.weights, wishes.weights),
        stop_threshold=_least(operator.stop_threshold, wishes.stop_threshold),
        budget_usd=_tightest(operator.budget_usd, wishes.budget_usd),
        deadline=_tightest(operator.deadline, wishes.deadline),
        aggregation=asked if asked in permitted else operator.aggregation,
        data_policy=_common(operator.data_policy, wishes.data_policy),
        capabilities=operator.capabilities | (wishes.capabilities or frozenset()),
        self_assessment=operator.self_assessment and wishes.self_assessment is not False,
        cross_assessment=operator.cross_assessment and wishes.cross_assessment is not False,
    )


def _least(allowed: Number, wished: Number | None) -> Number:
    return allowed if wished is None else min(allowed, wished)


def _tightest(allowed: float | None, wished: float | None) -> float | None:
    return wished if allowed is None else _least(allowed, wished)


def _dearer(operator: Weights, wished: Weights | None) -> Weights:
    if wished is None:
        return operator
    return Weights(min(operator.quality, wished.quality), max(operator.usd, wished.usd), max(operator.second, wished.second))


def _common(allowed: frozenset[str] | None, wished: frozenset[str] | None) -> frozenset[str] | None:
    if allowed is None or wished is None:
        return wished if allowed is None else allowed
    return allowed & wished


def _jsonable(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Weights | PaperScore | AgreementPosterior):
        return {each.name: _jsonable(getattr(value, each.name)) for each in fields(value)}
    return list(value) if isinstance(value, tuple) else value
