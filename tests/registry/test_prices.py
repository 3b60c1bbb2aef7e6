"""Published prices: the package's, OpenRouter's list, and the pool beside them; offline."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixture.llm import Endpoint, Pace
from mixture.price import Override, Price
from mixture.usage import Usage
from registry import pool
from registry.errors import PriceListRefused, PriceUnknown
from registry.prices import book, genai, openrouter

TODAY = date(2026, 11, 30)


@pytest.mark.parametrize("name", ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "deepseek/deepseek-chat", "google/gemini-2.5-pro"])
@pytest.mark.parametrize("hour", [0, 2, 8, 12, 17, 23])
@pytest.mark.parametrize("tokens", [1_000, 150_000, 300_000])
def test_a_published_schedule_bills_as_the_package_does(name: str, hour: int, tokens: int) -> None:
    """Tiers, cached tokens and hours, against the package's own arithmetic."""
    from genai_prices import Usage as Theirs
    from genai_prices import calc_price

    provider, _, model = name.partition("/")
    when = datetime(2026, 11, 30, hour, 15, tzinfo=UTC)
    theirs = calc_price(
        Theirs(input_tokens=tokens, cache_read_tokens=tokens // 2, output_tokens=500),
        model_ref=model,
        provider_id=provider,
        genai_request_timestamp=when,
    )
    ours = genai.published(name, TODAY).at(when).bill(Usage(tokens, 500, cache_read=tokens // 2))
    assert Decimal(ours) == pytest.approx(theirs.total_price, abs=Decimal("1e-9"))


def test_a_published_price_says_where_it_stands() -> None:
    """Source and date travel with it, and an endpoint's own address leads to its name."""
    price = genai.published("openai/gpt-4o-mini", TODAY)
    assert (price.input, price.output, price.source, price.as_of) == (0.15, 0.6, "genai-prices openai/gpt-4o-mini", TODAY)
    assert genai.name_at(Endpoint("https://api.openai.com/v1", "gpt-4o-mini")) == "openai/gpt-4o-mini"
    assert genai.name_at(Endpoint("http://127.0.0.1:8101/v1", "gpt-4o-mini")) is None


def test_a_misspelt_name_is_answered_with_near_ones() -> None:
    """Provider and model are looked for apart."""
    with pytest.raises(PriceUnknown, match=r"'opnai'.*openai"):
        genai.published("opnai/gpt-4o-mini", TODAY)
    with pytest.raises(PriceUnknown, match=r"no model 'gpt-4o-mni'.*gpt-4o-mini"):
        genai.published("openai/gpt-4o-mni", TODAY)
    with pytest.raises(PriceUnknown, match="No provider"):
        genai.published("openai", TODAY)


LISTED: dict[str, Any] = {
    "data": [
        {
            "id": "acme/large",
            "pricing": {
                "prompt": "0.000003",
                "completion": "0.000015",
                "input_cache_read": "0.0000003",
                "input_cache_write": "0.00000375",
                "request": "0.001",
                "image": "0.0048",
                "internal_reasoning": "0",
                "discount": 0.1,
                "overrides": [
                    {"min_prompt_tokens": 200000, "prompt": "0.000006"},
                    {"utc_start": "2230", "utc_end": "0600", "utc_days": ["saturday", 0], "completion": "0.0000075"},
                ],
            },
            "endpoints": [{"latency_last_30m": {"p50": 450}, "throughput_last_30m": {"p50": 50}}],
        },
        {"id": "acme/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
        {"id": "acme/odd", "pricing": {"prompt": "cheap", "completion": "0"}},
        {"id": "acme/bare"},
        {"name": "nobody"},
        {"id": "acme/free", "pricing": {"prompt": "0", "completion": "0"}},
    ]
}


def listing(content: Any = LISTED) -> openrouter.PriceList:
    return openrouter.parsed(json.dumps(content).encode(), "the list", TODAY)


def test_openrouters_list_is_read_into_schedules() -> None:
    """Per token in strings becomes per million; tiers, hours, days and discounts come along, and what cannot be read is said."""
    listed = listing()
    assert listed.prices["acme/large"] == Price(
        3,
        15,
        cache_read=0.3,
        cache_write=3.75,
        request=0.001,
        discount=0.1,
        overrides=(
            Override(input=6, longer_than=200_000),
            Override(output=7.5, start=22 * 60 + 30, end=6 * 60, days=frozenset({5, 6})),
        ),
    )
    assert listed.paces == {"acme/large": Pace(0.45, 0.02)}
    assert listed.prices["acme/free"].known
    assert listed.prices.keys() == {"acme/large", "acme/free"}
    assert [each.split(":")[0] for each in listed.unread] == ["acme/auto", "acme/odd", "acme/bare", "an entry without an id"]
    one = listing({"data": {"id": "acme/one", "endpoints": [{"pricing": {"prompt": "0.000001", "completion": "0.000002"}}]}})
    assert one.prices["acme/one"] == Price(1, 2)


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"models": []}'])
def test_what_is_no_list_is_refused(content: bytes) -> None:
    """With what to save instead."""
    with pytest.raises(PriceListRefused, match=r"no list of OpenRouter's.*openrouter\.ai/api/v1/models"):
        openrouter.parsed(content, "x.json", TODAY)
    with pytest.raises(PriceListRefused, match="cannot be read"):
        openrouter.read(Path("/nowhere.json"))


def entry(served_name: str, price: Any, host: str = "openrouter.ai/api") -> dict[str, Any]:
    return {"name": served_name, "endpoint": {"base_url": f"https://{host}/v1", "served_name": served_name}, "price": price}


@pytest.fixture
def pool_file(tmp_path: Path) -> Path:
    """A priced by the list long ago, B by hand, C unknown, D elsewhere, E not on the list."""
    path = tmp_path / "pool.yaml"
    old = {"input": 9, "output": 15, "source": "openrouter acme/large", "as_of": "2026-01-01"}
    entries = {
        "a": entry("acme/large", old),
        "b": entry("acme/large", {"input": 1, "output": 2}),
        "c": entry("acme/free", None),
        "d": entry("gpt-4o-mini", {"input": 1, "output": 2}, "api.openai.com"),
        "e": entry("acme/gone", None),
    }
    path.write_text(yaml.safe_dump({"llms": entries}))
    return path


def test_the_pool_is_compared_with_a_list_by_source_and_address(pool_file: Path) -> None:
    """Nobody is asked, and nothing changes; a price that a person wrote is known as that."""
    before = pool_file.read_text()
    found = {each.llm.id: each for each in book.compared(pool.load(pool_file).llms, "openrouter", book.in_list(listing()))}
    assert found.keys() == {"a", "b", "c", "e"}
    assert found["a"].changes[:2] == ["input 9 -> 3", "cache read none -> 0.3"]
    assert (found["b"].by_hand, found["a"].by_hand) == (True, False)
    assert found["c"].changes == ["unknown -> 0 / 0"]
    assert (found["e"].changes, "acme/gone" in found["e"].why_not) == ([], True)
    in_package = {each.llm.id: each for each in book.compared(pool.load(pool_file).llms, "genai-prices", book.in_genai(TODAY))}
    assert (in_package["d"].name, in_package["d"].changes[0]) == ("openai/gpt-4o-mini", "input 1 -> 0.15")
    assert pool_file.read_text() == before


def test_a_listed_price_is_written_whole_and_read_back(pool_file: Path) -> None:
    """With its source and date; a second look finds no change, and other entries stay as they are."""
    listed = next(iter(book.compared(pool.load(pool_file).llms, "openrouter", book.in_list(listing()))))
    book.write(pool_file, listed)
    again = pool.load(pool_file)
    assert again.by_id("a").price == listing().prices["acme/large"]
    assert (again.by_id("a").price.as_of, again.by_id("a").pace) == (TODAY, Pace(0.45, 0.02))
    assert again.by_id("b").price == Price(1, 2)
    assert not next(iter(book.compared(again.llms, "openrouter", book.in_list(listing())))).changes


def test_how_long_a_cache_keeps_outlives_a_refresh(tmp_path: Path) -> None:
    """No list says it: an entry's own minutes stay, read back as seconds, and are no difference to the list."""
    entry = {
        "name": "mini",
        "endpoint": {"base_url": "https://api.openai.com/v1", "served_name": "gpt-4o-mini", "api_key_env": "KEY"},
        "price": {"input": 9, "output": 9, "cache_minutes": 30, "source": "genai-prices openai/gpt-4o-mini"},
    }
    path = tmp_path / "pool.yaml"
    path.write_text(yaml.safe_dump({"llms": {"mini": entry}}))
    (listed,) = book.compared(pool.load(path).llms, genai.NAME, book.in_genai(TODAY))
    assert listed.llm.price.cache_s == 1800.0
    written = book.write(path, listed)
    assert (written.price.input, written.price.cache_s) == (0.15, 1800.0)
    (again,) = book.compared(pool.load(path).llms, genai.NAME, book.in_genai(TODAY))
    assert again.changes == []
