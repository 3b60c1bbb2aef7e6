"""Grader `choice`: the option an answer picks, by letter or by its text, is the reference; two picks are none."""

import re
from collections.abc import Sequence

from pipelines.graders.final_answer import final_answer, lines_of
from pipelines.graders.normalise import has_phrase, normalise
from pipelines.graders.query import Query

VERSION = "1"
LONGEST_MENTION = 300  # characters: a longer text that names one option in passing has not picked it
_ONLY = re.compile(r"^\W*(?:option|choice)?\W*([A-Za-z])\W*$", re.IGNORECASE)
_LEADING = re.compile(r"^\W*(?:(?:option|choice)\s+\(?([A-Za-z])\)?(?!\w)|\(([A-Za-z])\)|([A-Z])(?:[).:,;\]*]|\s+[-–—]|[ \t]*(?:\n|$)))")
_LETTERED = re.compile(r"^\W*([A-Z])[).:]\s", re.MULTILINE)
_BRACKETED = re.compile(r"\(([A-Z])\)|\b(?:option|choice)\s+([A-Z])\b")


def grade(answer: str, query: Query) -> float:
    """1 where the picked option is the reference letter, else 0: also where the answer picks none or several."""
    letters = letters_of(query)
    reference = query.reference.strip().upper()
    if reference not in letters:
        raise query.failed(f"reference {query.reference!r} is none of the letters {letters}")
    return float(picked(answer, query.choices, letters) == reference)


def letters_of(query: Query) -> str:
    """A letter an option; a query whose options are only in its text may have any."""
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(query.choices) or 26]


def picked(answer: str, choices: Sequence[str], letters: str) -> str | None:
    """The one letter the answer picks: in its marked final answer if that picks any, else in the whole of it, else in its last line.

    Who only writes the options down again picks none.
    """
    lines = lines_of(answer)
    if not lines:
        return None
    options = {letter: normalise(option) for letter, option in zip(letters, choices, strict=False)}
    marked = _picks(final_answer(answer) or "", options, letters)
    if marked:
        tried = [marked]
    elif len(set(_LETTERED.findall(answer)) & set(letters)) > 1:
        tried = [_picks(lines[-1], {}, letters)] if _ONLY.match(lines[-1]) else []
    else:
        tried = [_picks(segment, options, letters) for segment in (answer.strip(), lines[-1])]
    return next((next(iter(picks)) for picks in tried if len(picks) == 1), None)


def _picks(segment: str, options: dict[str, str], letters: str) -> set[str]:
    """All letters that a piece of an answer picks."""
    bracketed = {letter for groups in _BRACKETED.findall(segment) for letter in groups if letter and letter in letters}
    match = _ONLY.match(segment) or _LEADING.match(segment)
    letter = next(group for group in match.groups() if group).upper() if match else ""
    if match is None or letter not in letters:
        return _named(segment, options) or bracketed
    rest, own = normalise(segment[match.end() :].split("\n", maxsplit=1)[0]), options.get(letter, "")
    if letter in bracketed and rest and not (own and rest.startswith(own)):
        return bracketed  # "(A) is tempting, but (C)" only talks about A
    return {letter} | {other for other, option in options.items() if option and rest == option}


def _named(segment: str, options: dict[str, str]) -> set[str]:
    """The letters of the options whose text is the segment, or occurs in it and in no longer option that occurs too."""
    text = normalise(segment)
    same = {letter for letter, option in options.items() if option and option == text}
    if same:
        return same
    if len(text) > LONGEST_MENTION:
        return set()
    there = {letter: option for letter, option in options.items() if has_phrase(text, option)}
    return {
        letter
        for letter, option in there.items()
        if not any(len(longer) > len(option) and has_phrase(longer, option) for longer in there.values())
    }
