"""Grader `number`: the number an answer gives equals the reference, however either is written."""

from fractions import Fraction

from mixture.reading.numbers import Value
from mixture.reading.numeric import Number, number_of, read
from pipelines.graders.query import Query

VERSION = "2"
_TOLERANCE = Fraction(1, 10_000)  # relative, for a reference that is not a whole number: 0.3333 is 1/3


def grade(answer: str, query: Query) -> float:
    """1 where the answer's number equals the reference, else 0; `25%` equals 25 and 0.25; `20 m` is not `20 cm`."""
    wanted = read(query.reference)
    if wanted is None:
        raise query.failed(f"reference {query.reference!r} is not one number")
    found = number_of(answer)
    return float(
        found is not None
        and _units_agree(found, wanted)
        and any(_same(value, target) for value in found.readings for target in wanted.readings)
    )


def _same(value: Value, target: Value) -> bool:
    """Equal; for a target that is not whole, equal within the tolerance."""
    if isinstance(value, str) or isinstance(target, str):
        return value == target
    return value == target or (target.denominator != 1 and abs(value - target) <= abs(target) * _TOLERANCE)


def _units_agree(found: Number, wanted: Number) -> bool:
    """Whether no other unit is named than the reference's, where both name one; a percentage equals its share."""
    return "%" in {found.unit, wanted.unit} or not found.unit or not wanted.unit or found.unit == wanted.unit
