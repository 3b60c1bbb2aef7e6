"""Grader `verifier`: a check of what an instruction asked for (reference: JSON `{"name": CHECK, ...arguments}`)."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from mixture.reading.final_answer import lines_of
from mixture.reading.text import has_phrase, normalise
from mixture.reading.thinking import spoken
from pipelines.graders import sql
from pipelines.graders.query import Query
from scorer.near_matches import near_matches

VERSION = "2"
_WORD = re.compile(r"[぀-ヿ㐀-鿿豈-﫿]|[^\W぀-ヿ㐀-鿿豈-﫿]+(?:['’\-][^\W぀-ヿ㐀-鿿豈-﫿]+)*")  # a letter of Chinese or Japanese counts as one
_BULLET = re.compile(r"^\s*(?:[-*•+–—]|\d+[.)])\s+\S")
_FENCED = re.compile(r"^```\w*\s*\n(.*?)\s*```$", re.DOTALL)


def grade(answer: str, query: Query) -> float:
    """The share of the reference's checks that the answer, without its thinking, passes: 1 or 0 for a single one."""
    reference = query.json_reference(dict)
    checks = reference.get("checks") if reference.get("name") == "all" else [reference]
    if not isinstance(checks, list) or not checks:
        raise query.failed(f"reference {query.reference[:80]!r} lists no check")
    return sum(_passes(spoken(answer), check, query) for check in checks) / len(checks)


def _passes(answer: str, check: Mapping[str, Any], query: Query) -> bool:
    """Whether one check holds. Raises GraderFailed for an unknown check or wrong arguments."""
    arguments = dict(check)
    name = str(arguments.pop("name", ""))
    if name not in CHECKS:
        near = near_matches(name, CHECKS) or sorted(CHECKS)
        raise query.failed(f"no check {name!r}; known are {', '.join(near)}")
    try:
        return bool(CHECKS[name](answer.strip(), **arguments))
    except TypeError as exc:
        raise query.failed(f"check {name!r} does not take {arguments} ({exc})") from exc


def _words(answer: str, *, count: int | None = None, at_least: int | None = None, at_most: int | None = None) -> bool:
    return _within(len(_WORD.findall(answer)), count, at_least, at_most)


def _lines(answer: str, *, count: int | None = None, at_least: int | None = None, at_most: int | None = None) -> bool:
    return _within(len(lines_of(answer)), count, at_least, at_most)


def _bullets(answer: str, *, count: int | None = None, at_least: int | None = None, at_most: int | None = None) -> bool:
    return _within(sum(bool(_BULLET.match(line)) for line in answer.splitlines()), count, at_least, at_most)


def _items(answer: str, *, separator: str = ",", count: int | None = None, at_least: int | None = None, at_most: int | None = None) -> bool:
    return _within(sum(bool(item.strip()) for item in answer.split(separator)), count, at_least, at_most)


def _within(number: int, count: int | None, at_least: int | None, at_most: int | None) -> bool:
    """Whether `number` satisfies every bound that is given; at least one must be."""
    if count is None and at_least is None and at_most is None:
        raise TypeError("it needs count, at_least or at_most")
    return (count is None or number == count) and (at_least is None or number >= at_least) and (at_most is None or number <= at_most)


def _contains(answer: str, *, phrases: list[str]) -> bool:
    return all(has_phrase(normalise(answer), normalise(phrase)) for phrase in phrases)


def _excludes(answer: str, *, phrases: list[str]) -> bool:
    return bool(answer) and not any(has_phrase(normalise(answer), normalise(phrase)) for phrase in phrases)


def _without_letter(answer: str, *, letter: str) -> bool:
    return bool(answer) and letter.casefold() not in answer.casefold()


def _matches(answer: str, *, pattern: str) -> bool:
    return re.fullmatch(pattern, answer, re.DOTALL) is not None


def _json_keys(answer: str, *, keys: list[str]) -> bool:
    parsed = _parsed(answer)
    return isinstance(parsed, dict) and set(parsed) == set(keys)


def _json_equals(answer: str, *, value: Any) -> bool:
    parsed = _parsed(answer)
    return parsed is not ... and _same(parsed, value)


def _parsed(answer: str) -> Any:
    """The JSON value an answer is, fenced or not; Ellipsis (which equals no JSON value) where it is none."""
    fenced = _FENCED.match(answer)
    try:
        return json.loads(fenced[1] if fenced else answer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return ...


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1.0 is 1, and true is not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _refuse(constant: str) -> None:
    """NaN and Infinity are no JSON."""
    raise ValueError(constant)


CHECKS: Mapping[str, Callable[..., bool]] = {
    "words": _words,
    "lines": _lines,
    "bullets": _bullets,
    "items": _items,
    "contains": _contains,
    "excludes": _excludes,
    "without_letter": _without_letter,
    "matches": _matches,
    "json_keys": _json_keys,
    "json_equals": _json_equals,
    "lower_case": lambda answer: any(map(str.isalpha, answer)) and answer == answer.lower(),
    "upper_case": lambda answer: any(map(str.isalpha, answer)) and answer == answer.upper(),
    "starts_with": lambda answer, *, phrase: answer.casefold().startswith(phrase.casefold()),
    "ends_with": lambda answer, *, phrase: answer.casefold().endswith(phrase.casefold()),
    "sql": sql.same_rows,
}
