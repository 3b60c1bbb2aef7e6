"""What one request may change of the operator's options: it restricts them and never widens them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from mixture.choose.options import Aggregation, Options, Weights

Number = TypeVar("Number", int, float)

# What a request may choose under each operator's setting: never something that could cost more than that setting may.
_NARROWER: Mapping[Aggregation, frozenset[Aggregation]] = {
    "best": frozenset({"best"}),
    "vote": frozenset({"best", "vote"}),
    "auto": frozenset({"best", "vote", "auto", "synthesise"}),
    "synthesise": frozenset({"best", "vote", "auto", "synthesise"}),
}


@dataclass(frozen=True, slots=True)
class Requested:
    """What one request asks for; None leaves the operator's setting. `deadline` is monotonic seconds."""

    k: int | None = None
    max_layers: int | None = None
    weights: Weights | None = None
    budget_usd: float | None = None
    deadline: float | None = None
    aggregation: Aggregation | None = None
    data_policy: frozenset[str] | None = None


def restrict(operator: Options, requested: Requested, *, synthesis: bool = True) -> Options:
    """`operator` with every wish that asks for less: fewer LLMs, less money, less time, fewer places, more weight on price.

    A wish for more than the operator allows gets what the operator allows. synthesis: whether the operator's "auto" ever pays for one.
    """
    permitted = _NARROWER[operator.aggregation] - (frozenset() if synthesis or operator.aggregation != "auto" else {"synthesise"})
    return replace(
        operator,
        k=_least(operator.k, requested.k),
        max_layers=_least(operator.max_layers, requested.max_layers),
        weights=_dearer(operator.weights, requested.weights),
        budget_usd=_tightest(operator.budget_usd, requested.budget_usd),
        deadline=(deadline := _tightest(operator.deadline, requested.deadline)),
        own_deadline=operator.own_deadline or deadline != operator.deadline,
        aggregation=requested.aggregation if requested.aggregation in permitted else operator.aggregation,
        data_policy=_common(operator.data_policy, requested.data_policy),
    )


def _least(allowed: Number, requested: Number | None) -> Number:
    return allowed if requested is None else min(allowed, requested)


def _tightest(allowed: float | None, requested: float | None) -> float | None:
    return requested if allowed is None else _least(allowed, requested)


def _dearer(operator: Weights, requested: Weights | None) -> Weights:
    if requested is None:
        return operator
    return Weights(
        quality=min(operator.quality, requested.quality),
        usd=max(operator.usd, requested.usd),
        second=max(operator.second, requested.second),
        kwh=max(operator.kwh, requested.kwh),
    )


def _common(allowed: frozenset[str] | None, requested: frozenset[str] | None) -> frozenset[str] | None:
    if allowed is None or requested is None:
        return requested if allowed is None else allowed
    return allowed & requested
