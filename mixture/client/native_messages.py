"""Anthropic's Messages for endpoints that speak them: the caller's request goes there as it was written, and the reply is only read.

One thing is changed both ways: a signature of a thought leaves inside an envelope that names the LLM, and only that LLM gets it back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from mixture.client import failures, request_body
from mixture.client.complaints import Complaint
from mixture.client.json_values import count, mapping, mappings, parsed, text
from mixture.client.native import Event, without_omitted
from mixture.client.protocol import Call, Chunk, Reply
from mixture.client.stream_assembly import MOST_CHARACTERS
from mixture.client.thinking_state import ThinkingState, opened
from mixture.client.usage import UNCOUNTED, UsageReport
from mixture.client.wire import charge, charged
from mixture.errors import LLMFailed
from mixture.llm import LLM

VERSION = "2023-06-01"  # the only one there is
MOST_BLOCKS = 10_000  # an index beyond is an error of whoever counted
_FINISH = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_SEALED = {"thinking": "signature", "redacted_thinking": "data"}  # where a block has what its LLM knows it by
_GROWS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


@dataclass(frozen=True, slots=True)
class NativeMessages:
    """Implements `mixture.client.native.Native`. written: the caller's JSON without what is for us. betas: its `anthropic-beta` header."""

    written: Mapping[str, Any]
    betas: str = ""
    dialect: str = "messages"
    path: str = "/messages"

    def body(self, llm: LLM, *, stream: bool) -> dict[str, Any]:
        """The caller's request, with the served name for `model`, less what other LLMs thought."""
        messages = [_for(llm, message) for message in self.written["messages"]]
        sent = {**self.written, "messages": [each for each in messages if each["content"] or each["role"] != "assistant"]}
        return without_omitted(llm, sent | {"model": request_body.endpoint(llm).served_name, "stream": stream})

    def headers(self, llm: LLM) -> dict[str, str]:
        """The key in both of the ways that endpoints of this dialect know."""
        key = request_body.headers(llm)
        named = {"x-api-key": key["Authorization"].removeprefix("Bearer ")} if key else {}
        return {**key, **named, "anthropic-version": VERSION, **({"anthropic-beta": self.betas} if self.betas else {})}

    def assembly(self, call: Call) -> "MessagesAssembly":
        """What reads the reply."""
        return MessagesAssembly(call)


def _for(llm: LLM, message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message as `llm` gets it. One signed in no envelope is from before this server was asked, and stays."""
    if message["role"] != "assistant" or not isinstance(message["content"], list):
        return message
    blocks = []
    for block in message["content"]:
        name = _SEALED.get(block["type"])
        known = "" if name is None else str(block.get(name) or "")
        state = opened(known)
        if name is None or (state is None and known):
            blocks.append(block)
        elif state is not None and state.llm == llm.id and state.signature:
            blocks.append({**block, name: state.signature})
    return {**message, "content": blocks}


@dataclass(slots=True)
class MessagesAssembly:
    """Implements `mixture.client.native.NativeAssembly`."""

    call: Call
    _message: dict[str, Any] = field(default_factory=dict)
    _blocks: dict[int, dict[str, Any]] = field(default_factory=dict)
    _pieces: dict[int, list[str]] = field(default_factory=dict)
    _usage: UsageReport = UNCOUNTED
    _size: int = 0
    _ended: bool = False

    def add(self, raw: Any, *, named: str | None = None) -> Chunk:
        """The event, unchanged but for signatures. Raises LLMGarbled where it is none, LLMFailed's children where it is an error."""
        tree = mapping(raw)
        kind = text(tree.get("type"))
        self._usage = self._usage.fold(UsageReport.of(tree.get("usage") or mapping(tree.get("message")).get("usage")))
        if kind == "error" or named == "error" or (kind is None and Complaint.of(tree) is not None):
            complaint = Complaint.of(tree) or Complaint("an error event that does not say what is wrong")
            failed = failures.inside(self.call.llm, complaint)
            failed.billable = failed.billable or self._size > 0
            raise charged(failed, self.call.llm, self._usage)
        if kind is None:
            raise failures.garbled(self.call.llm, "the reply is no message of this dialect: it has no type.")
        whole = kind == "message"
        if whole:
            self._take_whole(tree)
            return Chunk(self._text("text"), {"choices": []}, llm=self.call.llm.id)
        delta, tree = self._take(kind, tree)
        choices = [{"index": 0, "delta": delta, "finish_reason": None}] if delta else []
        return Chunk(delta.get("content", ""), {"choices": choices}, native=Event(named or kind, tree), llm=self.call.llm.id)

    def complete(self, *, done: bool) -> bool:  # noqa: ARG002 - a mark alone completes no message
        """Whether the message says so itself."""
        return self._ended and text(self._message.get("stop_reason")) is not None

    def reply(self, latency_s: float) -> Reply:
        """The reply, priced. Raises LLMGarbled where it is no finished message."""
        llm = self.call.llm
        if not self.complete(done=True):
            raise charged(failures.garbled(llm, "the reply is no finished message."), llm, self._usage)
        content = [self._whole(at) for at in sorted(self._blocks)]
        said, finish = self._text("text"), _FINISH.get(self._message["stop_reason"], "stop")
        usage, details = self._usage.completed(self.call, "".join(map(str, content)) if self._usage.output_tokens is None else "")
        message: dict[str, Any] = {"role": "assistant", "content": said}
        message |= {"reasoning_content": thought} if (thought := self._text("thinking")) else {}
        calls = [_chat_call(block) for block in content if block.get("type") == "tool_use"]
        message |= {"tool_calls": calls} if calls else {}
        return Reply(
            llm=llm.id,
            text=said,
            finish_reason=finish,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=charge(llm, usage, self._usage.stated_usd),
            latency_s=latency_s,
            raw={"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": details},
            usage=usage,
            stated_usd=self._usage.stated_usd,
            cost_known=llm.price.known or self._usage.stated_usd is not None,
            native={**self._message, "content": content, "usage": self._usage.details},
        )

    def _take_whole(self, tree: Mapping[str, Any]) -> None:
        self._message = dict(tree)
        self._blocks = {at: self._sealed(block) for at, block in enumerate(mappings(tree.get("content")))}
        self._grow(len(str(self._blocks)))
        self._ended = True

    def _take(self, kind: str, tree: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What an event brings as a chat completion's delta, and the event as it passes on."""
        at = count(tree.get("index"), MOST_BLOCKS) or 0
        if kind == "message_start":
            self._message = dict(mapping(tree.get("message")))
        elif kind == "content_block_start":
            self._blocks[at] = block = self._sealed(mapping(tree.get("content_block")))
            return self._begun(at, block), {**tree, "content_block": block}
        elif kind == "content_block_delta":
            delta = mapping(tree.get("delta"))
            if delta.get("type") == "signature_delta":
                sealed = self._seal(text(delta.get("signature")) or "")
                self._blocks.setdefault(at, {})["signature"] = sealed
                return {}, {**tree, "delta": {**delta, "signature": sealed}}
            return self._grown(at, delta), tree
        elif kind == "message_delta":
            self._message |= mapping(tree.get("delta"))
        elif kind == "message_stop":
            self._ended = True
        return {}, tree

    def _begun(self, at: int, block: Mapping[str, Any]) -> dict[str, Any]:
        if block.get("type") == "tool_use":
            return {"tool_calls": [{"index": at, "id": block.get("id"), "function": {"name": block.get("name"), "arguments": ""}}]}
        piece = text(block.get("text")) or ""
        self._grow(len(piece))
        return {"content": piece} if piece else {}

    def _grown(self, at: int, delta: Mapping[str, Any]) -> dict[str, Any]:
        kind = str(delta.get("type"))
        piece = text(delta.get(_GROWS.get(kind, ""))) or ""
        self._pieces.setdefault(at, []).append(piece)
        self._grow(len(piece))
        if kind == "input_json_delta":
            return {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}
        name = {"text_delta": "content", "thinking_delta": "reasoning_content"}.get(kind)
        return {name: piece} if name and piece else {}

    def _whole(self, at: int) -> dict[str, Any]:
        """A block with all that it grew by."""
        block, grown = self._blocks[at], "".join(self._pieces.get(at, ()))
        if not grown:
            return block
        kind = str(block.get("type"))
        if kind in {"text", "thinking"}:
            return {**block, kind: (text(block.get(kind)) or "") + grown}
        return {**block, "input": _input(grown)}

    def _text(self, kind: str) -> str:
        wholes = (self._whole(at) for at in sorted(self._blocks))
        return "".join(text(block.get(kind)) or "" for block in wholes if block.get("type") == kind)

    def _sealed(self, block: dict[str, Any]) -> dict[str, Any]:
        name = _SEALED.get(str(block.get("type")))
        known = text(block.get(name)) if name else None
        return {**block, name: self._seal(known)} if name and known else block

    def _seal(self, known: str) -> str:
        return ThinkingState(self.call.llm.id, signature=known).sealed()

    def _grow(self, characters: int) -> None:
        self._size += characters
        if self._size > MOST_CHARACTERS:
            too_long: LLMFailed = failures.garbled(self.call.llm, f"the reply is longer than {MOST_CHARACTERS:,} characters.")
            raise charged(too_long, self.call.llm, self._usage)


def _input(written: str) -> Any:
    try:
        return parsed(written.encode(errors="replace"))
    except ValueError:
        return {}


def _chat_call(block: Mapping[str, Any]) -> dict[str, Any]:
    arguments = orjson.dumps(block.get("input") or {}).decode()
    return {"id": block.get("id"), "type": "function", "function": {"name": text(block.get("name")) or "", "arguments": arguments}}
