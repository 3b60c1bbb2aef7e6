"""LLMs known only from recorded answers: entries of the pool without an endpoint, trained and replayed on, never called."""

from collections.abc import Mapping
from pathlib import Path

from pipelines import llm_names
from pipelines.price_list import Prices
from registry import pool
from registry.entry_price import PriceEntry


def by_id(prices: Prices, llms: Mapping[str, str]) -> Prices:
    """`prices` by LLM id. llms: names of known LLMs -> their ids."""
    return {llms.get(name) or llm_names.id_of(name): price for name, price in prices.items()}


def missing(names: Mapping[str, str], pool_file: Path) -> set[str]:
    """The LLM ids that the pool does not have."""
    return set(names) - {llm.id for llm in pool.load(pool_file).llms}


def add(names: Mapping[str, str], prices: Prices, pool_file: Path) -> list[str]:
    """Adds the LLMs (id -> name) that the pool does not have, and returns lines for a person.

    There is a line for each new entry, which says where its price is unknown, and one for each price that changes nothing.
    """
    answering = ", ".join(sorted(names))
    lines = [f"The price of {llm} is of no LLM in these answers; they are of {answering}." for llm in sorted(set(prices) - set(names))]
    pool_prices = {llm.id: llm.price for llm in pool.load(pool_file).llms}
    for llm in sorted(set(prices) & set(names) & set(pool_prices)):
        if (prices[llm].input, prices[llm].output) != (pool_prices[llm].input, pool_prices[llm].output):
            price = f"{pool_prices[llm].input:g} and {pool_prices[llm].output:g}"
            lines.append(f"{llm} stays in {pool_file.name} at {price} USD per million tokens; `routemoa set-llm {llm}` changes that.")
    for llm in sorted(set(names) - set(pool_prices)):
        listed = prices.get(llm)
        entry = {
            "name": names[llm],
            "status": "active",
            "endpoint": None,
            "price": (listed or PriceEntry(input=0, output=0)).spelled_out(),
        }
        pool.append(pool_file, llm, entry)
        note = "" if listed else "; price unknown, written as 0: correct it, or cost counts for nothing"
        lines.append(f"Added {llm} ({names[llm]}) to {pool_file.name} as a recorded LLM{note}.")
    return lines
