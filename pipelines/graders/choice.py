"""Grader `choice`: the option an answer picks, by letter, place or text, is the reference; two picks are none."""

from mixture.reading.picks import LETTERS, picked
from pipelines.graders.query import Query

VERSION = "2"


def grade(answer: str, query: Query) -> float:
    """1 where the picked option is the reference letter, else 0: also where the answer picks none or several."""
    letters = letters_of(query)
    reference = query.reference.strip().upper()
    if reference not in letters:
        raise query.failed(f"reference {query.reference!r} is none of the letters {letters}")
    return float(picked(answer, query.choices, letters) == reference)


def letters_of(query: Query) -> str:
    """A letter an option; a query whose options are only in its text may have any."""
    return LETTERS[: len(query.choices) or len(LETTERS)]
