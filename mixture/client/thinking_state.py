"""What a caller keeps for the LLM that thought: our envelope in the place of a signature, which names that LLM and has its own state.

A thinking block of any vendor leaves with it and comes back with it. Only the LLM in the envelope gets the state back, unchanged.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from mixture.client.json_values import mapping, mappings

PREFIX = "routemoa."
# Of a message in the chat dialect, by the gateways that have them: lists of blocks with signatures, or encrypted.
SIGNED = ("thinking_blocks", "reasoning_details")
TEXTS = ("reasoning_content", "reasoning")  # what was thought, as endpoints name it


@dataclass(frozen=True, slots=True)
class ThinkingState:
    """llm: the maker's id. signature: its own, where it speaks this dialect. fields: of SIGNED. text: of TEXTS, the one it used; or ""."""

    llm: str
    signature: str = ""
    fields: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    text: str = ""

    def sealed(self) -> str:
        """The envelope: base64, so that no client reads anything into it."""
        content = {"llm": self.llm, "signature": self.signature, "fields": dict(self.fields), "text": self.text}
        return PREFIX + base64.urlsafe_b64encode(orjson.dumps(content)).decode()


def opened(envelope: str) -> ThinkingState | None:
    """What `sealed` wrote; None of anything else, such as a signature that another server gave."""
    if not envelope.startswith(PREFIX):
        return None
    try:
        tree = orjson.loads(base64.b64decode(envelope.removeprefix(PREFIX), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(tree, dict) or not all(isinstance(tree.get(name), str) for name in ("llm", "signature", "text")):
        return None
    fields = signed_in(mapping(tree.get("fields")))
    return ThinkingState(tree["llm"], tree["signature"], fields, tree["text"] if tree["text"] in TEXTS else "")


def signed_in(message: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What a message in the chat dialect, or a delta of one, has of SIGNED; what is no list of objects counts as not sent."""
    return {name: blocks for name in SIGNED if (blocks := mappings(message.get(name)))}
