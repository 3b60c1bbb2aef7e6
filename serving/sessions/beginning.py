"""A conversation's beginnings: a hash after each message, by which a later request of the same conversation is recognised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from mixture.client.request_size import expected_input_tokens
from mixture.llm import Message

DIGEST = 16  # bytes
RECENT = 4  # answers back that a request may go on from: one that was given up or edited goes on from an earlier one


@dataclass(frozen=True, slots=True)
class Beginnings:
    """hashes: of everything up to and with each message, tools included. messages: whose they are."""

    hashes: tuple[str, ...]
    messages: Sequence[Message]
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, messages: Sequence[Message], fields: Mapping[str, Any]) -> "Beginnings":
        """Of a request. Marks that only steer a cache, and what endpoints put for themselves, are no part of it."""
        state = blake2b(orjson.dumps(fields.get("tools"), default=str), digest_size=DIGEST)
        hashes = []
        for message in messages:
            state.update(_said(message))
            hashes.append(state.hexdigest())
        return cls(tuple(hashes), messages, fields)

    @property
    def whole(self) -> str:
        """The hash of the whole request."""
        return self.hashes[-1]

    def answered(self) -> tuple[str, ...]:
        """The hashes of what this request may go on from, the longest first: itself, asked again, and what RECENT answers were given to.

        None where nothing was answered yet: that two conversations begin alike makes them no session.
        """
        before = [
            self.hashes[place - 1]
            for place in range(len(self.messages) - 1, 0, -1)
            if self.messages[place].get("role") == "assistant" and self.messages[place - 1].get("role") != "assistant"
        ]
        return (self.whole, *before[:RECENT]) if before else ()

    def tokens(self, prefix: str) -> int:
        """About how many tokens of this request begin with what has this hash, 0 where it does not."""
        try:
            place = self.hashes.index(prefix)
        except ValueError:
            return 0
        return expected_input_tokens(self.messages[: place + 1], {"tools": self.fields.get("tools")})


def _said(message: Message) -> bytes:
    content = message.get("content")
    if isinstance(content, list):
        parts = [{name: value for name, value in part.items() if name != "cache_control"} for part in content if isinstance(part, dict)]
        texts = [part.get("text") for part in parts]
        content = texts[0] if len(parts) == 1 and parts[0].get("type") == "text" else parts
    return orjson.dumps([message.get("role"), content, message.get("tool_calls"), message.get("tool_call_id")], default=str)
