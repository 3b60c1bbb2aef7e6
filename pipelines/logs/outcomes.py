"""Thumbs and scores of a log as outcomes in [0, 1]: which score counts, and on which scale it is, is said and not guessed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.errors import ImportRefused
from pipelines.user_files import values
from scorer.near_matches import did_you_mean

THUMBS = {
    1.0: ("up", "thumbs up", "thumbsup", "like", "liked", "positive", "good", "helpful", "\N{THUMBS UP SIGN}", "1", "+1"),
    0.0: ("down", "thumbs down", "thumbsdown", "dislike", "disliked", "negative", "bad", "unhelpful", "\N{THUMBS DOWN SIGN}", "0"),
}
_THUMB_OF = {word: outcome for outcome, words in THUMBS.items() for word in words}


@dataclass(frozen=True, slots=True)
class Scale:
    """Which score is the outcome, and what its worst and best values are; low and high None: told by the values."""

    name: str
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, text: str) -> "Scale":
        """`NAME` or `NAME=LOW:HIGH`. Raises ImportRefused."""
        name, separator, ends = text.rpartition("=")
        if not separator:
            return cls(text)
        low, _, high = ends.partition(":")
        try:
            made = cls(name, float(low), float(high))
        except ValueError:
            made = cls(name, 0.0, 0.0)
        if made.low == made.high:
            raise ImportRefused(f"--score {text}: {ends!r} is no scale.", next_step=f"Write its worst and best value: --score {name}=1:5.")
        return made


def of_calls(scores: Mapping[str, Sequence[tuple[str, object]]], wanted: Scale | None) -> tuple[dict[str, float], str | None, list[str]]:
    """The outcome of each call that has one, the score's name, and sentences on what was not taken.

    scores: name of a score -> (id of the call, value). Raises ImportRefused where no score has the wanted name.
    """
    if not scores:
        return {}, None, []
    counts = ", ".join(f"{name} ({len(rows)})" for name, rows in scores.items())
    if wanted is not None and wanted.name not in scores:
        raise ImportRefused(f"No score is called {wanted.name!r}.", next_step=did_you_mean(wanted.name, scores))
    if wanted is None and len(scores) > 1:
        return {}, None, [f"Several scores, of which none was taken as outcome: {counts}. Name one: --score {next(iter(scores))}"]
    scale = wanted or Scale(next(iter(scores)))
    read = {call_id: _value(value) for call_id, value in scores[scale.name]}
    numbers = {value for value in read.values() if value is not None}
    if scale.low is None:
        if numbers <= {-1.0, 0.0, 1.0} and -1.0 in numbers:
            scale = Scale(scale.name, -1.0, 1.0)
        elif all(0 <= number <= 1 for number in numbers):
            scale = Scale(scale.name, 0.0, 1.0)
        else:
            told = f"The score {scale.name} goes from {min(numbers):g} to {max(numbers):g}: no outcome was taken."
            return {}, None, [f"{told} Say its scale: --score {scale.name}=LOW:HIGH"]
    low, high = scale.low or 0.0, scale.high if scale.high is not None else 1.0
    taken = {call_id: (value - low) / (high - low) for call_id, value in read.items() if value is not None}
    inside = {call_id: value for call_id, value in taken.items() if 0 <= value <= 1}
    notes = [f"{len(read) - len(inside)} values of {scale.name} are no number on its scale: no outcome."] if len(inside) < len(read) else []
    return inside, scale.name, notes


def by_name(rows: Sequence[tuple[str, str, object]]) -> dict[str, list[tuple[str, object]]]:
    """(name, id of the call, value) by name, the most frequent first."""
    named: dict[str, list[tuple[str, object]]] = {}
    for name, call_id, value in rows:
        named.setdefault(name, []).append((call_id, value))
    order = Counter({name: len(each) for name, each in named.items()}).most_common()
    return {name: named[name] for name, _ in order}


def _value(value: object) -> float | None:
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and (thumb := _THUMB_OF.get(value.strip().casefold().replace("_", " "))) is not None:
        return thumb
    try:
        number = values.score(value)
    except ValueError:
        return None
    return float(number) if isinstance(number, int | float) and abs(number) < 1e9 else None
