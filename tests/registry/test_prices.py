"""Published prices, offline."""

import pytest

from mixture.llm import Price
from registry import prices
from registry.errors import PriceUnknown


def test_a_published_price_is_per_million_tokens_of_the_first_tier() -> None:
    """Vendors that charge more for very long prompts are taken at their usual price."""
    assert prices.published("openai/gpt-4o-mini") == Price(0.15, 0.6)
    assert prices.published("anthropic/claude-sonnet-4-5") == Price(3.0, 15.0)


def test_a_misspelt_name_is_answered_with_near_ones() -> None:
    """Provider and model are looked for apart."""
    with pytest.raises(PriceUnknown, match=r"'opnai'.*openai"):
        prices.published("opnai/gpt-4o-mini")
    with pytest.raises(PriceUnknown, match=r"no model 'gpt-4o-mni'.*gpt-4o-mini"):
        prices.published("openai/gpt-4o-mni")
    with pytest.raises(PriceUnknown, match="No provider"):
        prices.published("openai")
