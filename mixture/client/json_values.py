"""JSON that others wrote, read for what is needed: a value of the wrong kind counts as one that was not sent."""

import json
import math
from typing import Any

import orjson

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def parsed(content: bytes) -> Any:
    """The JSON in `content`, also where it is not quite: NaN and Infinity are null, half a surrogate pair and bad UTF-8 are U+FFFD.

    Raises ValueError where it is no JSON, or nested so deeply that it could not be passed on.
    """
    content = content.removeprefix(_BYTE_ORDER_MARK)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        try:
            tree = json.loads(content.decode(errors="replace"), parse_constant=lambda _: None, parse_float=_finite)
            return orjson.loads(json.dumps(tree, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        except RecursionError:
            raise exc from None


def mapping(value: Any) -> dict[str, Any]:
    """`value`, empty where it is no object."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[dict[str, Any]]:
    """The objects in the list `value`."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """`value`, None where it is no text or an empty one."""
    return value if isinstance(value, str) and value else None


def count(value: Any, most: int) -> int | None:
    """A whole number from 0 to `most`, written as a number or in digits."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or value != int(value):
        return None
    return int(value)


def number(value: Any) -> float | None:
    """A finite number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None
