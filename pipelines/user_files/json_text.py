"""Rows of JSON text: an object a line, objects over several lines, a list of objects, or an object that holds such a list."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from pipelines.errors import ImportRefused

WRAPPERS = ("data", "rows", "items", "records", "results", "logs", "observations")  # what APIs and exports call a list of rows
CHUNK = 1 << 18  # characters that are read at once
TAIL = 16  # characters of the longest word of JSON, and some
_DECODER = json.JSONDecoder()
_SPACES = re.compile(r"[ \t\r\n]*")


def begins(start: str) -> bool:
    """Whether a text that begins with `start` begins with a whole JSON value, as far as can be seen."""
    text = start.lstrip()
    try:
        _DECODER.raw_decode(text)
    except json.JSONDecodeError as exc:
        return len(start) > TAIL and _cut(exc, len(text))
    except ValueError:
        return False
    return True


def rows(path: Path, stream: TextIO) -> Iterator[Mapping[str, Any]]:
    """The objects of a text, in order, as they are read. Raises ImportRefused naming the row that is none."""
    every = _items(path, stream)
    head = list(islice(every, 2))
    alone = len(head) == 1 and not head[0][0]
    values = _unwrapped(head[0][1]) if alone else (value for _, value in chain(head, every))
    for number, row in enumerate(values, start=1):
        if not isinstance(row, dict):
            raise ImportRefused(f"{path}: row {number} is a {type(row).__name__}.", next_step="Write an object for each row.")
        yield row


def values(path: Path, stream: TextIO) -> Iterator[Any]:
    """The JSON values that stand after each other in a text, each whole. Raises ImportRefused naming the one that is none."""
    text, count = _Text(path, stream), 0
    while text.ahead():
        count += 1
        yield text.value(count)


def _items(path: Path, stream: TextIO) -> Iterator[tuple[bool, Any]]:
    """Each value of a text, or of a list that stands in it; and whether it is of a list."""
    text, count = _Text(path, stream), 0
    while mark := text.ahead():
        count += 1
        if mark != "[":
            yield False, text.value(count)
            continue
        text.at += 1
        mark = text.ahead()
        while mark != "]":
            yield True, text.value(count)
            count += 1
            mark = text.ahead()
            if mark not in {",", "]"}:
                raise _no_json(path, count, "a list that does not end", text.line(text.at), ends=not mark)
            if mark == ",":
                text.at += 1
                text.ahead()
        text.at += 1


class _Text:
    """A text of JSON values that is read as it is needed. at: where in the buffer the next one begins."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self.at = 0
        self._path, self._stream = path, stream
        self._buffer, self._lines = "", 0

    def ahead(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            self.at = _SPACES.match(self._buffer, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self._buffer) or not self._more():
                return self._buffer[self.at : self.at + 1]

    def value(self, row: int) -> Any:
        """The value that is ahead. Raises ImportRefused."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self.at)
            except json.JSONDecodeError as exc:
                if _cut(exc, len(self._buffer)) and self._more():
                    continue
                ends = _cut(exc, len(self._buffer.rstrip()))
                raise _no_json(self._path, row, exc.msg, self.line(exc.pos), ends=ends) from exc
            except ValueError as exc:  # a whole number of thousands of digits
                raise ImportRefused(
                    f"{self._path}: row {row} has a number that is too long.", next_step="Write such numbers as text."
                ) from exc
            except RecursionError as exc:
                raise ImportRefused(f"{self._path}: row {row} is nested too deeply.", next_step="Write an object a line.") from exc
            if end == len(self._buffer) and isinstance(value, int | float) and self._more():
                continue  # its digits may go on
            self.at = end
            return value

    def line(self, at: int) -> int:
        """Of the text, from 1, where the buffer is at `at`."""
        return self._lines + self._buffer.count("\n", 0, at) + 1

    def _more(self) -> bool:
        """Reads on, as much again as there is, so that a long value is not parsed too often; whether anything came."""
        chunk = self._stream.read(max(CHUNK, len(self._buffer) - self.at))
        self._lines += self._buffer.count("\n", 0, self.at)
        self._buffer, self.at = self._buffer[self.at :] + chunk, 0
        return bool(chunk)


def _cut(exc: json.JSONDecodeError, size: int) -> bool:
    """Whether a text of `size` characters is wrong only because it ends."""
    return exc.msg.startswith("Unterminated string") or exc.pos >= size - TAIL


def _no_json(path: Path, row: int, what: str, line: int, *, ends: bool = False) -> ImportRefused:
    """ends: whether the text ends within the row."""
    cut_off = f"The file may be cut off: fetch it again, or leave its last line out: head -n -1 {path}"
    return ImportRefused(
        f"{path}: row {row} is not JSON ({what}, line {line}).",
        next_step=cut_off if ends else "Write an object a line, or a list of objects.",
    )


def _unwrapped(value: Any) -> list[Any]:
    """The rows of a file's only JSON value: those of a list that is wrapped in it, or the value itself."""
    for name in WRAPPERS if isinstance(value, dict) else ():
        inner = value.get(name)
        if isinstance(inner, list) and inner and all(isinstance(each, dict) for each in inner):
            return inner
    return [value]
