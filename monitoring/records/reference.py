"""A reference: the right answer to a served query, as an audit reports it, with the grader that checks any LLM's answer by it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mixture.reading import numeric
from mixture.reading.picks import LETTERS
from mixture.reading.text import normalise
from monitoring.errors import ReferenceRefused
from monitoring.records.redaction import redact
from scorer.near_matches import did_you_mean

LONGEST_NUMBER = 200  # characters: a server checks it between other requests


@dataclass(frozen=True, slots=True)
class Reference:
    """`text` in the form that `grader` reads (one of GRADERS); `choices`: the options of a query that has some, else ()."""

    grader: str
    text: str
    choices: tuple[str, ...] = ()


def check(reference: Reference) -> None:
    """Raises ReferenceRefused, which names the field, where the grader could not check an answer by it."""
    name, options = reference.grader, len(reference.choices)
    if name not in GRADERS:
        what = f"No grader that needs a reference alone is called {name!r}."
        raise ReferenceRefused(what, next_step=did_you_mean(name, GRADERS), field="grader")
    if name == "choice" and options < 2:
        what = f"Grader 'choice' needs the query's options; choices holds {options}."
        raise ReferenceRefused(what, next_step="Send all of them, in their order.", field="choices")
    if name != "choice" and options:
        raise ReferenceRefused(f"Grader {name!r} reads no choices.", next_step="Leave them out, or name 'choice'.", field="choices")
    if complaint := GRADERS[name](reference):
        what = f"Grader {name!r} cannot check an answer by a reference that {complaint}."
        raise ReferenceRefused(what, next_step="Correct the reference.", field="reference")


def redacted(reference: Reference) -> Reference:
    """The reference as it is stored. Raises ReferenceRefused, also where its grader could not read what is left of it."""
    check(reference)
    kept = Reference(reference.grader, redact(reference.text), tuple(map(redact, reference.choices)))
    if GRADERS[kept.grader](kept):
        what = f"The reference is one that is not stored ({kept.text})."
        raise ReferenceRefused(what, next_step="Report the score alone.", field="reference")
    return kept


def _text(reference: Reference) -> str | None:
    return None if normalise(reference.text) else "is empty"


def _number(reference: Reference) -> str | None:
    is_number = len(reference.text) <= LONGEST_NUMBER and numeric.read(reference.text) is not None
    return None if is_number else "is not one number"


def _letter(reference: Reference) -> str | None:
    letters = LETTERS[: len(reference.choices)]
    letter = reference.text.strip().upper()
    return None if len(letter) == 1 and letter in letters else f"is none of the letters {letters}"


def _phrases(reference: Reference) -> str | None:
    try:
        phrases = json.loads(reference.text)
    except (ValueError, RecursionError):
        phrases = None
    is_list = isinstance(phrases, list) and phrases and all(isinstance(phrase, str) and normalise(phrase) for phrase in phrases)
    return None if is_list else 'is not a JSON list of phrases such as ["Oslo"]'


# Those of pipelines.graders that need only text and run no code of the reference; what each finds wrong with one
GRADERS: Mapping[str, Callable[[Reference], str | None]] = MappingProxyType(
    {"choice": _letter, "number": _number, "math": _text, "exact": _text, "contains": _phrases}
)
