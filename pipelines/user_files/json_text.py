"""Rows of JSON text: an object a line, objects over several lines, a list of objects, or an object that holds such a list."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import ImportRefused

WRAPPERS = ("data", "rows", "items", "records", "results", "logs", "observations")  # what APIs and exports call a list of rows
_DECODER = json.JSONDecoder()


def begins(text: str) -> bool:
    """Whether `text` begins with a whole JSON value."""
    try:
        _DECODER.raw_decode(text.lstrip())
    except ValueError:
        return False
    return True


def rows(path: Path, text: str) -> Iterator[Mapping[str, Any]]:
    """The objects in `text`, in order. Raises ImportRefused naming the row that is none."""
    number = 0
    every = list(values(path, text))
    for value in every:
        for row in _unwrapped(value, alone=len(every) == 1):
            number += 1
            if not isinstance(row, dict):
                raise ImportRefused(f"{path}: row {number} is a {type(row).__name__}.", next_step="Write an object for each row.")
            yield row


def values(path: Path, text: str) -> Iterator[Any]:
    """The JSON values that stand after each other in `text`. Raises ImportRefused naming the row that is none."""
    at, count = 0, 0
    while at < len(text):
        if text[at] in " \t\r\n":
            at += 1
            continue
        count += 1
        try:
            value, at = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as exc:
            raise ImportRefused(
                f"{path}: row {count} is not JSON ({exc.msg}, line {exc.lineno}).",
                next_step="Write an object a line, or a list of objects.",
            ) from exc
        except ValueError as exc:  # a whole number of thousands of digits
            raise ImportRefused(f"{path}: row {count} has a number that is too long.", next_step="Write such numbers as text.") from exc
        except RecursionError as exc:
            raise ImportRefused(f"{path}: row {count} is nested too deeply.", next_step="Write an object a line.") from exc
        yield value


def _unwrapped(value: Any, *, alone: bool) -> list[Any]:
    """The rows of one JSON value: a list's items, those of a list that is wrapped in a file's only object, or the value itself."""
    if isinstance(value, list):
        return value
    if alone and isinstance(value, dict):
        for name in WRAPPERS:
            inner = value.get(name)
            if isinstance(inner, list) and inner and all(isinstance(each, dict) for each in inner):
                return inner
    return [value]
