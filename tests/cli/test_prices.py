"""`routemoa prices`."""

import json
from pathlib import Path

from cli.errors import ProjectMissing
from mixture.price import Price
from registry import pool
from registry.errors import LLMUnknown, PriceListRefused
from tests.cli.command_line import output, refusal, usage_error

ENDPOINT = '{base_url: "https://openrouter.ai/api/v1", served_name: acme/large, api_key_env: null}'
LARGE = {"id": "acme/large", "pricing": {"prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003"}}


def with_large(home: Path, price: str) -> Path:
    """The project's pool with one more LLM, at this price."""
    file = home / "registry" / "pool.yaml"
    file.write_text(f"{file.read_text()}  large: {{name: Large, endpoint: {ENDPOINT}, price: {price}}}\n")
    return file


def test_prices_lists_what_the_pool_costs(home: Path) -> None:
    """With source and date; an unknown price is called that, and one that a person wrote is called that."""
    with_large(home, "null")
    listed = output("prices")
    assert "smollm2-135m" in listed
    assert "0.01 / 0.02" in listed
    assert "by hand" in listed
    assert next(line for line in listed.splitlines() if " large " in line).count("unknown") == 1


def test_a_list_is_compared_and_taken_over(home: Path, tmp_path: Path) -> None:
    """`diff` changes nothing; `refresh` writes it with its source, and has nothing to do the second time."""
    file, saved = with_large(home, "null"), tmp_path / "models.json"
    saved.write_text(json.dumps({"data": [LARGE, {"id": "acme/auto", "pricing": {"prompt": "-1", "completion": "-1"}}]}))
    before = file.read_text()
    told = output("prices", "diff", "--from", "openrouter", str(saved))
    assert "large: unknown -> 3 / 15" in told
    assert "1 entries were not read, first: acme/auto" in told
    assert file.read_text() == before
    assert "large: unknown -> 3 / 15" in output("prices", "refresh", "--from", "openrouter", str(saved))
    price = pool.load(file).by_id("large").price
    assert (price, price.source) == (Price(3, 15, cache_read=0.3), "openrouter acme/large")
    assert "large: no change" in output("prices", "refresh", "--from", "openrouter", str(saved))
    assert "openrouter acme/large" in output("prices")


def test_a_persons_price_stays_unless_it_is_named(home: Path, tmp_path: Path) -> None:
    """Who negotiated a price keeps it."""
    file, saved = with_large(home, "{input: 1, output: 2}"), tmp_path / "models.json"
    saved.write_text(json.dumps({"data": [LARGE]}))
    assert "it stays, a person wrote it" in output("prices", "refresh", "--from", "openrouter", str(saved))
    assert pool.load(file).by_id("large").price == Price(1, 2)
    output("prices", "refresh", "--from", "openrouter", str(saved), "--llm", "large")
    assert pool.load(file).by_id("large").price.input == 3


def test_prices_are_a_projects(nowhere: Path) -> None:
    """Elsewhere the error says where one is."""
    assert "ROUTEMOA_HOME" in str(refusal(ProjectMissing, "prices"))


def test_what_cannot_be_compared_says_what_to_do(home: Path) -> None:
    """A package takes no file, a file that is none names what to save, an unknown LLM has near ones."""
    assert "--from openrouter" in usage_error("prices", "diff", "models.json")
    assert "Save what https://openrouter.ai" in str(refusal(PriceListRefused, "prices", "diff", "--from", "openrouter", "/nowhere.json"))
    assert "smollm2-135m" in str(refusal(LLMUnknown, "prices", "diff", "--llm", "smolm2-135m"))
    assert "No LLM of the pool has its price from genai-prices" in output("prices", "diff")
