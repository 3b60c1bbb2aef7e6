"""A reply put together from its events; a whole one is an event like any other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mixture.client import failures
from mixture.client.protocol import Call, Chunk, Reply
from mixture.client.tool_calls import ToolCalls
from mixture.client.usage import UNCOUNTED, UsageReport, with_thinking
from mixture.client.wire import Choice, Completion, charge, charged
from mixture.errors import LLMFailed
from mixture.reading.thinking import spoken

MOST_CHARACTERS = 1_000_000  # of all that a reply says, thinks and calls; no LLM of today may write half as much
_GROWING = frozenset({"arguments", "data", "transcript"})  # texts that come in pieces: of older function calls, and of audio


@dataclass(slots=True)
class _Message:
    """One choice so far."""

    tool_calls: ToolCalls
    pieces: dict[str, list[str]] = field(default_factory=dict)
    further: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None
    is_there: bool = False
    said: list[str] = field(default_factory=list)  # as it was passed on: content, or a refusal where a step brings no content

    def add(self, choice: Choice) -> dict[str, Any]:
        """The choice as the step of a stream that it is."""
        delta = {**({"role": choice.role} if choice.role else {}), **choice.texts, **choice.further}
        for name, piece in choice.texts.items():
            self.pieces.setdefault(name, []).append(piece)
        if choice.tool_calls:
            delta["tool_calls"] = self.tool_calls.add(choice.tool_calls)
        self.said.append(_says(delta))
        _grow(self.further, choice.further)
        _grow(self.rest, choice.rest)
        self.finish_reason = choice.finish_reason or self.finish_reason
        self.is_there = self.is_there or choice.is_there
        return {**choice.rest, "delta": delta, "finish_reason": choice.finish_reason}

    def text(self, name: str) -> str:
        return "".join(self.pieces.get(name, ()))

    def whole(self) -> dict[str, Any]:
        """The choice as a reply that is not streamed holds it."""
        tool_calls = self.tool_calls.whole()
        content = self.text("content") or (None if tool_calls or "refusal" in self.pieces else "")
        texts: dict[str, Any] = {name: self.text(name) for name in self.pieces}
        message = {"role": "assistant", **texts, "content": content}
        message |= {"tool_calls": tool_calls} if tool_calls else {}
        return {**self.rest, "message": {**message, **self.further}, "finish_reason": self.finish_reason or "stop"}


@dataclass(slots=True)
class Assembly:
    """A reply being put together; `add` takes each event, `reply` makes a reply of them."""

    call: Call
    _messages: dict[int, _Message] = field(default_factory=dict)
    _logprobs: list[float] = field(default_factory=list)
    _usage: UsageReport = UNCOUNTED
    _head: dict[str, Any] = field(default_factory=dict)
    _size: int = 0
    _only: int | None = None

    def add(self, raw: Any, *, named: str | None = None) -> Chunk:
        """The event as it passes on: in the protocol's own form, with the first choice's new words.

        Raises LLMGarbled where the event cannot be read, LLMFailed's children where it is an error.
        """
        try:
            completion = Completion.of(self.call.llm, raw, named=named)
        except LLMFailed as failed:
            failed.billable = failed.billable or self._size > 0
            raise
        self._head = {**completion.head, **self._head}
        self._usage = self._usage.fold(completion.usage)
        choices = [self._add(index, choice) for index, choice in self._wanted(completion.choices or [])]
        if self._size > MOST_CHARACTERS:
            too_long = failures.garbled(self.call.llm, f"the reply is longer than {MOST_CHARACTERS:,} characters.")
            raise charged(too_long, self.call.llm, self._usage)
        usage = {"usage": dict(completion.usage.details)} if completion.usage.details else {}
        text = "".join(_says(each["delta"]) for each in choices if each["index"] == 0)
        return Chunk(text, {**completion.head, "choices": choices, **usage}, llm=self.call.llm.id)

    def complete(self, *, done: bool) -> bool:
        """Whether every choice that began has ended. done: the endpoint says so; some that do give no finish reason."""
        if not self._messages:
            return done  # and `reply` says what is missing
        return all(each.finish_reason for each in self._messages.values()) or (done and self._size > 0)

    def reply(self, latency_s: float) -> Reply:
        """The finished reply, priced; its `raw` is the chat completion that the endpoint would send without streaming.

        Raises LLMGarbled where there is no choice, or where a tool call does not say what it calls.
        """
        llm = self.call.llm
        if not any(each.is_there for each in self._messages.values()):
            raise charged(failures.garbled(llm, "the reply is no chat completion: it holds no message."), llm, self._usage)
        if any(each.tool_calls.nameless for each in self._messages.values()):
            raise charged(failures.garbled(llm, "the reply calls a tool without saying which."), llm, self._usage)
        usage, details = self._usage.completed(self.call, self._written() if self._usage.output_tokens is None else "")
        usage, details = with_thinking(usage, details, self._thought_share())
        first = self._messages[min(self._messages)]
        choices = [{"index": index, **self._messages[index].whole()} for index in sorted(self._messages)]
        return Reply(
            llm=llm.id,
            text="".join(first.said),
            finish_reason=first.finish_reason or "stop",
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=charge(llm, usage, self._usage.stated_usd),
            latency_s=latency_s,
            mean_logprob=sum(self._logprobs) / len(self._logprobs) if self._logprobs else None,
            raw={**self._head, "object": "chat.completion", "choices": choices, "usage": details},
            usage=usage,
            stated_usd=self._usage.stated_usd,
            cost_known=llm.price.known or self._usage.stated_usd is not None,
        )

    def _written(self) -> str:
        """All that the reply says, thinks and calls."""
        return "".join(
            "".join((*(message.text(name) for name in message.pieces), *(str(each) for each in message.tool_calls.whole())))
            for message in self._messages.values()
        )

    def _thought_share(self) -> float:
        """Of the characters that the reply writes, those that it thinks: in fields of their own, or in tags."""
        texts = [
            (message.text("content"), message.text("reasoning_content") or message.text("reasoning")) for message in self._messages.values()
        ]
        thought = sum(len(apart) + len(content) - len(spoken(content)) for content, apart in texts)
        return thought / max(1, len(self._written())) if thought else 0.0

    def _wanted(self, choices: list[Choice]) -> list[tuple[int, Choice]]:
        """The choices with their index. Where one was asked for, the first that comes is it, whatever its number."""
        if (self.call.options.get("n") or 1) != 1:
            return [(choice.index, choice) for choice in choices]
        if self._only is None and choices:
            self._only = choices[0].index
        return [(0, choice) for choice in choices if choice.index == self._only]

    def _add(self, index: int, choice: Choice) -> dict[str, Any]:
        self._size += choice.size
        if index not in self._messages:
            self._messages[index] = _Message(ToolCalls(made_up=f"call_{self._head.get('id', self.call.llm.id)}_{index}_"))
        if index == min(self._messages):
            self._logprobs += choice.logprobs
        return {"index": index, **self._messages[index].add(choice)}


def _says(delta: Mapping[str, Any]) -> str:
    """A refusal is an answer."""
    return delta.get("content") or delta.get("refusal") or ""


def _grow(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Takes `more` into `into`: lists are continued, texts that come in pieces too, anything else is replaced."""
    for name, value in more.items():
        known = into.get(name)
        if isinstance(value, dict):
            into[name] = known if isinstance(known, dict) else {}
            _grow(into[name], value)
        elif isinstance(value, list) and isinstance(known, list):
            known.extend(value)
        elif isinstance(value, list):
            into[name] = list(value)
        elif isinstance(value, str) and isinstance(known, str) and name in _GROWING:
            into[name] = known + value
        elif value is not None:
            into[name] = value
