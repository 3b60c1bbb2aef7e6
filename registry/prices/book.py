"""The pool's prices beside what a list has today: what differs, and the pool file with the list's price in place of an older one."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mixture.llm import LLM, Pace
from mixture.price import Price, changes
from registry import pool
from registry.entry_price import entry_of
from registry.errors import PriceUnknown
from registry.prices import genai, openrouter
from registry.prices.openrouter import PriceList


@dataclass(frozen=True, slots=True)
class Listed:
    """One LLM of the pool and its price on a list. name: as the list calls it. why_not: why the list has no price for it, else empty.

    pace: where the list has one. by_hand: whether a person wrote the pool's price, who may know better.
    """

    llm: LLM
    name: str
    price: Price
    pace: Pace | None
    by_hand: bool
    why_not: str = ""

    @property
    def changes(self) -> list[str]:
        """What the list says that the pool does not, in words."""
        if self.why_not:
            return []
        moved = self.pace is not None and self.pace != self.llm.pace
        return changes(self.llm.price, self.price) + (["pace"] if moved else [])


Find = Callable[[str], tuple[Price, Pace | None]]  # by the list's own name. Raises PriceUnknown


def compared(llms: Collection[LLM], source: str, find: Find) -> Iterator[Listed]:
    """The LLMs whose price comes from the list called `source`, or whose endpoint is one of those that it lists."""
    for llm in llms:
        name = _name(llm, source)
        if name is None:
            continue
        by_hand = llm.price.known and not llm.price.source.startswith(f"{source} ")
        try:
            price, pace = find(name)
        except PriceUnknown as exc:
            yield Listed(llm, name, llm.price, None, by_hand, exc.what)
        else:
            kept = replace(price, cache_s=price.cache_s or llm.price.cache_s)  # no list says how long a cache keeps
            yield Listed(llm, name, kept, pace, by_hand)


def in_genai(today: date) -> Find:
    """Prices of the installed package."""
    return lambda name: (genai.published(name, today), None)


def in_list(listed: PriceList) -> Find:
    """Prices of one of OpenRouter's lists."""

    def find(name: str) -> tuple[Price, Pace | None]:
        if name not in listed.prices:
            raise PriceUnknown(f"the list has no {name!r}.")
        return listed.prices[name], listed.paces.get(name)

    return find


def write(pool_file: Path, listed: Listed) -> LLM:
    """Puts the list's price, with its source and date, into the LLM's entry. Raises as `registry.pool.change`."""
    entry = entry_of(listed.price)
    fields: dict[str, Any] = {"price": entry and entry.spelled_out()}
    if listed.pace is not None:
        fields["pace"] = asdict(listed.pace)
    return pool.change(pool_file, listed.llm.id, fields)


def _name(llm: LLM, source: str) -> str | None:
    """What the list calls `llm`: as its price's source says, else by its endpoint."""
    if llm.price.source.startswith(f"{source} "):
        return llm.price.source.removeprefix(f"{source} ")
    if llm.endpoint is None:
        return None
    host = urlsplit(llm.endpoint.base_url).hostname or ""
    if source == genai.NAME:
        return genai.name_at(llm.endpoint)
    return llm.endpoint.served_name if host == openrouter.HOST or host.endswith(f".{openrouter.HOST}") else None
