"""Grader `exact`: the answer, what it marks as its final answer, or the one thing it quotes equals the reference."""

import re

from pipelines.graders.final_answer import final_answer
from pipelines.graders.normalise import normalise
from pipelines.graders.query import Query

VERSION = "1"
LONGEST_SENTENCE = 300  # characters: a longer text that quotes one thing has not answered with it
_QUOTED = re.compile(r"```[^\n`]*\n(.+?)```|`([^`\n]+)`|\"([^\"\n]+)\"|“([^”\n]+)”", re.DOTALL)


def grade(answer: str, query: Query) -> float:
    """1 where one of these equals the reference but for spacing, quotes, a full stop and case, else 0.

    Case counts where the query itself has the reference in another case: what `'ab'.upper()` gives is not `ab`.
    """
    fold = not _asked_about_case(query)
    reference = normalise(query.reference, fold=fold)
    if not reference:
        raise query.failed(f"empty reference {query.reference!r}")
    readings = {normalise(text, fold=fold) for text in (answer, final_answer(answer) or "")}
    return float(reference in readings or {normalise(text, fold=fold) for text in _quoted(answer)} == {reference})


def _quoted(answer: str) -> list[str]:
    """What a short answer quotes, as in `This prints "ab"`."""
    matches = _QUOTED.findall(answer) if len(answer) <= LONGEST_SENTENCE else []
    return [text for groups in matches for text in groups if text]


def _asked_about_case(query: Query) -> bool:
    """Whether the query's text holds the reference in another case only."""
    reference = query.reference.strip()
    return reference not in query.text and reference.casefold() in query.text.casefold()
