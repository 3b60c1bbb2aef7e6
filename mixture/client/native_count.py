"""How many tokens a request in Anthropic's dialect has, asked of an endpoint that speaks it: nothing is answered, and nothing costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mixture.client import failures
from mixture.client.complaints import Complaint
from mixture.client.json_values import count, mapping
from mixture.client.native_messages import NativeMessages
from mixture.client.protocol import Call, Chunk, Reply
from mixture.client.usage import MOST_TOKENS
from mixture.llm import LLM

COUNTED = frozenset({"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"})  # an endpoint takes no other


@dataclass(frozen=True, slots=True)
class NativeCount(NativeMessages):
    """Implements `mixture.client.native.Native`."""

    path: str = "/messages/count_tokens"

    def body(self, llm: LLM, *, stream: bool) -> dict[str, Any]:
        """What is counted of the caller's request."""
        whole = NativeMessages.body(self, llm, stream=stream)
        return {name: value for name, value in whole.items() if name in COUNTED}

    def assembly(self, call: Call) -> "CountAssembly":  # type: ignore[override]
        """What reads the count."""
        return CountAssembly(call)


@dataclass(slots=True)
class CountAssembly:
    """Implements `mixture.client.native.NativeAssembly`, for a reply that is a number."""

    call: Call
    tokens: int | None = None

    def add(self, raw: Any, *, named: str | None = None) -> Chunk:  # noqa: ARG002 - it is no stream
        """Takes in the count. Raises LLMGarbled where it is none."""
        tree: Mapping[str, Any] = mapping(raw)
        if (complaint := Complaint.of(tree)) is not None and "input_tokens" not in tree:
            raise failures.inside(self.call.llm, complaint)
        self.tokens = count(tree.get("input_tokens"), MOST_TOKENS)
        return Chunk("", {"choices": []})

    def complete(self, *, done: bool) -> bool:  # noqa: ARG002 - there is nothing to wait for
        """Whether it is there."""
        return self.tokens is not None

    def reply(self, latency_s: float) -> Reply:
        """The count as a reply's `input_tokens`. Raises LLMGarbled where there is none."""
        if self.tokens is None:
            raise failures.garbled(self.call.llm, "the reply is no count of tokens.")
        return Reply(self.call.llm.id, "", "stop", self.tokens, 0, 0.0, latency_s)
