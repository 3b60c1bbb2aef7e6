"""Logged calls as the rows that an import takes: result files as queries with graded answers, chats as a sample that others are asked."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from heapq import nsmallest
from pathlib import Path

from pydantic import ValidationError

from pipelines.graders.names import JUDGE
from pipelines.harvest import LICENCE
from pipelines.imports.checks import Defaults, refusal
from pipelines.logs.call import LoggedCall
from pipelines.logs.calls import Log
from pipelines.query_pool import Identity, identity
from pipelines.query_selection import HARVESTED, in_hash_order
from pipelines.user_files.tables import AnswerRow, QueryRow, Table

SHOWN = 8  # reasons named
SPARE = 100  # questions beyond the wanted ones, for some cannot be stored


@dataclass(frozen=True, slots=True)
class Rows:
    """What an import takes, and sentences on what it does not."""

    queries: Table[QueryRow]
    answers: Table[AnswerRow]
    notes: Sequence[str] = ()


def graded(calls: Iterable[LoggedCall], of: Path, defaults: Defaults) -> Rows:
    """Each example of each data set as a query, with every LLM's score and answer.

    An example that no file grades comes in where the defaults' grader can check answers to it by its reference.
    """
    by_query: dict[tuple[str, Identity], list[LoggedCall]] = {}
    for call in calls:
        if call.text is not None and call.llm is not None:
            by_query.setdefault((call.dataset or "a data set", identity(call.text)), []).append(call)
    queries: list[QueryRow] = []
    answers: list[AnswerRow] = []
    seen, left_out = Counter[str](), Counter[tuple[str, str]]()
    for number, ((dataset, _), asked) in enumerate(by_query.items(), start=1):
        name = asked[0].call_id or str(number)
        own_id = f"{name}-{seen[name] + 1}" if seen[name] else name  # LLMs may have been asked in other words
        try:
            row = _query(asked, number, own_id, defaults)
            said = [_answer(call, number, own_id) for call in asked]
        except ValidationError:
            left_out[dataset, "cannot be stored: a NUL character, or nothing that is seen"] += 1
            continue
        if row.grader is not None and (reason := refusal(row, defaults)) is not None:
            left_out[dataset, f"are graded by no file, and {defaults.grader} cannot: {reason}"] += 1
        elif row.grader is None and not _scored(asked):
            left_out[dataset, "are graded by no file: --grader NAME grades those that have a reference"] += 1
        else:
            seen[name] += 1
            queries.append(row)
            answers += said
    notes = [f"{count} queries of {dataset} {reason}." for (dataset, reason), count in left_out.most_common(SHOWN)]
    if (more := sum(left_out.values()) - sum(count for _, count in left_out.most_common(SHOWN))) > 0:
        notes.append(f"{more} more queries are left out for such reasons.")
    return Rows(Table(of, queries), Table(of, answers), tuple(notes))


def _scored(asked: Iterable[LoggedCall]) -> bool:
    return any(call.outcome is not None for call in asked)


def _query(asked: Sequence[LoggedCall], number: int, own_id: str, defaults: Defaults) -> QueryRow:
    """The query that was asked; with a grader where no file grades it and it has a reference. Raises ValidationError."""
    reference = next((call.reference for call in asked if call.reference), None)
    by_reference = {"grader": defaults.grader} if reference is not None and not _scored(asked) else {}
    told = {"number": number, "query_id": own_id, "text": asked[0].text, "reference": reference, "dataset": asked[0].dataset}
    return QueryRow.model_validate(told | by_reference)


def sample(calls: Log, of: Path, count: int) -> Rows:
    """At most `count` of the different questions, by the hash of their texts, with the answers and outcomes the log has of them.

    Only questions that open a chat: a later turn means little to whoever did not answer the earlier ones. A judge grades all answers alike.
    Texts are in memory only of those that may be among them.
    """
    hashes: set[bytes] = set()
    later = 0
    for call in calls.only("text", "llm", "messages"):
        if call.text is not None and call.llm is not None:
            if _opens(call):
                hashes.add(_hash(call.text))
            else:
                later += 1
    first = set(nsmallest(2 * count + SPARE, hashes))
    by_text: dict[str, list[LoggedCall]] = {}
    for call in calls:
        if call.text is not None and call.llm is not None and _opens(call) and _hash(call.text) in first:
            by_text.setdefault(identity(call.text)[0], []).append(call)
    queries: list[QueryRow] = []
    answers: list[AnswerRow] = []
    for number, text in enumerate(in_hash_order(by_text), start=1):
        if len(queries) >= count:
            break
        row = {"number": number, "query_id": f"call-{number}", "text": text, "grader": JUDGE, "dataset": HARVESTED, "language": "und"}
        try:
            queries.append(QueryRow.model_validate(row | {"licence": LICENCE}))
            answers += [_answer(call, number, f"call-{number}") for call in by_text[text]]
        except ValidationError:
            queries = [each for each in queries if each.number != number]
    notes = [f"{len(queries)} of {len(hashes)} different questions that open a chat are the sample."]
    notes += [f"{later} later turns are not asked of others."] if later else []
    return Rows(Table(of, queries), Table(of, answers), tuple(notes))


def _hash(text: str) -> bytes:
    """By which `in_hash_order` orders it."""
    return sha256(identity(text)[0].encode()).digest()


def _opens(call: LoggedCall) -> bool:
    if call.messages is None:
        return True
    roles = [str(message.get("role", message.get("from"))) for message in call.messages if isinstance(message, Mapping)]
    return "assistant" not in roles and "gpt" not in roles and sum(role in {"user", "human"} for role in roles) == 1


def _answer(call: LoggedCall, number: int, own_id: str) -> AnswerRow:
    """Raises ValidationError."""
    usage = call.usage
    told = {
        "llm": call.llm,
        "score": call.outcome,
        "text": call.answer,
        "finish_reason": call.finish_reason,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read": usage.cached_tokens,
        "cache_write": usage.cache_write_tokens,
        "reasoning": usage.reasoning_tokens,
        "cost_usd": call.cost_usd,
        "latency_s": call.latency_s,
    }
    return AnswerRow.model_validate(
        {"number": number, "query_id": own_id} | {name: each for name, each in told.items() if each is not None}
    )
