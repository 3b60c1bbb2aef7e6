"""Prices of the maintained package `genai-prices`, as schedules (its snapshot: nothing is fetched)."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from mixture.llm import Endpoint
from mixture.price import Override, Price
from registry.errors import PriceUnknown
from scorer.near_matches import near_matches

NAME = "genai-prices"
KEYS = {  # of theirs, by ours; USD per million tokens, and the last per thousand calls
    "input": ("input_mtok",),
    "output": ("output_mtok",),
    "cache_read": ("cache_read_mtok",),
    "cache_write": ("cache_write_mtok", "cache_write_5m_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok",),
    "reasoning": ("output_reasoning_mtok",),
    "request": ("requests_kcount",),
}


def published(name: str, today: date) -> Price:
    """The price of `PROVIDER/MODEL` as the installed package has it: tiers, hours, and changes that are announced.

    Raises PriceUnknown, naming near providers or models.
    """
    provider_id, _, model_name = name.partition("/")
    providers = _providers()
    if provider_id not in providers or not model_name:
        raise PriceUnknown(f"No provider is called {provider_id!r} (in {name!r}).", next_step=_near(provider_id, providers, "provider"))
    model = providers[provider_id].find_model(model_name, all_providers=list(providers.values()))
    if model is None:
        models = {each.id: each for each in providers[provider_id].models}
        raise PriceUnknown(f"{provider_id} has no model {model_name!r}.", next_step=_near(model_name, models, "model"))
    return _schedule(name, model.prices, today)


def provider_of(llm: str) -> str | None:
    """The provider whose own naming `llm` follows; None where it is nobody's."""
    from genai_prices import data_snapshot

    try:
        provider, _ = data_snapshot.get_snapshot().find_provider_model(llm, None, None, None)
    except LookupError:
        return None
    return str(provider.id)


def name_at(endpoint: Endpoint) -> str | None:
    """What the LLM at `endpoint` is called in the package, None where its address is of no provider that the package knows."""
    from genai_prices import data_snapshot

    try:
        provider = data_snapshot.get_snapshot().find_provider(None, None, endpoint.base_url)
    except LookupError:
        return None
    return f"{provider.id}/{endpoint.served_name}"


def _providers() -> dict[str, Any]:
    from genai_prices import data_snapshot

    return {provider.id: provider for provider in data_snapshot.get_snapshot().providers}


def _schedule(name: str, prices: Any, today: date) -> Price:
    """Of several sets the last whose condition holds is in force: the last that has begun is the usual one, those after it override it."""
    from genai_prices.types import StartDateConstraint

    sets = [(each.constraint, each.prices) for each in prices] if isinstance(prices, list) else [(None, prices)]
    begun = [
        at for at, (when, _) in enumerate(sets) if when is None or (isinstance(when, StartDateConstraint) and when.start_date <= today)
    ]
    usual = begun[-1] if begun else 0
    rates, tiers = _rates(name, sets[usual][1])
    overrides = [Override(**tier) for tier in tiers]
    for when, later in sets[usual + 1 :]:
        condition = _condition(when)
        whole, tiers = _rates(name, later)
        whole = {"cache_read": whole["input"], "cache_write": whole["input"], "reasoning": whole["output"], "request": 0.0} | whole
        whole.setdefault("cache_write_1h", whole["cache_write"])
        overrides += [Override(**each, **condition) for each in (whole, *tiers)]
    return Price(**rates, overrides=tuple(overrides), source=f"{NAME} {name}", as_of=today)


def _rates(name: str, prices: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The rates of one set, and those that longer prompts have. Raises PriceUnknown where it prices no tokens."""
    theirs = {
        ours: next((getattr(prices, key) for key in keys if getattr(prices, key, None) is not None), None) for ours, keys in KEYS.items()
    }
    rates = {ours: _number(ours, getattr(price, "base", price)) for ours, price in theirs.items() if price is not None}
    if not rates.keys() >= {"input", "output"}:
        raise PriceUnknown(f"{name} is not priced by tokens in and out.", next_step="Give --input-price and --output-price.")
    tiers: dict[int, dict[str, Any]] = {}
    for ours, price in theirs.items():
        for tier in getattr(price, "tiers", ()):
            tiers.setdefault(tier.start, {"longer_than": tier.start})[ours] = _number(ours, tier.price)
    return rates, [tiers[start] for start in sorted(tiers)]


def _number(ours: str, price: Any) -> float:
    return float(price) / 1000 if ours == "request" else float(price)


def _condition(when: Any) -> dict[str, Any]:
    from genai_prices.types import StartDateConstraint

    if isinstance(when, StartDateConstraint):
        return {"since": when.start_date}
    return {"start": when.start_time.hour * 60 + when.start_time.minute, "end": when.end_time.hour * 60 + when.end_time.minute}


def _near(name: str, published_names: Mapping[str, Any] | Iterator[str], kind: str) -> str:
    near = near_matches(name, list(published_names))
    return (
        f"Did you mean {' or '.join(near)}? Or give --input-price and --output-price."
        if near
        else f"Give the prices of this {kind} yourself."
    )
