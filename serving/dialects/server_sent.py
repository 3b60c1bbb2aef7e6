"""Server-sent events, as bytes."""

from collections.abc import Mapping
from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"


def event(content: Mapping[str, Any], name: str = "") -> bytes:
    """One server-sent event; named where its dialect names events."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n\n"
