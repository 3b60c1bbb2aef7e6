"""An LLM of the pool as the decision code sees it: how to reach it, how to ask it, what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from mixture.effort import Effort, Way
from mixture.energy import Energy
from mixture.price import Price

Dialect = Literal["chat", "responses", "messages"]
Status = Literal["candidate", "active", "retired"]
Trained = Literal["jointly", "row"]
SelfAssessment = Literal["in_text", "json_schema", "none"]
Message = Mapping[str, Any]  # one message of the OpenAI chat protocol


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible server: `base_url` ends before `/chat/completions`; the key is an environment variable's name.

    dialects: those that it speaks, of chat, responses and messages. A request in one of them reaches it as its caller wrote it.
    """

    base_url: str
    served_name: str
    api_key_env: str | None = None
    dialects: frozenset[Dialect] = frozenset({"chat"})


@dataclass(frozen=True, slots=True)
class Prompt:
    """How this pool entry is asked: the same weights asked directly or step by step are two LLMs."""

    system: str = ""
    suffix: str = ""

    def apply(self, messages: Sequence[Message]) -> list[Message]:
        """`messages` with this style's system text before theirs and its suffix after the last user turn's text."""
        prompted = [dict(message) for message in messages]
        if self.suffix:
            for message in reversed(prompted):
                if message.get("role") == "user" and isinstance(message.get("content"), str):
                    message["content"] = f"{message['content']}\n\n{self.suffix}"
                    break
        if not self.system:
            return list(prompted)
        if prompted and prompted[0].get("role") == "system" and isinstance(prompted[0].get("content"), str):
            prompted[0]["content"] = f"{self.system}\n\n{prompted[0]['content']}"
            return list(prompted)
        return [{"role": "system", "content": self.system}, *prompted]


@dataclass(frozen=True, slots=True)
class Decoding:
    """Sampling settings sent with every call unless the caller's request overrides them."""

    temperature: float = 0.0
    max_tokens: int = 256
    seed: int | None = 0


@dataclass(frozen=True, slots=True)
class RequestFields:
    """How fields of a request are sent that an endpoint does not take as they are: under its own name, by field, or not at all."""

    rename: Mapping[str, str] = field(default_factory=dict, hash=False)
    omit: frozenset[str] = frozenset()

    def apply(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """The request as the endpoint wants it."""
        return {self.rename.get(name, name): value for name, value in sent.items() if name not in self.omit}


@dataclass(frozen=True, slots=True)
class Limits:
    """Concurrency towards the endpoint and time-outs in seconds."""

    concurrency: int = 4
    connect_s: float = 5.0
    first_token_s: float = 60.0
    between_chunks_s: float = 30.0
    total_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast others saw it answer, until it is seen here: seconds to the first token, and per token written."""

    first_token_s: float
    per_token_s: float

    def latency_s(self, output_tokens: float) -> float:
        """Of an answer of so many tokens."""
        return self.first_token_s + output_tokens * self.per_token_s


@dataclass(frozen=True, slots=True)
class LLM:
    """One pool entry. `endpoint` is None for a recorded LLM: trained and replayed on, never served."""

    id: str
    name: str
    price: Price
    endpoint: Endpoint | None = None
    prompt: Prompt = field(default_factory=Prompt)
    decoding: Decoding = field(default_factory=Decoding)
    limits: Limits = field(default_factory=Limits)
    request_fields: RequestFields = field(default_factory=RequestFields)
    context_window: int = 4096
    capabilities: frozenset[str] = frozenset()
    data_policy: frozenset[str] = frozenset()
    status: Status = "active"
    max_training_queries: int | None = None  # of the pool's queries, when its answers are bought for training; None: all of them
    # its own answer and its peers': in lines after the answer, by structured output, or not at all
    self_assessment: SelfAssessment = "in_text"
    pace: Pace | None = None
    energy: Energy | None = None  # None: unknown
    effort: Effort | None = None  # how hard it thinks: the same weights at two efforts are two LLMs of one family; None says nothing to it
    effort_way: Way | None = None  # how its endpoint is told; None: by its host (mixture.client.effort_fields)
    trained: Trained = "jointly"  # trained with all others, or "row": its row of the scorer is fitted alone, the others stay as they are

    @property
    def family(self) -> str:
        """Which weights answer: LLMs that differ in prompt, decoding or effort only are of one family."""
        return self.id if self.endpoint is None else f"{self.endpoint.base_url} {self.endpoint.served_name}"

    def priced_at(self, when: datetime) -> "LLM":
        """The same at the price in force at `when` (UTC)."""
        price = self.price.at(when)
        return self if price is self.price else replace(self, price=price)
