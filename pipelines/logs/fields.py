"""The fields of one row of a log, checked as they are read: what cannot be read is a complaint with its row and field, never a guess."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipelines.user_files.refusals import Complaint

MOST_TOKENS = 10**12
MOST_USD = 10**9
MOST_SECONDS = 10**7
FIRST, LAST = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2015, 2100))  # of a log of LLMs
EPOCHS = (1.0, 1e3, 1e6, 1e9)  # seconds, milliseconds, microseconds, nanoseconds: only one of them is such a year


class Fields:
    """Reads a row by any spelling of a name: case, `_`, `-` and `.` are folded. What was read is not `rest`."""

    def __init__(self, number: int, cells: Mapping[str, Any], complaints: list[Complaint], within: str = "") -> None:
        self.number = number
        self._cells = cells
        self._complaints = complaints
        self._prefix = within
        self._by_name = {fold(name): name for name in reversed(list(cells))}
        self._read: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._cells)

    def has(self, *names: str) -> bool:
        """Whether one of these fields is there, though it may be empty."""
        return any(fold(name) in self._by_name for name in names)

    def raw(self, *names: str) -> Any:
        """The value of the first of these fields that has one; None where none has. An empty text is no value."""
        return self._first(names)[1]

    def text(self, *names: str) -> str | None:
        """A text, or a number as text; half characters are repaired."""
        name, value = self._first(names)
        if value is None or isinstance(value, str):
            return repaired(value) if value is not None else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        self.complain(name, value, "is no text")
        return None

    def count(self, *names: str) -> int | None:
        """A whole number of tokens or requests."""
        name, value = self._first(names)
        number = self._number(name, value)
        if number is not None and (number != int(number) or not 0 <= number <= MOST_TOKENS):
            self.complain(name, value, "is no whole number from 0 on")
            return None
        return None if number is None else int(number)

    def usd(self, *names: str) -> float | None:
        """US dollars, not negative."""
        return self._amount(names, MOST_USD, "is no amount of US dollars")

    def seconds(self, *names: str, per_second: float = 1.0) -> float | None:
        """A duration in seconds, of a field that counts `per_second` of them."""
        found = self._amount(names, MOST_SECONDS * per_second, "is no duration")
        return None if found is None else found / per_second

    def within(self, name: str, low: float, high: float) -> float | None:
        """A number from `low` to `high`; yes and no are 1 and 0."""
        theirs, value = self._first((name,))
        number = self._number(theirs, float(value) if isinstance(value, bool) else value)
        return number if number is None or low <= number <= high else self._none(theirs, value, f"is not within {low:g} and {high:g}")

    def when(self, *names: str) -> datetime | None:
        """A time: ISO 8601 (UTC where it names no zone), or since 1970 in s, ms, µs or ns."""
        name, value = self._first(names)
        if value is None:
            return None
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        try:
            since = float(value)
        except (TypeError, ValueError):
            since = math.nan
        for unit in EPOCHS:
            if FIRST <= since / unit < LAST:
                return datetime.fromtimestamp(since / unit, UTC)
        try:
            parsed = datetime.fromisoformat(value.strip())
            moment = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, AttributeError, OverflowError):
            self.complain(name, value, "is no time such as 2026-05-01T12:00:00Z")
            return None
        return moment if FIRST <= moment.timestamp() < LAST else self._none(name, value, "is no time of this century")

    def mapping(self, *names: str) -> "Fields":
        """The fields of an object, which may be the text of one; none of them where there is none."""
        name, value = self._first(names)
        if isinstance(value, str):
            value = loaded(value)
        if value is not None and not isinstance(value, dict):
            self.complain(name, value, "is no object")
        inner = value if isinstance(value, dict) else {}
        return Fields(self.number, inner, self._complaints, f"{self._prefix}{name}.")

    def items(self, *names: str) -> list[Any]:
        """A list, which may be the text of one; empty where there is none."""
        name, value = self._first(names)
        if isinstance(value, str):
            value = loaded(value)
        if value is None or isinstance(value, list):
            return value or []
        self.complain(name, value, "is no list")
        return []

    def rest(self) -> dict[str, Any]:
        """The fields that have a value and that nothing has read."""
        return {str(name): value for name, value in self._cells.items() if name not in self._read and value not in (None, "", [], {})}

    def complain(self, name: str, value: object, reason: str) -> None:
        """Notes that the field `name` cannot be read."""
        shown = repaired(value) if isinstance(value, str) else type(value).__name__ if isinstance(value, dict | list) else str(value)[:60]
        self._complaints.append((self.number, f"{self._prefix}{name}", f"{reason} (found {shown[:60]!r})"))

    def _none(self, name: str, value: object, reason: str) -> Any:
        """No value, with a complaint."""
        self.complain(name, value, reason)

    def _first(self, names: tuple[str, ...]) -> tuple[str, Any]:
        for name in names:
            theirs = self._by_name.get(fold(name))
            if theirs is None:
                continue
            self._read.add(theirs)
            value = self._cells[theirs]
            if value is not None and value != "" and not (isinstance(value, float) and math.isnan(value)):
                return str(theirs), value
        return names[0], None

    def _amount(self, names: tuple[str, ...], most: float, reason: str) -> float | None:
        name, value = self._first(names)
        number = self._number(name, value)
        return number if number is None or 0 <= number <= most else self._none(name, value, reason)

    def _number(self, name: str, value: Any) -> float | None:
        if value is None:
            return None
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        return number if math.isfinite(number) else self._none(name, value, "is not a number")


def fold(name: object) -> str:
    """A field's name without case and what separates its words."""
    return str(name).casefold().translate({ord(each): None for each in "_-. "})


def loaded(text: str) -> Any:
    """What `text` is as JSON; the text itself where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def repaired(text: str) -> str:
    """`text` as it can be stored: half a character, as text that was cut ends with, is U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
