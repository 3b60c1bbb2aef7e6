"""A pool proposed from the LLMs that a log names, at their published prices; one whose price is unknown is asked for, never free."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from pipelines.imports import llm_names
from pipelines.imports.price_list import Prices
from pipelines.logs.call import LoggedCall
from registry.entry_price import PriceEntry, entry_of
from registry.named_prices import named
from scorer.atomic_write import replacing


@dataclass(frozen=True, slots=True)
class Proposal:
    """names: LLM id -> the log's name. prices: of those with a known one, with its source. known: ids that the pool has already."""

    names: Mapping[str, str]
    prices: Prices
    known: frozenset[str]

    @property
    def unpriced(self) -> list[str]:
        """The log's names of LLMs whose price nobody knows."""
        return [name for llm, name in self.names.items() if llm not in self.prices and llm not in self.known]


def propose(calls: Iterable[LoggedCall], listed: Prices, llms: Mapping[str, str]) -> Proposal:
    """The LLMs of a log. listed: prices by id that the user gave, which count first. llms: names known to the pool -> their ids."""
    names: dict[str, str] = {}
    providers: dict[str, str | None] = {}
    for call in calls:
        if call.llm is not None:
            llm = llms.get(call.llm) or llm_names.id_of(call.llm)
            names.setdefault(llm, call.llm)
            providers.setdefault(llm, call.provider)
    prices: dict[str, PriceEntry] = {}
    for llm, name in names.items():
        if llm in listed:
            prices[llm] = listed[llm]
        elif (found := named(name, providers[llm])) is not None and (entry := entry_of(found.price)) is not None:
            prices[llm] = entry
    return Proposal(names, prices, frozenset(llms.values()))


def write(path: Path, proposal: Proposal, of: str) -> None:
    """A fragment of pool.yaml with the LLMs that the pool lacks; those without a price stand in it as comments."""
    fresh = {llm: name for llm, name in proposal.names.items() if llm not in proposal.known}
    entries = {
        llm: {
            "name": name,
            "status": "active",
            "endpoint": None,
            "price": proposal.prices[llm].spelled_out(),
        }
        for llm, name in fresh.items()
        if llm in proposal.prices
    }
    text = io.StringIO()
    yaml = YAML()
    yaml.width = 1 << 24
    yaml.dump({"llms": entries}, text)
    sources = [f"# {llm}: {proposal.prices[llm].source or 'as given'}" for llm in entries]
    unknown = [f"# {name}: price unknown. Give it with --prices FILE: {name}: {{input: USD, output: USD}}" for name in proposal.unpriced]
    head = [f"# The LLMs of {of}, USD per million tokens. Into the pool: the same import with --add-llms.", *sources, *unknown]
    with replacing(path) as partial:
        partial.write_text("\n".join(head) + "\n" + text.getvalue(), encoding="utf-8")


def said(proposal: Proposal, path: str) -> list[str]:
    """What is proposed, for a person."""
    lines = [
        f"{name}: {price.input:g} / {price.output:g} USD per million tokens in / out ({price.source or 'as given'})."
        for llm, name in proposal.names.items()
        if (price := proposal.prices.get(llm)) is not None
    ]
    if proposal.unpriced:
        lines.append(f"Price unknown: {', '.join(proposal.unpriced)}. Give it with --prices FILE; until then they are in no pool.")
    return [*lines, f"A pool of them is proposed in {path}."]
