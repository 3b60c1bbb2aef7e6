"""Output items of OpenAI's responses: what was thought, what is said, which tools are called; growing in a stream, or whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from mixture.client.json_values import mapping, mappings, text
from mixture.decision import Decision

Events = list[dict[str, Any]]


class Item(Protocol):
    """One item of the output. Its events lack what the stream adds: output_index and sequence_number."""

    @property
    def id(self) -> str:
        """Its id, which says its kind."""

    def begin(self) -> Events:
        """The events by which it begins."""

    def end(self) -> Events:
        """The events by which it ends."""

    def whole(self, status: str = "completed") -> dict[str, Any]:
        """As a response holds it."""


@dataclass(slots=True)
class Thought:
    """What an LLM thought aloud."""

    id: str
    _texts: list[str] = field(default_factory=list)

    def begin(self) -> Events:
        """An item, and its one part, both empty."""
        return [
            {"type": "response.output_item.added", "item": {**self.whole("in_progress"), "content": []}},
            {"type": "response.content_part.added", **self._place(), "part": {"type": "reasoning_text", "text": ""}},
        ]

    def add(self, piece: str) -> Events:
        """More of it."""
        self._texts.append(piece)
        return [{"type": "response.reasoning_text.delta", **self._place(), "delta": piece}]

    def end(self) -> Events:
        """The whole text, and the item."""
        said = "".join(self._texts)
        return [
            {"type": "response.reasoning_text.done", **self._place(), "text": said},
            {"type": "response.content_part.done", **self._place(), "part": {"type": "reasoning_text", "text": said}},
            {"type": "response.output_item.done", "item": self.whole()},
        ]

    def whole(self, status: str = "completed") -> dict[str, Any]:
        """With its text as content: it is the LLM's own, not a summary."""
        content = [{"type": "reasoning_text", "text": "".join(self._texts)}]
        return {"id": self.id, "type": "reasoning", "summary": [], "content": content, "status": status}

    def _place(self) -> dict[str, Any]:
        return {"item_id": self.id, "content_index": 0}


@dataclass(slots=True)
class Said:
    """A message: words, or the words of a refusal."""

    id: str
    refuses: bool = False
    _texts: list[str] = field(default_factory=list)
    _logprobs: list[dict[str, Any]] = field(default_factory=list)

    def begin(self) -> Events:
        """A message, and its one part, both empty."""
        item, part = {**self.whole("in_progress"), "content": []}, Said(self.id, self.refuses)._part()
        return [
            {"type": "response.output_item.added", "item": item},
            {"type": "response.content_part.added", **self._place(), "part": part},
        ]

    def add(self, piece: str, logprobs: Sequence[Mapping[str, Any]] = ()) -> Events:
        """More words."""
        self._texts.append(piece)
        if self.refuses:
            return [{"type": "response.refusal.delta", **self._place(), "delta": piece}]
        these = [_logprob(each) for each in logprobs]
        self._logprobs += these
        return [{"type": "response.output_text.delta", **self._place(), "delta": piece, "logprobs": these}]

    def end(self) -> Events:
        """The whole text, its part, and the item."""
        said = "".join(self._texts)
        done = {"type": "response.output_text.done", **self._place(), "text": said, "logprobs": self._logprobs}
        if self.refuses:
            done = {"type": "response.refusal.done", **self._place(), "refusal": said}
        return [
            done,
            {"type": "response.content_part.done", **self._place(), "part": self._part()},
            {"type": "response.output_item.done", "item": self.whole()},
        ]

    def whole(self, status: str = "completed") -> dict[str, Any]:
        """A message of the assistant."""
        return {"id": self.id, "type": "message", "status": status, "role": "assistant", "content": [self._part()]}

    def _part(self) -> dict[str, Any]:
        said = "".join(self._texts)
        if self.refuses:
            return {"type": "refusal", "refusal": said}
        return {"type": "output_text", "text": said, "annotations": [], "logprobs": self._logprobs}

    def _place(self) -> dict[str, Any]:
        return {"item_id": self.id, "content_index": 0}


@dataclass(slots=True)
class Called:
    """A call of one of the caller's tools. free_form: the tool takes a text, which the LLM was asked for as the argument `input`."""

    id: str
    call_id: str
    name: str
    free_form: bool = False
    _written: list[str] = field(default_factory=list)

    def begin(self) -> Events:
        """A call without arguments."""
        empty = {**self.whole("in_progress"), "input" if self.free_form else "arguments": ""}
        return [{"type": "response.output_item.added", "item": empty}]

    def add(self, piece: str) -> Events:
        """More of its arguments; a text is inside JSON until that is complete."""
        self._written.append(piece)
        return [] if self.free_form or not piece else [self._told("response.function_call_arguments.delta", delta=piece)]

    def end(self) -> Events:
        """All of its arguments, and the item."""
        done = {"type": "response.output_item.done", "item": self.whole()}
        if not self.free_form:
            return [self._told("response.function_call_arguments.done", arguments="".join(self._written), name=self.name), done]
        given = self._text()
        kind = "response.custom_tool_call_input"
        return [self._told(f"{kind}.delta", delta=given), self._told(f"{kind}.done", input=given), done]

    def whole(self, status: str = "completed") -> dict[str, Any]:
        """The call."""
        head = {"id": self.id, "call_id": self.call_id, "name": self.name, "status": status}
        if self.free_form:
            return {**head, "type": "custom_tool_call", "input": self._text()}
        return {**head, "type": "function_call", "arguments": "".join(self._written)}

    def _told(self, kind: str, **what: str) -> dict[str, Any]:
        return {"type": kind, "item_id": self.id, **what}

    def _text(self) -> str:
        """What is under `input`; all that was written where it is no such JSON."""
        written = "".join(self._written)
        try:
            given = orjson.loads(written)
        except orjson.JSONDecodeError:
            return written
        inside = given.get("input") if isinstance(given, dict) else given
        return inside if isinstance(inside, str) else written


def items_of(decision: Decision, decision_id: str, free_form: frozenset[str]) -> list[Item]:
    """The output that a decision is. free_form: names of tools that take a text."""
    raw = decision.reply.raw if decision.reply is not None else {}
    choice = next(iter(mappings(raw.get("choices"))), {})
    message = mapping(choice.get("message")) or {"content": decision.text}
    items: list[Item] = []
    if thought := thinks(message):
        of_thought = Thought(f"rs_{decision_id}_0")
        of_thought.add(thought)
        items.append(of_thought)
    calls = mappings(message.get("tool_calls"))
    content, refusal = text(message.get("content")), text(message.get("refusal"))
    if content or refusal or not calls:
        said = Said(f"msg_{decision_id}_{len(items)}", refuses=bool(refusal and not content))
        said.add(content or refusal or "", logprobs_of(choice))
        items.append(said)
    for call in calls:
        what = mapping(call.get("function")) or mapping(call.get("custom"))
        name = str(what.get("name"))
        called = Called(f"fc_{decision_id}_{len(items)}", str(call.get("id")), name, name in free_form)
        called.add(str(what.get("arguments") or what.get("input") or ""))
        items.append(called)
    return items


def thinks(message: Mapping[str, Any]) -> str:
    """What a message or a delta thinks, under either of its names."""
    return text(message.get("reasoning_content")) or text(message.get("reasoning")) or ""


def logprobs_of(choice: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The log-probabilities that a choice brings."""
    return mappings(mapping(choice.get("logprobs")).get("content"))


def _logprob(token: Mapping[str, Any]) -> dict[str, Any]:
    alternatives = [{name: each.get(name) for name in ("token", "bytes", "logprob")} for each in mappings(token.get("top_logprobs"))]
    return {"token": token.get("token"), "bytes": token.get("bytes") or [], "logprob": token.get("logprob"), "top_logprobs": alternatives}
