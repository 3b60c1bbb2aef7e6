"""Grader `contains`: any acceptable phrase (reference: a JSON list of strings) occurs, as whole words, where the answer answers."""

from mixture.reading.final_answer import body, lines_of, statements_in
from mixture.reading.manner import is_denied, is_hedged, is_refusal, meant, sentences, without_closing
from mixture.reading.notation import plain
from mixture.reading.numbers import prepared, quantities
from mixture.reading.numeric import read
from mixture.reading.text import loose, normalise, occurrences
from pipelines.graders.query import Query

VERSION = "2"
LONGEST_SENTENCE = 300  # characters: a longer text mentions much in passing


def grade(answer: str, query: Query) -> float:
    """1 where an acceptable phrase is asserted in the stated final answer; without one, in a short answer or at the ends of a long one.

    A phrase that is denied there ("not Tokyo"), or one of several that the sentence leaves open, is not asserted.
    """
    phrases = [phrase for phrase in query.json_reference(list) if isinstance(phrase, str)]
    if not any(map(normalise, phrases)):
        raise query.failed(f"reference {query.reference!r} lists no phrase")
    return float(any(_asserts(segment, phrase) for segment in _answering(answer) for phrase in phrases))


def _answering(answer: str) -> list[str]:
    """The sentences of an answer that answer."""
    text = body(answer)
    stated = statements_in(text)
    if stated:
        return [meant(stated[-1].text) or ""]
    if is_refusal(text):
        return []
    text = without_closing(text)
    if len(text) <= LONGEST_SENTENCE:
        return [text, *sentences(text)] if not any(map(is_hedged, sentences(text))) else sentences(text)
    parts = sentences(text)
    return [*parts[:1], (lines_of(text) or [""])[-1]] if "\n" in text.strip() else [*parts[:1], *parts[-1:]]


def _asserts(segment: str, phrase: str) -> bool:
    """Whether `segment` asserts `phrase`; accents, hyphens and the like are form."""
    if is_hedged(segment):
        return normalise(segment) == normalise(phrase)
    forms = (
        (normalise(segment), normalise(phrase)),
        (normalise(plain(segment)), normalise(phrase)),
        (loose(plain(segment)), loose(plain(phrase))),
    )
    for form, reference in forms:
        if any(not is_denied(form, *span) for span in occurrences(form, reference)):
            return True
    return _asserts_number(prepared(segment), phrase)


def _asserts_number(segment: str, phrase: str) -> bool:
    """Whether `segment` asserts the number that `phrase` is, written otherwise: 37.0 is 37."""
    reference = read(phrase) if phrase.strip()[-1:].isdigit() else None
    return reference is not None and any(
        set(each.readings) & set(reference.readings) and not is_denied(segment, each.start, each.end) for each in quantities(segment)
    )
