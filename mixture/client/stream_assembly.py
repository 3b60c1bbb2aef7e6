"""A streamed reply put together again from its events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from mixture.client import wire
from mixture.client.protocol import Call, Reply
from mixture.client.wire import Logprobs, Usage
from mixture.errors import LLMGarbled


class _Delta(BaseModel):
    role: str | None = None
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _ChunkChoice(BaseModel):
    index: int = 0
    delta: _Delta = _Delta()
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class _CompletionChunk(BaseModel):
    id: str | None = None
    model: str | None = None
    choices: list[_ChunkChoice]
    usage: Usage | None = None


@dataclass(slots=True)
class Assembly:
    """A streamed reply being put together; `add` takes each event and returns the text it brought."""

    call: Call
    texts: dict[int, list[str]] = field(default_factory=dict)
    tools: dict[int, dict[int, dict[str, Any]]] = field(default_factory=dict)
    finished: dict[int, str] = field(default_factory=dict)
    logprobs: list[float] = field(default_factory=list)
    usage: Usage | None = None
    head: dict[str, Any] = field(default_factory=dict)

    def add(self, raw: Mapping[str, Any]) -> str:
        """The first choice's new text.

        Raises LLMGarbled where the event is no completion chunk, LLMFailed's children where it is an error.
        """
        wire.raise_error_inside(self.call.llm, raw)
        try:
            chunk = _CompletionChunk.model_validate(raw)
        except ValidationError as exc:
            raise LLMGarbled(
                self.call.llm.id, f"an event of the stream is no completion chunk: {wire.beginning(orjson.dumps(raw))}"
            ) from exc
        self.head = self.head or {"id": chunk.id, "model": chunk.model}
        self.usage = chunk.usage or self.usage
        for choice in chunk.choices:
            self._add_choice(choice)
        return "".join(choice.delta.content or "" for choice in chunk.choices if choice.index == 0)

    def _add_choice(self, choice: _ChunkChoice) -> None:
        self.texts.setdefault(choice.index, []).append(choice.delta.content or "")
        for part in choice.delta.tool_calls or []:
            whole = self.tools.setdefault(choice.index, {}).setdefault(
                int(part.get("index", 0)), {"type": "function", "function": {"arguments": ""}}
            )
            whole |= {key: value for key, value in part.items() if key not in {"index", "function"}}
            function = part.get("function") or {}
            whole["function"] |= {key: value for key, value in function.items() if key != "arguments"}
            whole["function"]["arguments"] += function.get("arguments") or ""
        if choice.finish_reason is not None:
            self.finished[choice.index] = choice.finish_reason
        if choice.index == 0:
            self.logprobs += wire.logprobs_of(choice.logprobs)

    @property
    def complete(self) -> bool:
        """Whether every choice that began has ended."""
        return bool(self.finished) and self.finished.keys() >= self.texts.keys()

    def reply(self, latency_s: float) -> Reply:
        """The finished reply; its `raw` is the chat completion the endpoint would have sent without streaming."""
        choices = []
        for index in sorted(self.texts):
            message: dict[str, Any] = {"role": "assistant", "content": "".join(self.texts[index])}
            if index in self.tools:
                message["tool_calls"] = [self.tools[index][at] for at in sorted(self.tools[index])]
            choices.append({"index": index, "message": message, "finish_reason": self.finished.get(index)})
        raw = {**self.head, "object": "chat.completion", "choices": choices}
        if self.usage is not None:
            counted = self.usage.model_dump()
            raw["usage"] = {**counted, "total_tokens": self.usage.prompt_tokens + self.usage.completion_tokens}
        text = "".join(self.texts.get(0, []))
        return wire.finished(
            self.call,
            text,
            finish_reason=self.finished.get(0),
            usage=self.usage,
            logprobs=self.logprobs,
            latency_s=latency_s,
            raw=raw,
        )
