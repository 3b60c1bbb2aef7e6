"""Grader `number`: the number an answer gives equals the reference, however either is written."""

from fractions import Fraction

from mixture.reading.numbers import Value
from mixture.reading.numeric import Number, number_of, read
from pipelines.graders.query import Query

VERSION = "2"
_TOLERANCE = Fraction(1, 10_000)  # relative, for a reference that is not a whole number: 0.3333 is 1/3


def grade(answer: str, query: Query) -> float:
    """1 where the answer's number equals the reference, else 0; `25%` equals 25 and 0.25; `20 m` is not `20 cm`."""
    reference = read(query.reference)
    if reference is None:
        raise query.failed(f"reference {query.reference!r} is not one number")
    number = number_of(answer)
    return float(
        number is not None
        and _units_agree(number, reference)
        and any(_same(value, target) for value in number.readings for target in reference.readings)
    )


def _same(value: Value, target: Value) -> bool:
    """Equal; for a target that is not whole, equal within the tolerance."""
    if isinstance(value, str) or isinstance(target, str):
        return value == target
    return value == target or (target.denominator != 1 and abs(value - target) <= abs(target) * _TOLERANCE)


def _units_agree(number: Number, reference: Number) -> bool:
    """Whether no other unit is named than the reference's, where both name one; a percentage equals its share."""
    return "%" in {number.unit, reference.unit} or not number.unit or not reference.unit or number.unit == reference.unit
