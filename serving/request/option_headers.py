"""Options of a request in its headers, for clients that send no further fields: `x-routemoa-budget-usd: 0.01`."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers

from serving.errors import RequestRefused

PREFIX = "x-routemoa-"
# Header -> how its text is read as the option of the same name in `serving.request.protocol.RequestOptions`.
READ: Mapping[str, Any] = {
    "budget-usd": float,
    "deadline-s": float,
    "k": int,
    "max-layers": int,
    "aggregation": str,
    "data-policy": lambda text: [each.strip() for each in text.split(",")],
    "explain": lambda text: {"true": True, "false": False}[text.lower()],
    "domain": str,
    "explore": lambda text: {"true": True, "false": False}[text.lower()],
}


def with_header_options(chat: dict[str, Any], headers: Headers) -> dict[str, Any]:
    """The chat request with the options in `headers` under `routemoa`. What the body says itself stands.

    Raises RequestRefused for a header that cannot be read; a value out of bounds is refused with the body's.
    """
    options: dict[str, Any] = {}
    for name, read in READ.items():
        text = headers.get(PREFIX + name)
        if text is not None:
            try:
                options[name.replace("-", "_")] = read(text)
            except (KeyError, ValueError) as exc:
                what = f"The header {PREFIX}{name} is {text[:40]!r}, which cannot be read."
                raise RequestRefused(what, next_step=f"Send what routemoa.{name.replace('-', '_')} may be.", param=PREFIX + name) from exc
    body = chat.get("routemoa")
    if not options or not isinstance(body, dict | None):
        return chat
    return {**chat, "routemoa": {**options, **(body or {})}}
