"""What a log holds and what it does not, in a few sentences for whoever brought it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.logs.call import FACTS, LoggedCall
from pipelines.logs.formats import Format
from pipelines.logs.money import usd
from pipelines.logs.reading import Reading

SHOWN = 8  # LLMs named
READ = ("at", "llm", "key", "session", "requests", "text", "answer", "usage", "cost_usd", "outcome")  # what FACTS look at


@dataclass(slots=True)
class Held:
    """What the calls of a log hold, added up one by one."""

    calls: int = 0
    llms: Counter[str] = field(default_factory=Counter)
    facts: Counter[str] = field(default_factory=Counter)
    sessions: set[int] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None
    usd: float = 0.0
    sums: bool = False

    def take(self, call: LoggedCall) -> None:
        """Adds a call."""
        self.calls += 1
        if call.llm is not None:
            self.llms[call.llm] += 1 if call.requests is None else call.requests
        for fact, there in FACTS.items():
            self.facts[fact] += there(call)
        if call.session is not None:
            self.sessions.add(hash(call.session))
        if call.at is not None:
            self.first = call.at if self.first is None else min(self.first, call.at)
            self.last = call.at if self.last is None else max(self.last, call.at)
        self.usd += call.cost_usd or 0.0
        self.sums |= call.requests != 1


def summary(reading: Reading, format_: Format) -> list[str]:
    """Sentences: how much of what, which facts are there in full, in part, and not at all, and what was left out."""
    held = Held()
    for call in reading.calls.only(*READ):
        held.take(call)
    return [_what(held), *_facts(held, format_), *left_out(reading), *reading.notes]


def _what(held: Held) -> str:
    named = ", ".join(f"{name} {count:,}" for name, count in held.llms.most_common(SHOWN))
    more = f" and {len(held.llms) - SHOWN} more" if len(held.llms) > SHOWN else ""
    parts = [f"{held.calls:,} {'sums of calls' if held.sums else 'calls'} of {len(held.llms)} LLM{'s' if len(held.llms) != 1 else ''}"]
    parts += [f"({named}{more})"] if held.llms else []
    parts += [f"in {len(held.sessions):,} sessions"] if held.sessions else []
    parts += [f"from {held.first:%Y-%m-%d} to {held.last:%Y-%m-%d}"] if held.first is not None else []
    parts += [f"for ${usd(held.usd)} as stated"] if held.facts["cost"] else []
    return f"{' '.join(parts)}."


def _facts(held: Held, format_: Format) -> Iterator[str]:
    counts = {fact: held.facts[fact] for fact in FACTS}
    whole = [fact for fact, count in counts.items() if count == held.calls]
    part = [f"{fact} in {count:,} of {held.calls:,}" for fact, count in counts.items() if 0 < count < held.calls]
    none = [fact for fact, count in counts.items() if not count and fact not in format_.never]
    never = [fact for fact, count in counts.items() if not count and fact in format_.never]
    for what, facts in (("Each says", whole), ("Some say", part), ("None says", none), ("This format cannot say", never)):
        if facts:
            yield f"{what}: {', '.join(facts)}."
    if counts["quality"] == 0:
        text = counts["text"] > 0
        yield "Cost can be reckoned again at other prices; quality cannot be told" + (
            " until answers are graded." if text else " from it: it has no texts."
        )


def left_out(reading: Reading) -> Iterator[str]:
    """How many calls were not taken, and why."""
    if reading.left_out:
        yield f"Left out: {', '.join(f'{count:,} {reason}' for reason, count in reading.left_out.items())}."
