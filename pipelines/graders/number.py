"""Grader `number`: the number an answer ends on equals the reference, however either is written."""

import re
from fractions import Fraction

from pipelines.graders.final_answer import final_answer
from pipelines.graders.query import Query

VERSION = "1"
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,60})(?:\.\d{1,60})?|\.\d{1,60}"
_SIGN = r"(?:(?<![\w.)\]])[-+])?"
_NUMBER = re.compile(
    rf"(?P<sign>{_SIGN})\s?(?:[$€£¥]\s?(?P<minus>-?))?"
    rf"(?:\\[dt]?frac\{{(?P<top>\d{{1,60}})\}}\{{(?P<bottom>\d{{1,60}})\}}"
    rf"|(?P<whole>\d{{1,60}})\s+(?P<part>\d{{1,20}}/\d{{1,20}})"
    rf"|(?P<value>{_DIGITS})(?:\s?/\s?(?P<over>\d{{1,60}})(?![\d/])|(?P<power>(?:[eE]|\s?(?:×|x|\\times|\*)\s?10\^)\{{?[-+]?\d{{1,3}})\}}?(?!\d))?)"
    r"(?P<percent>\s?\\?%)?"
)
_TOLERANCE = Fraction(1, 10_000)  # relative, for a reference that is not a whole number: 0.3333 is 1/3


def grade(answer: str, query: Query) -> float:
    """1 where the answer's number equals the reference, else 0; `25%` equals 25 and 0.25."""
    references = numbers_in(query.reference)
    if len(references) != 1:
        raise query.failed(f"reference {query.reference!r} is not one number")
    values = answered(answer)
    return float(values is not None and any(_same(value, target) for value in values for target in references[0]))


def answered(answer: str) -> tuple[Fraction, ...] | None:
    """The readings of the number the answer ends on: of its marked final answer if there is one, else the last in the text."""
    marked = final_answer(answer)
    if marked is not None:
        after_equals = numbers_in(marked.rsplit("=", 1)[-1]) or numbers_in(marked)
        if after_equals:
            return after_equals[0]
    numbers = numbers_in(answer)
    return numbers[-1] if numbers else None


def numbers_in(text: str) -> list[tuple[Fraction, ...]]:
    """Every number of `text` in order, each as its readings (a percentage has two)."""
    readings = (_readings(match) for match in _NUMBER.finditer(text.replace("−", "-").replace("–", "-")))
    return [reading for reading in readings if reading]


def _readings(match: re.Match[str]) -> tuple[Fraction, ...]:
    """The values a match stands for; none for a division by zero."""
    try:
        value = _value(match)
    except ZeroDivisionError:
        return ()
    if "-" in match["sign"] + (match["minus"] or ""):
        value = -value
    return (value, value / 100) if match["percent"] else (value,)


def _value(match: re.Match[str]) -> Fraction:
    """The unsigned value of a match. Exponents are capped at three digits, so no answer can ask for a gigabyte of digits."""
    if match["top"]:
        return Fraction(int(match["top"]), int(match["bottom"]))
    if match["whole"]:
        return int(match["whole"]) + Fraction(match["part"])
    value = Fraction(match["value"].replace(",", ""))
    if match["over"]:
        return value / int(match["over"])
    if match["power"]:
        exponent = re.search(r"[-+]?\d+$", match["power"])
        return value * Fraction(10) ** int(exponent[0]) if exponent else value
    return value


def _same(value: Fraction, target: Fraction) -> bool:
    """Equal; for a target that is not whole, equal within the tolerance."""
    return value == target or (target.denominator != 1 and abs(value - target) <= abs(target) * _TOLERANCE)
