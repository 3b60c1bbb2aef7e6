"""A streamed answer as Anthropic's events: content blocks one after the other, whatever order the pieces come in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from mixture.client.protocol import Chunk
from mixture.client.thinking_state import TEXTS, ThinkingState, signed_in
from serving.dialects import messages_reply

Event = dict[str, Any]
Key = tuple[str, int]  # what a block is, and of calls their place among the calls
THOUGHT, SAID = ("thinking", 0), ("text", 0)


@dataclass(slots=True)
class _Block:
    """One block so far; a call of a tool begins once its name is known."""

    kind: str
    id: str = ""
    name: str = ""
    written: list[str] = field(default_factory=list)
    signed: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    text_name: str = ""

    @property
    def text(self) -> str:
        return "".join(self.written)

    def state(self, llm: str) -> ThinkingState:
        return ThinkingState(llm, fields=self.signed, text=self.text_name)


@dataclass(slots=True)
class BlockEvents:
    """The events of one answer's blocks. `take` the chunks as they come, then `rest`.

    One block is open at a time. A call of a tool may grow until the end, so that it stays open, and pieces of other blocks wait for it:
    none is lost where an endpoint writes two calls at once.
    """

    blocks: dict[Key, _Block] = field(default_factory=dict)
    shown: list[Event] = field(default_factory=list)  # of what has begun: what it is, for the reason why the answer stopped
    _open: Key | None = None
    _closed: set[Key] = field(default_factory=set)
    _llm: str = ""

    def take(self, chunk: Chunk) -> Iterator[Event]:
        """The events of a chunk."""
        self._llm = chunk.llm or self._llm
        if not chunk.raw:
            if chunk.text:
                yield from self._grow(SAID, chunk.text)
            return
        for choice in chunk.raw.get("choices") or ():
            if not choice.get("index"):
                yield from self._delta(choice.get("delta") or {})

    def rest(self) -> Iterator[Event]:
        """The events of what waited, and the end of the last block."""
        yield from self._close()
        for key, block in self.blocks.items():
            if key not in self._closed:
                yield from self._begin(key)
                written = block.text if key[0] != "tool_use" else orjson.dumps(messages_reply.tool_input(block.text)).decode()
                yield from self._grown(block, written)
                yield from self._close()

    def _delta(self, delta: Mapping[str, Any]) -> Iterator[Event]:
        name = next((name for name in TEXTS if delta.get(name)), "")
        signed = signed_in(delta)
        if name or signed:
            yield from self._think(name, delta.get(name) or "", signed)
        if said := delta.get("content") or delta.get("refusal"):
            yield from self._grow(SAID, said)
        for call in delta.get("tool_calls") or ():
            yield from self._call(call)

    def _think(self, name: str, text: str, signed: Mapping[str, Any]) -> Iterator[Event]:
        key = self._current(THOUGHT)
        block = self._block(key)
        block.text_name = block.text_name or name
        for field_name, parts in signed.items():
            block.signed.setdefault(field_name, []).extend(parts)
        if text:
            yield from self._grow(key, text)

    def _call(self, call: Mapping[str, Any]) -> Iterator[Event]:
        what = call.get("function") or call.get("custom") or {}
        block = self._block(key := ("tool_use", call.get("index") or 0))
        block.id, block.name = block.id or call.get("id") or "", block.name or what.get("name") or ""
        yield from self._grow(key, what.get("arguments") or what.get("input") or "")

    def _grow(self, key: Key, text: str) -> Iterator[Event]:
        """More of a block: shown at once where it is the open one, or where the open one can end."""
        key = self._current(key)
        block = self._block(key)
        if self._open != key and self._gives_way and (key[0] != "tool_use" or block.name):
            yield from self._close()
            for other in [each for each in self.blocks if each[0] == "thinking" and each not in {key, *self._closed}]:
                yield from self._begin(other)  # what only the LLM can read
                yield from self._close()
            yield from self._begin(key)
            yield from self._grown(block, block.text)
        block.written.append(text)
        if self._open == key:
            yield from self._grown(block, text)

    @property
    def _gives_way(self) -> bool:
        return self._open is None or self._open[0] != "tool_use"

    def _current(self, key: Key) -> Key:
        """Words and thoughts that go on after something else make a further block."""
        while key in self._closed:
            key = (key[0], key[1] + 1)
        return key

    def _block(self, key: Key) -> _Block:
        return self.blocks.setdefault(key, _Block(key[0]))

    def _begin(self, key: Key) -> Iterator[Event]:
        block = self.blocks[key]
        if block.kind == "thinking" and not block.text and block.signed:  # nothing to read
            begun: Event = messages_reply.thinking_blocks("", block.state(self._llm))[0]
        elif block.kind == "tool_use":
            begun = {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
        else:
            begun = {"type": block.kind, block.kind: ""} | ({"signature": ""} if block.kind == "thinking" else {})
        self._open = key
        self.shown.append(begun)
        yield {"type": "content_block_start", "index": len(self.shown) - 1, "content_block": begun}

    def _grown(self, block: _Block, text: str) -> Iterator[Event]:
        if text:
            kind, name = {"tool_use": ("input_json_delta", "partial_json")}.get(block.kind, (f"{block.kind}_delta", block.kind))
            yield self._of_open({"type": kind, name: text})

    def _close(self) -> Iterator[Event]:
        if self._open is None:
            return
        block = self.blocks[self._open]
        if self.shown[-1]["type"] == "thinking":
            yield self._of_open({"type": "signature_delta", "signature": block.state(self._llm).sealed()})
        yield {"type": "content_block_stop", "index": len(self.shown) - 1}
        self._closed.add(self._open)
        self._open = None

    def _of_open(self, delta: Mapping[str, Any]) -> Event:
        return {"type": "content_block_delta", "index": len(self.shown) - 1, "delta": dict(delta)}


def begins(decision_id: str, model: str) -> Event:
    """The first event. What the answer uses is known at its end; until then nothing is counted."""
    nothing = {"input_tokens": 0, "output_tokens": 0}
    message = {"id": messages_reply.message_id(decision_id), "type": "message", "role": "assistant", "model": model, "content": []}
    return {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": nothing}}
