"""What logged calls cost, re-priced: each at the price in force when it was made, its cached and thought tokens as the log counts them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mixture.client.request_size import expected_input_tokens
from mixture.client.token_estimate import text_tokens
from mixture.llm import LLM
from mixture.price import Price
from mixture.usage import Usage
from pipelines.imports import llm_names
from pipelines.logs.call import LoggedCall
from registry.named_prices import NamedPrice, named
from registry.pool import Pool

USUAL_TIERS = frozenset({"", "default", "standard", "auto", "on_demand", "priority_off"})  # those that list prices are of
Published = Callable[[str, str | None], NamedPrice | None]


@dataclass(frozen=True, slots=True)
class Billed:
    """A call and what it cost.

    llm: the pool's, or one made of the log's name at its published price; None: the log names none. usd: None where it cannot be told, for
    the reason `why_not`. estimated: whether its tokens are told by its characters. known: whether its LLM is of the pool.
    """

    call: LoggedCall
    llm: LLM | None = None
    known: bool = False
    usage: Usage | None = None
    usd: float | None = None
    estimated: bool = False
    why_not: str = ""

    @property
    def requests(self) -> int:
        """How many requests it stands for."""
        return 1 if self.call.requests is None else self.call.requests


def bill(calls: Iterable[LoggedCall], pool: Pool, published: Published = named) -> list[Billed]:
    """Every call in order. published: the price of an LLM that the pool does not have, by the log's name and provider."""
    return list(billing(calls, pool, published))


def billing(calls: Iterable[LoggedCall], pool: Pool, published: Published = named) -> Iterator[Billed]:
    """One call after the other, as `bill`."""
    known = llm_names.known_to(pool)
    by_id = {llm.id: llm for llm in pool.llms}
    strangers: dict[tuple[str, str | None], LLM] = {}
    for call in calls:
        if call.llm is None:
            yield Billed(call, why_not="the log names no LLM")
            continue
        if (llm_id := known.get(call.llm)) is not None:
            yield _billed(call, by_id[llm_id], known=True)
            continue
        named_as = (call.llm, call.provider)
        if named_as not in strangers:
            strangers[named_as] = _stranger(call.llm, published(*named_as))
        yield _billed(call, strangers[named_as], known=False)


def used(calls: Iterable[LoggedCall], pool: Pool, published: Published = named) -> list[LLM]:
    """The LLMs that calls name, each once: the pool's, or one called as the log does at its published price."""
    known, by_id = llm_names.known_to(pool), {llm.id: llm for llm in pool.llms}
    found: dict[str, LLM] = {}
    for name, provider in dict.fromkeys((call.llm, call.provider) for call in calls if call.llm is not None):
        llm = by_id[known[name]] if name in known else replace(_stranger(name, published(name, provider)), id=name)
        found.setdefault(llm.id, llm)
    return list(found.values())


def at(price: Price, call: LoggedCall, usage: Usage) -> float:
    """USD for `usage` at the price in force when the call was made."""
    return price.at(call.at or datetime.now(UTC)).bill(usage)


def by_session(billed: Sequence[Billed]) -> list[list[int]]:
    """Places of the calls of each session, in the order they were made; a call without one is a session of its own."""
    sessions: dict[tuple[str, str], list[int]] = {}
    for place, each in enumerate(billed):
        call = each.call
        sessions.setdefault(("session", call.session) if call.session else ("call", str(place)), []).append(place)
    earliest = datetime.min.replace(tzinfo=UTC)
    return [sorted(places, key=lambda place: (billed[place].call.at or earliest, place)) for places in sessions.values()]


def _billed(call: LoggedCall, llm: LLM, *, known: bool) -> Billed:
    made = Billed(call, llm, known)
    if not llm.price.known:
        return replace(made, why_not=f"the price of {call.llm} is unknown")
    if (call.tier or "").casefold() not in USUAL_TIERS:
        return replace(made, why_not=f"service tier {call.tier!r}, whose price no list has")
    usage, estimated = _usage(call)
    if usage is None:
        return replace(made, why_not="the log has neither tokens nor texts")
    return replace(made, usage=usage, usd=at(llm.price, call, usage), estimated=estimated)


def _usage(call: LoggedCall) -> tuple[Usage | None, bool]:
    """As the log counts it, else as far as the characters of question and answer tell, which is an estimate."""
    told = call.usage
    uncounted = told.input_tokens == 0 and bool(call.text)  # a stream whose usage nobody asked for: a prompt has tokens
    if told.input_tokens is not None and told.output_tokens is not None and not uncounted:
        usage = Usage(
            told.input_tokens,
            told.output_tokens,
            cache_read=told.cached_tokens or 0,
            cache_write=told.cache_write_tokens or 0,
            reasoning=told.reasoning_tokens or 0,
            requests=call.requests or 1,
        )
        return usage, False
    if call.text is None or call.answer is None:
        return None, False
    asked = call.messages or [{"role": "user", "content": call.text}]
    return Usage(expected_input_tokens(asked, {}), text_tokens(call.answer), estimated=True), True


def _stranger(name: str, price: NamedPrice | None) -> LLM:
    return LLM(llm_names.id_of(name), name, Price(float("inf"), float("inf")) if price is None else price.price)
