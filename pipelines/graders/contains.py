"""Grader `contains`: any acceptable phrase (reference: a JSON list of strings) occurs, as whole words, where the answer answers."""

from pipelines.graders.final_answer import final_answer, lines_of
from pipelines.graders.normalise import has_phrase, normalise
from pipelines.graders.query import Query

VERSION = "1"
LONGEST_SENTENCE = 300  # characters: a longer text mentions much in passing


def grade(answer: str, query: Query) -> float:
    """1 where an acceptable phrase occurs in the marked final answer; without one, in a short answer or the last line of a long one."""
    phrases = [normalise(phrase) for phrase in query.json_reference(list) if isinstance(phrase, str)]
    if not any(phrases):
        raise query.failed(f"reference {query.reference!r} lists no phrase")
    text = normalise(_answering(answer))
    return float(any(has_phrase(text, phrase) for phrase in phrases))


def _answering(answer: str) -> str:
    """The part of an answer that answers."""
    marked = final_answer(answer)
    if marked is not None or len(answer) <= LONGEST_SENTENCE:
        return marked or answer
    return (lines_of(answer) or [""])[-1]
