"""The strategies by name: a new one is a class of its own and a line here."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from mixture.choose.layered import Layered
from mixture.choose.options import OptionsRefused
from mixture.choose.posterior import RULES, as_rule, rule_from
from mixture.choose.sequential import Sequential
from mixture.choose.strategy import Strategy
from scorer.near_matches import did_you_mean

STRATEGIES: dict[str, type[Strategy]] = {
    Sequential.name: Sequential,
    Layered.name: Layered,
}


def named(name: str) -> type[Strategy]:
    """The strategy of this name. Raises OptionsRefused with the near ones."""
    if name not in STRATEGIES:
        raise OptionsRefused(f"There is no strategy {name!r}.", next_step=did_you_mean(name, STRATEGIES))
    return STRATEGIES[name]


def as_json(strategy: Strategy) -> dict[str, Any]:
    """JSON-ready: its name and its fields."""
    values = {each.name: getattr(strategy, each.name) for each in fields(strategy)}  # type: ignore[arg-type]
    return {"name": strategy.name, **{name: as_rule(value) if isinstance(value, RULES) else value for name, value in values.items()}}


def from_json(tree: Mapping[str, Any]) -> Strategy:
    """The strategy that `as_json` wrote. Raises OptionsRefused for an unknown name, TypeError for fields it does not know."""
    values = {name: rule_from(value) if name == "posterior" else value for name, value in tree.items() if name != "name"}
    return named(str(tree.get("name")))(**values)
