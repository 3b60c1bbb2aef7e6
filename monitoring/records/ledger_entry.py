"""What a record comes to in the ledger of savings: where its money went, and what asking one LLM in its place would have cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from mixture.llm import LLM
from mixture.price import Override, Price
from mixture.usage import Usage

NOBODY, UNKNOWN = "(no key)", "unknown"  # who asked before keys were recorded; a domain that nobody named
BY: Mapping[str, str] = {"day": "day", "key": "asked_by", "domain": "domain"}
DOMAIN = f"coalesce(draws.booked_as, draws.domain, records.domain, '{UNKNOWN}')"  # a group that gets a name stays where it is booked
Where = tuple[str, str, str]  # day, key, domain
ASSUMED = (
    "every routed request that was answered, asked of it once at its price of then: the prompt's tokens, cached as far as the session's "
    "own LLM had them cached, and an answer as long as was served, without what another LLM thought"
)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Sums over requests. USD as providers bill it, with failed attempts, judges and every other call of a request.

    routed: those whose LLM was chosen, and named by nobody; routed_usd: of them. others_usd: of answered routed ones, all but the call
    whose answer was served. failed_usd: of routed ones without an answer. rebilled_usd: prompts that were read anew since a session changed
    its LLM. explored: routed ones that were answered by a draw for the sake of knowing, and what they cost. unpriced: with a call whose
    cost nobody knows.
    """

    requests: int = 0
    failed: int = 0
    routed: int = 0
    explored: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    spent_usd: float = 0.0
    routed_usd: float = 0.0
    others_usd: float = 0.0
    failed_usd: float = 0.0
    rebilled_usd: float = 0.0
    explored_usd: float = 0.0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(*(getattr(self, name) + getattr(other, name) for name in AMOUNTS))


AMOUNTS = tuple(field.name for field in fields(Amounts))


@dataclass(frozen=True, slots=True)
class Compared:
    """Routed requests against one LLM: answered ones that it is charged for, that charge, and what all of them cost, in USD."""

    compared: int = 0
    baseline_usd: float = 0.0
    spent_usd: float = 0.0

    def __add__(self, other: "Compared") -> "Compared":
        return Compared(self.compared + other.compared, self.baseline_usd + other.baseline_usd, self.spent_usd + other.spent_usd)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger reads of a record. created_at: seconds since the epoch. tree: its decision, as `mixture.decision` writes it."""

    created_at: float
    asked_by: str
    domain: str
    llm: str | None
    cost_usd: float
    input_tokens: int
    output_tokens: int
    answered: bool
    routed: bool
    tree: Mapping[str, Any]

    @property
    def day(self) -> str:
        """The UTC day of the request, as YYYY-MM-DD."""
        return day_of(self.created_at)

    @property
    def amounts(self) -> Amounts:
        """Its own."""
        usd, tree, routed, explored = self.cost_usd, self.tree, self.routed, self.routed and _explored(self.tree)
        served = served_run(tree, self.llm)
        return Amounts(
            requests=1,
            failed=int(not self.answered),
            routed=int(routed),
            explored=int(explored),
            unpriced=int(bool(tree.get("unpriced"))),
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cached_tokens=int(tree.get("cached_tokens") or 0),
            reasoning_tokens=int(tree.get("reasoning_tokens") or 0),
            spent_usd=usd,
            routed_usd=usd if routed else 0.0,
            others_usd=usd - float(served.get("cost_usd", usd)) if routed and self.answered and served is not None else 0.0,
            failed_usd=usd if routed and not self.answered else 0.0,
            rebilled_usd=float((tree.get("session") or {}).get("rebilled_usd") or 0.0) if routed else 0.0,
            explored_usd=usd if explored else 0.0,
        )

    def against(self, baseline: LLM) -> Compared:
        """The request beside asking `baseline`; nothing where it named its LLM, or where nobody knows that price."""
        if not self.routed:
            return Compared()
        if not self.answered:
            return Compared(spent_usd=self.cost_usd)
        price = price_of_then(self.tree, baseline, datetime.fromtimestamp(self.created_at, UTC))
        if not price.known:
            return Compared()
        used = as_one_call(self.tree, self.llm, self.input_tokens, self.output_tokens)
        if self.llm != baseline.id:
            used = replace(used, output_tokens=used.spoken, reasoning=0)
        return Compared(1, price.bill(used), self.cost_usd)


def day_of(seconds: float) -> str:
    """The UTC day of a time since the epoch, as YYYY-MM-DD."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def as_one_call(tree: Mapping[str, Any], llm: str | None, input_tokens: int, output_tokens: int) -> Usage:
    """The prompt, read once, and the answer that was served: the mean of all calls' where the decision does not say which, or of none.

    What the session's LLM had cached comes from the cache, whoever answered: who is always asked has read it before.
    """
    runs, served = _runs(tree), served_run(tree, llm)
    if not runs:
        return Usage(input_tokens, output_tokens)
    if served is None:
        served = {"output_tokens": output_tokens // len(runs)}
    first = runs[0]
    read, written = first.get("usage") or {}, served.get("usage") or {}
    prompt = int(first["input_tokens"])
    cached = min(prompt, max(int(read.get("cache_read") or 0), int((tree.get("session") or {}).get("cached_tokens") or 0)))
    short = min(int(read.get("cache_write") or 0), prompt - cached)
    return Usage(
        input_tokens=prompt,
        output_tokens=int(served["output_tokens"]),
        cache_read=cached,
        cache_write=short,
        cache_write_1h=min(int(read.get("cache_write_1h") or 0), prompt - cached - short),
        reasoning=int(written.get("reasoning") or 0),
    )


def served_run(tree: Mapping[str, Any], llm: str | None) -> Mapping[str, Any] | None:
    """The call whose answer was served, None where the decision does not say."""
    synthesis: Mapping[str, Any] | None = tree.get("synthesis")
    return synthesis or next((run for run in reversed(_runs(tree)) if run.get("llm") == llm), None)


def price_of_then(tree: Mapping[str, Any], llm: LLM, when: datetime) -> Price:
    """What the decision reckoned with; where it knew nothing of this LLM, its present price list as of that hour."""
    candidates: Sequence[Mapping[str, Any]] = (tree.get("snapshot") or {}).get("candidates") or ()
    found = next((each for each in candidates if each["llm"] == llm.id), None)
    if found is None or found.get("input_usd") is None:  # JSON has no infinity: an unknown price is null
        return llm.price.at(when)
    schedule = found.get("schedule")
    if schedule is None:
        return Price(found["input_usd"], found["output_usd"])
    return Price(**{**schedule, "overrides": tuple(Override(**each) for each in schedule["overrides"])})


def _runs(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [run for layer in tree.get("layers") or () for run in layer.get("runs") or ()]


def _explored(tree: Mapping[str, Any]) -> bool:
    """Whether chance asked another LLM than the usual one (`action` of a decision)."""
    action = tree.get("action") or {}
    return action.get("first") != action.get("usual")
