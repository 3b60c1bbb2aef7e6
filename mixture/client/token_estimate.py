"""How many tokens a text is, where nobody counted: rounded up, since budgets must hold."""

import math
from typing import Any

import orjson

ASCII_PER_TOKEN = 4  # characters of English text
BYTES_PER_TOKEN = 3  # of UTF-8 beyond ASCII: a token for each character of the scripts that are written without spaces
_BEYOND_ASCII = bytes(range(128, 256))


def text_tokens(text: str) -> int:
    """Of a text in any script."""
    if text.isascii():
        return math.ceil(len(text) / ASCII_PER_TOKEN)
    written = text.encode(errors="replace")
    plain = len(written.translate(None, delete=_BEYOND_ASCII))
    return math.ceil(plain / ASCII_PER_TOKEN + (len(written) - plain) / BYTES_PER_TOKEN)


def content_tokens(content: Any) -> int:
    """Of a message's content or a field of the request as its JSON has it; the parts that are media are the caller's to leave out."""
    if content is None:
        return 0
    return text_tokens(content if isinstance(content, str) else orjson.dumps(content, default=str).decode())
