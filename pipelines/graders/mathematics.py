"""Grader `math`: the expression an answer gives is mathematically the reference: LaTeX, sets, intervals, tuples (by math-verify)."""

import logging
from typing import Any

from mixture.reading.final_answer import body, statements_in
from mixture.reading.manner import is_refusal, meant, without_closing
from mixture.reading.numeric import number_of, read
from pipelines.graders import number
from pipelines.graders.query import Query

VERSION = "1"
LONGEST = 2_000  # characters of one expression


def grade(answer: str, query: Query) -> float:
    """1 where the stated final answer, or all of an answer that states none, equals the reference as an expression, else 0."""
    reference = _parsed(query.reference)
    if not reference:
        raise query.failed(f"reference {query.reference!r} is no expression that can be read")
    if read(query.reference) is not None and number_of(answer) is not None:
        return number.grade(answer, query)
    text = _expression(answer)
    return float(bool(text) and _equal(reference, _parsed(text)))


def _expression(answer: str) -> str:
    """The last stated final answer, else the last line; "" where there is none."""
    text = body(answer)
    stated = statements_in(text)
    if stated:
        return (meant(stated[-1].text) or "")[:LONGEST]
    lines = without_closing(text).strip().splitlines()
    return "" if is_refusal(text) or not lines else lines[-1][:LONGEST]


def _parsed(text: str) -> list[Any]:
    """What math-verify reads `text` as: LaTeX, whether it says so or not. The grading process keeps the time, not math-verify."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    bare = (text.replace("$", "") if text.count("$") % 2 else text).strip().strip(".").strip()
    latex = bare if "$" in bare or "\\boxed" in bare else f"${bare}$"
    return list(parse(latex, [LatexExtractionConfig(), ExprExtractionConfig()], parsing_timeout=None))


def _equal(reference: list[Any], answer: list[Any]) -> bool:
    from math_verify import verify

    return bool(answer) and bool(verify(reference, answer, timeout_seconds=None))
