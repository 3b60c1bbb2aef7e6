"""The one door to LLMs: what a call is and what comes back, spoken as the OpenAI chat protocol."""

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mixture.client.native import Event, Native
from mixture.errors import LLMFailed
from mixture.llm import LLM, Message
from mixture.usage import Usage

# Asks for each token's log-probability: their mean says how sure an LLM was. llama.cpp sends none for 0 alternatives.
LOGPROBS: Mapping[str, Any] = {"logprobs": True, "top_logprobs": 1}


def _always(_: LLMFailed) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Call:
    """One question to one LLM.

    messages: as the caller wrote them; the LLM's prompt style is applied by the client.
    options: further fields of the OpenAI request (tools, response_format, seed, max_tokens, logprobs, n ...).
    deadline: monotonic time (seconds, `time.monotonic`) by which the call must end, or None.
    silent_after_s: how long the endpoint may show nothing before that is held against it, whoever ends the call then.
    optional: of `options`, those that it can do without where the endpoint refuses them.
    native: the caller's own request, which an endpoint that speaks its dialect gets in place of all this (`mixture.client.native.usable`).
    may_retry: asked before a failed attempt is followed by another, since the failed one may be charged too; False ends the call.
    """

    llm: LLM
    messages: Sequence[Message]
    options: Mapping[str, Any] = field(default_factory=dict)
    deadline: float | None = None
    silent_after_s: float = math.inf
    optional: frozenset[str] = frozenset(LOGPROBS)
    native: Native | None = field(default=None, compare=False, repr=False)
    may_retry: Callable[[LLMFailed], bool] = field(default=_always, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """One LLM's complete reply: what it said, what it used, how long it took (seconds).

    mean_logprob: mean log-probability of the reply's tokens, None where the endpoint does not return them.
    raw: the endpoint's own response in the protocol's form, for pass-through. native: the same as it came, where the endpoint was asked in
    the caller's own dialect. usage: the tokens with their parts (cached, thought), None
    where only the two counts are known. cost_usd: by our price; stated_usd: by the endpoint's own words, None where it states none.
    cost_known: whether either is there; where not, `cost_usd` is 0 and means nothing.
    """

    llm: str
    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    cost_usd: float
    latency_s: float
    mean_logprob: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)
    usage: Usage | None = None
    stated_usd: float | None = None
    cost_known: bool = True
    native: Mapping[str, Any] | None = None

    @property
    def usage_estimated(self) -> bool:
        """Whether the endpoint left tokens uncounted."""
        return self.usage is not None and self.usage.estimated


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a streamed reply; the last one carries the finished `Reply`.

    native: the event as it came, in the caller's own dialect. llm: id of who writes, "" where it is nobody alone.
    """

    text: str
    raw: Mapping[str, Any] = field(default_factory=dict)
    reply: Reply | None = None
    native: Event | None = None
    llm: str = ""


def says_nothing(chunk: Chunk) -> bool:
    """Whether a chunk brings neither words nor anything else of a message (tool calls, a refusal): a role, a usage, an empty reply."""
    raw = chunk.raw if chunk.reply is None else chunk.reply.raw
    parts = [choice.get("delta") or choice.get("message") or {} for choice in raw.get("choices") or []]
    text = chunk.text if chunk.reply is None else chunk.reply.text
    return not text.strip() and not any(_filled(value) for part in parts for name, value in part.items() if name != "role")


def _filled(value: Any) -> bool:
    return bool(value.strip() if isinstance(value, str) else value)


class Client(Protocol):
    """Asks LLMs. Raises only `mixture.errors.LLMFailed` and its children."""

    async def ask(self, call: Call) -> Reply:
        """One complete reply."""

    def stream(self, call: Call) -> AsyncIterator[Chunk]:
        """The same reply in pieces."""
