"""A logged call: what one line of somebody's log says about one request to an LLM, or about many where it only has sums."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class LoggedUsage:
    """Tokens as billed; None: the log does not say, which is not zero.

    input_tokens holds the cached ones (read and written), output_tokens the reasoning ones.
    """

    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One call; None wherever the log does not say.

    call_id: the log's own. llm: as the log names it. key: whose call it was. text: the query as a server scores it. requests: how many
    calls a sum is of (None: the log does not say). cost_usd: as stated there. outcome: in [0, 1], with the name it has there. dataset,
    reference, part: of a result file. rest: fields that nothing here reads.
    """

    file: str
    row: int
    call_id: str | None = None
    at: datetime | None = None
    llm: str | None = None
    provider: str | None = None
    key: str | None = None
    session: str | None = None
    requests: int | None = 1
    tier: str | None = None
    text: str | None = None
    messages: Sequence[Mapping[str, Any]] | None = None
    answer: str | None = None
    finish_reason: str | None = None
    usage: LoggedUsage = field(default_factory=LoggedUsage)
    cost_usd: float | None = None
    latency_s: float | None = None
    first_token_s: float | None = None
    outcome: float | None = None
    outcome_name: str | None = None
    dataset: str | None = None
    reference: str | None = None
    rest: Mapping[str, Any] = field(default_factory=dict)


# What a what-if needs to know of a call, in the words of a person, and how a call shows that it is there.
FACTS: Mapping[str, Callable[[LoggedCall], bool]] = {
    "when": lambda call: call.at is not None,
    "which LLM": lambda call: call.llm is not None,
    "key": lambda call: call.key is not None,
    "session": lambda call: call.session is not None,
    "text": lambda call: call.text is not None,
    "answer": lambda call: call.answer is not None,
    "tokens": lambda call: call.usage.input_tokens is not None and call.usage.output_tokens is not None,
    "cached tokens": lambda call: call.usage.cached_tokens is not None,
    "reasoning tokens": lambda call: call.usage.reasoning_tokens is not None,
    "cost": lambda call: call.cost_usd is not None,
    "quality": lambda call: call.outcome is not None,
}
