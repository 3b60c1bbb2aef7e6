"""Prices that vendors publish, from the maintained package `genai-prices` (its snapshot: nothing is fetched)."""

from datetime import UTC, datetime

from mixture.llm import Price
from registry.errors import PriceUnknown
from scorer.near_matches import near_matches

SAMPLE_TOKENS = 1_000  # small enough for every vendor's first tier


def published(name: str) -> Price:
    """USD per million tokens of `PROVIDER/MODEL`, as of the installed package, at today's dearest hour: some cost less at night.

    Raises PriceUnknown, naming near providers or models.
    """
    from genai_prices import Usage, calc_price, data_snapshot

    provider_id, _, model = name.partition("/")
    providers = {provider.id: provider for provider in data_snapshot.get_snapshot().providers}
    if provider_id not in providers or not model:
        raise PriceUnknown(
            f"No provider is called {provider_id!r} (in {name!r}).", next_step=_near(provider_id, list(providers), "provider")
        )
    sample, today = Usage(input_tokens=SAMPLE_TOKENS, output_tokens=SAMPLE_TOKENS), datetime.now(UTC)
    hours = [today.replace(hour=hour, minute=0) for hour in range(24)]
    try:
        costs = [calc_price(sample, model_ref=model, provider_id=provider_id, genai_request_timestamp=hour) for hour in hours]
    except LookupError as exc:
        models = [each.id for each in providers[provider_id].models]
        raise PriceUnknown(f"{provider_id} has no model {model!r}.", next_step=_near(model, models, "model")) from exc
    cost = max(costs, key=lambda each: each.total_price)
    return Price(*(round(float(part) * 1e6 / SAMPLE_TOKENS, 6) for part in (cost.input_price, cost.output_price)))


def provider_of(model: str) -> str | None:
    """The provider whose own naming `model` follows; None where it is nobody's."""
    from genai_prices import data_snapshot

    try:
        provider, _ = data_snapshot.get_snapshot().find_provider_model(model, None, None, None)
    except LookupError:
        return None
    return str(provider.id)


def _near(name: str, published_names: list[str], kind: str) -> str:
    near = near_matches(name, published_names)
    return (
        f"Did you mean {' or '.join(near)}? Or give --input-price and --output-price."
        if near
        else f"Give the prices of this {kind} yourself."
    )
