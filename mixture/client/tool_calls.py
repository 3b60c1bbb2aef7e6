"""The tool calls of one message, put together from what endpoints send of them: filled piece by piece, told apart by id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from mixture.client.json_values import count, mapping, text

MOST_CALLS = 1_000  # an index beyond is an error of whoever counted
_WRITTEN = {"function": "arguments", "custom": "input"}  # what grows, by the kind of call


@dataclass(slots=True)
class _ToolCall:
    """One call. sent_index: the endpoint's own number of it, None where it sent none. further: fields that pass through as they are."""

    id: str
    kind: str
    sent_index: int | None
    name: str | None = None
    written: list[str] = field(default_factory=list)
    further: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        what = {"name": self.name or "", _WRITTEN[self.kind]: "".join(self.written)}
        return {**self.further, "id": self.id, "type": self.kind, self.kind: what}


@dataclass(slots=True)
class ToolCalls:
    """The calls so far, in the order in which they began. made_up: the beginning of ids of calls that come without one."""

    made_up: str
    _calls: list[_ToolCall] = field(default_factory=list)

    def add(self, parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Takes in what a message or a delta holds; returns it as a delta that names each call by its place and repeats nothing."""
        return [self._add(part) for part in parts]

    def whole(self) -> list[dict[str, Any]]:
        """The calls as a message holds them."""
        return [each.as_dict() for each in self._calls]

    @property
    def nameless(self) -> bool:
        """Whether one of them does not say what it calls."""
        return any(each.name is None for each in self._calls)

    def _add(self, part: Mapping[str, Any]) -> dict[str, Any]:
        kind = "custom" if isinstance(part.get("custom"), dict) else "function"
        what = mapping(part.get(kind))
        name, written = text(what.get("name")), _text(what.get(_WRITTEN[kind]))
        further = {key: value for key, value in part.items() if key not in {"index", "id", "type", kind} and value is not None}
        call = self._known(part, name)
        delta: dict[str, Any] = {}
        if call is None:
            call = _ToolCall(text(part.get("id")) or f"{self.made_up}{len(self._calls)}", kind, count(part.get("index"), MOST_CALLS))
            self._calls.append(call)
            delta = {"id": call.id, "type": kind}
        filled = {}
        if call.name is None and name is not None:
            call.name = filled["name"] = name
        call.written.append(written)
        call.further |= further
        return {"index": self._calls.index(call), **delta, **further, call.kind: {**filled, _WRITTEN[call.kind]: written}}

    def _known(self, part: Mapping[str, Any], name: str | None) -> _ToolCall | None:
        """The call that `part` goes on with, None where it begins one.

        An id decides where it is known. Else the index does, unless another id brings a name of its own: then it is a further call that
        an endpoint numbered alike. A part with neither goes on with the last call, unless it brings a name where there is one already.
        """
        identity, index = text(part.get("id")), count(part.get("index"), MOST_CALLS)
        if identity is not None and (same := [each for each in self._calls if each.id == identity]):
            return same[0]
        if index is not None:
            numbered = [each for each in self._calls if each.sent_index == index]
            further_one = identity is not None and name is not None and bool(numbered) and numbered[-1].name is not None
            return numbered[-1] if numbered and not further_one else None
        last = self._calls[-1] if self._calls else None
        return None if identity is not None or last is None or (name is not None and last.name is not None) else last


def _text(written: Any) -> str:
    """Arguments as text, also where an endpoint sends the object that they are."""
    if isinstance(written, str):
        return written
    return "" if written is None else orjson.dumps(written).decode()
