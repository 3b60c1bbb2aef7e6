"""Published prices, offline."""

from datetime import UTC, datetime

import pytest

from mixture.llm import Price
from registry import prices
from registry.errors import PriceUnknown


def test_a_published_price_is_per_million_tokens_of_the_first_tier() -> None:
    """Vendors that charge more for very long prompts are taken at their usual price."""
    assert prices.published("openai/gpt-4o-mini") == Price(0.15, 0.6)
    assert prices.published("anthropic/claude-sonnet-4-5") == Price(3.0, 15.0)


def test_a_published_price_is_the_same_at_every_hour() -> None:
    """A vendor's discount at night is not what registering at night writes down for good."""
    from genai_prices import Usage, calc_price

    sample = Usage(input_tokens=1_000, output_tokens=1_000)
    noon, night = (datetime(2026, 11, 25, hour, tzinfo=UTC) for hour in (12, 20))
    by_day, by_night = (
        calc_price(sample, model_ref="deepseek-chat", provider_id="deepseek", genai_request_timestamp=hour) for hour in (noon, night)
    )
    assert by_night.total_price < by_day.total_price
    assert prices.published("deepseek/deepseek-chat") == Price(1e3 * float(by_day.input_price), 1e3 * float(by_day.output_price))


def test_a_misspelt_name_is_answered_with_near_ones() -> None:
    """Provider and model are looked for apart."""
    with pytest.raises(PriceUnknown, match=r"'opnai'.*openai"):
        prices.published("opnai/gpt-4o-mini")
    with pytest.raises(PriceUnknown, match=r"no model 'gpt-4o-mni'.*gpt-4o-mini"):
        prices.published("openai/gpt-4o-mni")
    with pytest.raises(PriceUnknown, match="No provider"):
        prices.published("openai")
