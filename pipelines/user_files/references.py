"""What a query's reference is to its grader: a letter, a list of phrases or a mapping, from what users write."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mixture.reading.picks import LETTERS
from mixture.reading.text import normalise

ONE_OF = "contains"  # takes any of several phrases
PACKED = frozenset({"unit_tests", "verifier"})  # take a mapping
TESTS = ("prompt", "entry_point", "test")
_LETTER = re.compile(r"[(\[]?([A-Za-z])[)\].:]?")


def of_grader(grader: str, reference: Any, choices: Sequence[tuple[str, str]]) -> str | None:
    """`reference` as the pool stores it for `grader`. choices: (label, text). Raises ValueError, in words, where it can be none."""
    if reference is None:
        return None
    if grader == "choice":
        return _letter(_single(reference), choices)
    if grader == ONE_OF:
        return json.dumps(_phrases(reference), ensure_ascii=False)
    if grader in PACKED and isinstance(reference, dict | list):
        reference = json.dumps(reference, ensure_ascii=False, sort_keys=True)
    if grader == "unit_tests":
        _require_tests(reference)
    return _single(reference)


def _single(reference: Any) -> str:
    if isinstance(reference, list) and len(reference) == 1 and isinstance(reference[0], str | int | float):
        reference = str(reference[0])
    if isinstance(reference, list | dict):
        kind = "list" if isinstance(reference, list) else "mapping"
        raise ValueError(f"is a {kind}; its grader takes one text ('{ONE_OF}' takes several)")  # noqa: TRY004 - one kind of error here
    return str(reference)


def _phrases(reference: Any) -> list[str]:
    """The acceptable phrases: a list, the JSON of one, or one phrase by itself, which may begin with a bracket."""
    if isinstance(reference, str) and reference.lstrip().startswith("["):
        with suppress(ValueError):
            reference = json.loads(reference)
    phrases = reference if isinstance(reference, list) else [reference]
    if not phrases or not all(isinstance(each, str | int | float) and not isinstance(each, bool) for each in phrases):
        raise ValueError('is no phrase and no list of phrases such as ["red", "blue"]')
    return [str(each) for each in phrases]


def _letter(reference: str, choices: Sequence[tuple[str, str]]) -> str:
    """The letter of the option that `reference` names: by its label, as a letter, or by its own text."""
    text = reference.strip()
    readings = {place for place, (label, _) in enumerate(choices) if label and label.casefold() == text.casefold()}
    lettered = _LETTER.fullmatch(text)
    if not readings and lettered:
        readings = {LETTERS.index(lettered[1].upper())} & set(range(len(choices)))
    readings |= {place for place, (_, option) in enumerate(choices) if normalise(option) == normalise(text)}
    if len(readings) == 1:
        return LETTERS[readings.pop()]
    letters = f"{LETTERS[0]} to {LETTERS[len(choices) - 1]}"
    if readings:
        raise ValueError(
            f"{text!r} may be {' or '.join(LETTERS[place] for place in sorted(readings))}; write a letter that is no other option"
        )
    if text.isdigit():
        raise ValueError(f"{text!r} is a place, which some count from 0 and some from 1; write the letter, {letters}, or the option's text")
    raise ValueError(f"{text!r} is none of the letters {letters} and no option's text")


def _require_tests(reference: str) -> None:
    try:
        parsed = json.loads(reference)
    except ValueError as exc:
        raise ValueError(f"is not JSON ({exc}); grader 'unit_tests' needs {', '.join(TESTS)}") from exc
    missing = [key for key in TESTS if not isinstance(parsed, dict) or not isinstance(parsed.get(key), str)]
    if missing:
        raise ValueError(f"has no {' or '.join(missing)}; grader 'unit_tests' needs {', '.join(TESTS)}")
