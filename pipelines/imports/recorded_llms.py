"""LLMs known only from recorded answers: entries of the pool without an endpoint, trained and replayed on, never called."""

from collections.abc import Mapping
from pathlib import Path

from mixture.price import Price
from pipelines.imports import llm_names
from pipelines.imports.price_list import Prices
from registry import pool

SAYS_PRICE = "--input-price USD --output-price USD"


def by_id(prices: Prices, llms: Mapping[str, str]) -> Prices:
    """`prices` by LLM id. llms: names of known LLMs -> their ids."""
    return {llms.get(name) or llm_names.id_of(name): price for name, price in prices.items()}


def missing(names: Mapping[str, str], pool_file: Path) -> set[str]:
    """The LLM ids that the pool does not have."""
    return set(names) - {llm.id for llm in pool.load(pool_file).llms}


def add(names: Mapping[str, str], prices: Prices, pool_file: Path) -> list[str]:
    """Adds the LLMs (id -> name) that the pool does not have, and returns lines for a person.

    There is a line for each new entry, and one for each price that changes nothing. A price that nobody said is written as unknown, and
    asked for.
    """
    answering = ", ".join(sorted(names))
    lines = [f"The price of {llm} is of no LLM in these answers; they are of {answering}." for llm in sorted(set(prices) - set(names))]
    pool_prices = {llm.id: llm.price for llm in pool.load(pool_file).llms}
    lines += [
        f"{llm} stays in {pool_file.name} at {_in_words(pool_prices[llm])}; `routemoa set-llm {llm}` changes that."
        for llm in sorted(set(prices) & set(names) & set(pool_prices))
        if prices[llm].price() != pool_prices[llm]
    ]
    for llm in sorted(set(names) - set(pool_prices)):
        listed = prices.get(llm)
        price = None if listed is None else listed.spelled_out()
        pool.append(pool_file, llm, {"name": names[llm], "status": "active", "endpoint": None, "price": price})
        lines.append(f"Added {llm} ({names[llm]}) to {pool_file.name} as a recorded LLM{'' if listed else ', its price unknown'}.")
        if listed is None:
            lines.append(f"  Where cost counts {llm} is left out until its price is said: `routemoa set-llm {llm} {SAYS_PRICE}`.")
    return lines


def _in_words(price: Price) -> str:
    return f"{price.input:g} and {price.output:g} USD per million tokens" if price.known else "a price that nobody said"
