"""What a log holds and what it does not, in a few sentences for whoever brought it."""

from collections import Counter
from collections.abc import Iterator, Sequence

from pipelines.logs.call import FACTS, LoggedCall
from pipelines.logs.formats import Format
from pipelines.logs.money import usd
from pipelines.logs.reading import Reading

SHOWN = 8  # LLMs named


def summary(reading: Reading, format_: Format) -> list[str]:
    """Sentences: how much of what, which facts are there in full, in part, and not at all, and what was left out."""
    calls = reading.calls
    return [_what(calls), *_facts(calls, format_), *left_out(reading), *reading.notes]


def llms(calls: Sequence[LoggedCall]) -> Counter[str]:
    """How many requests of each LLM, by the log's names."""
    counts: Counter[str] = Counter()
    for call in calls:
        if call.llm is not None:
            counts[call.llm] += 1 if call.requests is None else call.requests
    return counts


def _what(calls: Sequence[LoggedCall]) -> str:
    counts = llms(calls)
    named = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(SHOWN))
    more = f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
    times = [call.at for call in calls if call.at is not None]
    sessions = len({call.session for call in calls if call.session is not None})
    costs = [call.cost_usd for call in calls if call.cost_usd is not None]
    sums = any(call.requests != 1 for call in calls)
    parts = [f"{len(calls):,} {'sums of calls' if sums else 'calls'} of {len(counts)} LLM{'s' if len(counts) != 1 else ''}"]
    parts += [f"({named}{more})"] if counts else []
    parts += [f"in {sessions:,} sessions"] if sessions else []
    parts += [f"from {min(times):%Y-%m-%d} to {max(times):%Y-%m-%d}"] if times else []
    parts += [f"for ${usd(sum(costs))} as stated"] if costs else []
    return f"{' '.join(parts)}."


def _facts(calls: Sequence[LoggedCall], format_: Format) -> Iterator[str]:
    counts = {fact: sum(map(there, calls)) for fact, there in FACTS.items()}
    whole = [fact for fact, count in counts.items() if count == len(calls)]
    part = [f"{fact} in {count:,} of {len(calls):,}" for fact, count in counts.items() if 0 < count < len(calls)]
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
