"""Items of OpenAI's responses as messages of a chat: turns, tool calls, results, images; what an LLM thought is nobody else's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from serving.errors import RequestRefused
from serving.request.conversation import addresses

Item = Mapping[str, Any]
TEXTS = frozenset({"input_text", "output_text", "text"})
ROLES = frozenset({"user", "assistant", "system", "developer"})
HERE = "data:"
# Items that say what an endpoint did: an address in them is one that it has been to, and text to whoever reads it again.
_DONE_THERE = frozenset({"web_search_call", "mcp_call", "mcp_list_tools", "mcp_approval_request"})


@dataclass(slots=True)
class Messages:
    """A conversation being read. lenient: the LLM's endpoint reads items by itself, so kinds that nobody knows here are only counted."""

    lenient: bool = False
    _messages: list[dict[str, Any]] = field(default_factory=list)
    _shown: list[dict[str, Any]] = field(default_factory=list)  # images that tools gave: a message of role tool holds none

    @classmethod
    def of(cls, instructions: str | None, kept: Sequence[Item], items: str | Sequence[Item], *, lenient: bool) -> list[dict[str, Any]]:
        """The messages. kept: items of the responses that this one goes on from. Raises RequestRefused naming the item."""
        reading = cls(lenient)
        if instructions:
            reading._messages.append({"role": "system", "content": instructions})
        for at, item in enumerate(kept):
            reading.add(item, f"previous_response_id.{at}")
        if isinstance(items, str):
            reading._say({"role": "user", "content": items})
        else:
            for at, item in enumerate(items):
                reading.add(item, f"input.{at}")
        reading._show()
        return reading._messages

    def add(self, item: Item, where: str) -> None:
        """Takes in the next item."""
        kind = item.get("type", "message")
        if not isinstance(kind, str):
            raise RequestRefused(f"{where}.type: is no text.", next_step="Correct the field.", param=f"{where}.type")
        if kind == "message":
            self._message(item, where)
        elif kind in {"function_call", "custom_tool_call"}:
            self._call(item, where)
        elif kind in {"function_call_output", "custom_tool_call_output"}:
            self._result(item, where)
        elif kind != "reasoning":
            self._unknown(item, kind, where)
        elif self.lenient:  # it means nothing to another LLM; the one that wrote it reads it where it speaks this dialect
            self._count(item)

    def _message(self, item: Item, where: str) -> None:
        role = _text(item, "role", where)
        if role not in ROLES:
            raise RequestRefused(f"{where}.role: {role!r} is none of {', '.join(sorted(ROLES))}.", param=f"{where}.role")
        content = item.get("content")
        if not isinstance(content, str):
            content = [self._part(part, f"{where}.content.{at}") for at, part in enumerate(_parts(content, f"{where}.content"))]
            if all(part["type"] == "text" for part in content):
                content = "".join(part["text"] for part in content) if len(content) == 1 else content
        self._say({"role": "system" if role == "developer" else role, "content": content})

    def _say(self, message: dict[str, Any]) -> None:
        self._show()
        self._messages.append(message)

    def _call(self, item: Item, where: str) -> None:
        self._show()
        name, call_id = _text(item, "name", where), _text(item, "call_id", where)
        if item["type"] == "custom_tool_call":
            arguments = orjson.dumps({"input": _text(item, "input", where, empty=True)}).decode()
        else:
            arguments = _text(item, "arguments", where, empty=True) or "{}"
        call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        last = self._messages[-1] if self._messages else {}
        if last.get("role") == "assistant":
            last.setdefault("tool_calls", []).append(call)
        else:
            self._messages.append({"role": "assistant", "content": None, "tool_calls": [call]})

    def _result(self, item: Item, where: str) -> None:
        output = item.get("output")
        if not isinstance(output, str):
            parts = [self._part(part, f"{where}.output.{at}") for at, part in enumerate(_parts(output, f"{where}.output"))]
            self._shown += [part for part in parts if part["type"] != "text"]
            texts = [part["text"] for part in parts if part["type"] == "text"]
            output = "\n".join(texts) or "(shown below)"
        self._messages.append({"role": "tool", "tool_call_id": _text(item, "call_id", where), "content": output})

    def _show(self) -> None:
        """After all results of a turn: between them no other message may stand."""
        if self._shown:
            self._messages.append({"role": "user", "content": [{"type": "text", "text": "What the tools above gave:"}, *self._shown]})
            self._shown = []

    def _part(self, part: Item, where: str) -> dict[str, Any]:
        kind = str(part.get("type"))  # which may be anything
        if kind in TEXTS:
            return {"type": "text", "text": _text(part, "text", where, empty=True)}
        if kind == "refusal":
            return {"type": "text", "text": _text(part, "refusal", where, empty=True)}
        if kind == "input_image":
            url = _here(part, "image_url", where)
            detail = part.get("detail")
            return {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if isinstance(detail, str) else {})}}
        if kind == "input_file":
            name = part.get("filename")
            content = {"file_data": _here(part, "file_data", where), **({"filename": name} if isinstance(name, str) else {})}
            return {"type": "file", "file": content}
        if kind == "input_audio" and isinstance(part.get("input_audio"), dict):
            return {"type": "input_audio", "input_audio": part["input_audio"]}
        what = f"{where}.type: {kind!r} is none of input_text, input_image, input_file, input_audio, output_text, refusal."
        raise RequestRefused(what, next_step="Send the content as one of them.", param=f"{where}.type")

    def _unknown(self, item: Item, kind: str, where: str) -> None:
        if not self.lenient or kind == "item_reference":
            what = f"{where}.type: items of type {kind!r} are not taken here."
            next_step = "Send messages, function_call, function_call_output, custom_tool_call, custom_tool_call_output and reasoning."
            raise RequestRefused(what, next_step=next_step, param=f"{where}.type")
        if kind not in _DONE_THERE and (address := next(addresses(dict(item)), None)) is not None:
            what = f"{where}: names the address {address[:40]!r}, and no LLM is sent to one."
            raise RequestRefused(what, next_step="Send the content itself.", param=where)
        self._count(item)

    def _count(self, item: Item) -> None:
        """Its endpoint reads the item; here it is as long as it is."""
        self._say({"role": "assistant", "content": orjson.dumps(dict(item)).decode()})


def _parts(value: Any, where: str) -> Sequence[Item]:
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        raise RequestRefused(f"{where}: is neither a text nor a list of parts.", next_step="Correct the field.", param=where)
    return value


def _text(item: Item, name: str, where: str, *, empty: bool = False) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not (value or empty):
        what = "is missing" if value is None else "is no text, or an empty one"
        raise RequestRefused(f"{where}.{name}: {what}.", next_step="Correct the field.", param=f"{where}.{name}")
    return value


def _here(part: Item, name: str, where: str) -> str:
    """What comes with the request: nobody fetches an address that a caller names, nor a file that lies at an endpoint."""
    value = part.get(name)
    elsewhere = next((other for other in ("file_id", "file_url") if part.get(other)), None)
    if elsewhere is not None or not isinstance(value, str) or not value.startswith(HERE):
        what = f"{where}.{elsewhere or name}: is no data: URL, and no LLM is sent to an address or to a file that lies elsewhere."
        raise RequestRefused(what, next_step=f"Send the content itself as {name}.", param=f"{where}.{elsewhere or name}")
    return value
