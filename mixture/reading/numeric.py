"""The one number an answer gives, or none: in its stated final answer, else on its only line, else the last of what it asserts."""

import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import cache, lru_cache
from itertools import pairwise

from mixture.reading.final_answer import Statement, body, lines_of, statements_in
from mixture.reading.languages import ENGLISH, any_of, number_words
from mixture.reading.manner import is_closing, is_denied, is_refusal, meant, sentences, without_closing
from mixture.reading.numbers import Quantity, Value, prepared, quantities

_LEADING = re.compile(
    r"^(?:about|approximately|approx\.?|roughly|exactly|around|nearly|ca\.?|circa|etwa|environ|aproximadamente|cerca\s+de|около|≈|=|~|:|#|\s)+",
    re.IGNORECASE,
)
_WORDS_BEHIND = re.compile(r"[\s.,;:!?*_()\"'”°]*(?:[^\W\d_]{2,}[\s.,;:!?*_\"'”-]*){0,4}")
_COMPARED = re.compile(r"\b(?:more|less|greater|fewer|larger|smaller|higher|lower)\s+than\s*$|\bbetween\s*$|\bnot\s*$", re.IGNORECASE)
_ASIDE = re.compile(r"[;。；]|[.!?](?=\s|$)|,\s+(?=[^\W\d]{2})|，|\s[–—]\s|\s-\s(?=[^\W\d])|\s\(|→")
_REASON = re.compile(r"\s(?:because|since|so|as|for|given|which|where|weil|denn|car|parce|porque|pois|perché|потому)\s", re.IGNORECASE)
_UNKNOWN = re.compile(
    r"\W*(?:undefined|unknown|infinit|impossible|not\s|no\s|none\b|does\s+not|cannot|indeterminate|∞|unbestimmt|indéfini|indefinid)",
    re.IGNORECASE,
)
_BASED = re.compile(r"^\d{1,3}[.)]\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as read: its readings (`25%` is 25 and a quarter; a time of day is text) and its unit, "" where none is named."""

    readings: tuple[Value, ...]
    unit: str = ""


class Unsaid(Enum):
    """Of a statement that speaks of something else than a number: an earlier one is asked."""

    NUMBER = 0


def number_of(answer: str) -> Number | None:
    """The number `answer` gives; None where it gives none, several, or an expression that is no one number."""
    text = body(answer)
    for statement in reversed(statements_in(text)):
        number = _stated(statement)
        if not isinstance(number, Unsaid):
            return number
    if is_refusal(text):
        return None
    return _unmarked(without_closing(text))


@lru_cache(4_096)
def read(text: str, *, factorials: bool = True) -> Number | None:
    """The number that all of `text` is, but for `x =` before it and a unit or a few words behind it."""
    ready = _LEADING.sub("", prepared(text).strip().strip("*_\"'”“ ").rstrip(". "))
    left, equals, right = ready.rpartition("=")
    if equals and not re.search(r"[,;]\s|\b(?:or|and|oder|und|ou|o|y|et)\b", left):
        ready = right.strip()
    amounts = quantities(ready, factorials=factorials)
    if len(amounts) == 1 and not ready[: amounts[0].start].strip(" ([{") and _WORDS_BEHIND.fullmatch(ready[amounts[0].end :].strip(")]} ")):
        return _number(amounts[0])
    return _in_words(ready) if not amounts else None


def alone(text: str) -> Number | None:
    """The number that is all of `text`, with nothing behind it but its unit."""
    number = read(text, factorials=False)
    ready = prepared(text)
    amounts = quantities(ready) if number is not None else []
    return number if amounts and not re.search(r"[^\W\d_]", ready[amounts[-1].end :]) else None


def before_reasons(text: str) -> str:
    """`text` up to where it begins to explain itself, behind a number: `42 because 40 + 2 is`."""
    ready = prepared(text)
    amounts = quantities(ready)
    return ready[: _clause_end(ready, amounts)].strip() if amounts and not ready[: amounts[0].start].strip(" -+(~≈:=") else text


def stated_number(statement: Statement) -> Number | None:
    """The number a statement gives, if it gives one."""
    number = _stated(statement)
    return None if isinstance(number, Unsaid) else number


def _number(quantity: Quantity) -> Number | None:
    return Number(quantity.readings, quantity.unit) if quantity.readings else None


def _stated(statement: Statement) -> Number | Unsaid | None:
    """What a statement gives: a number, None where it is no number, Unsaid where it speaks of something else."""
    text = statement.text if statement.bare else meant(statement.text)
    if text is None:
        return None  # "not 3": it only denies
    whole = read(text, factorials=statement.bare)
    if whole is not None:
        return whole
    ready = prepared(text)
    amounts = quantities(ready, factorials=statement.bare)
    if not amounts:
        if _UNKNOWN.match(ready) or statement.bare:
            return None
        return _in_words(ready) or Unsaid.NUMBER
    if statement.bare:
        return None
    return _in_sentence(ready, amounts)


def _in_sentence(text: str, amounts: list[Quantity]) -> Number | Unsaid | None:
    """The one number of a stated sentence: of its first clause that has any, behind its last `=`."""
    end = _clause_end(text, amounts)
    clause = text[:end]
    first_sentence = re.split(r"[.!?。]\s", text, maxsplit=1)[0]
    if not any(each.start < len(first_sentence) for each in amounts):
        return Unsaid.NUMBER  # it explains before it answers
    here = [each for each in amounts if each.start < end]
    equals = clause.rfind("=")
    if equals >= 0 and any(each.start > equals for each in here):
        here = [each for each in here if each.start > equals]
    if len(here) == 1 or (
        len(here) > 1 and not clause[max(equals + 1, 0) : here[0].start].strip(" ~≈:*_\"'") and not _joined(clause, here)
    ):
        before = text[: here[0].start]
        return None if _COMPARED.search(before) else _number(here[0])
    return None


def _clause_end(text: str, amounts: list[Quantity]) -> int:
    """Where the first clause that holds a quantity ends."""
    cuts = [cut.start() for pattern in (_ASIDE, _REASON) for cut in pattern.finditer(text)]
    after = (at for at in cuts if any(each.end <= at + 1 for each in amounts) and not any(each.start < at < each.end for each in amounts))
    return min(after, default=len(text))


def _joined(clause: str, here: list[Quantity]) -> bool:
    """Whether the numbers are alternatives or parts of one answer: `12 or 15`, `2 and 3`, `3 of 5`, `1, 2`."""
    between = clause[here[0].end : here[1].start].split()
    return len(between) <= 3 and (
        not between or _links().search(between[-1]) is not None or not re.search(r"[^\W\d_]{2}", "".join(between))
    )


@cache
def _links() -> re.Pattern[str]:
    return re.compile(
        rf"{any_of('alternatives')}|\b(?:to|of|out|by|bis|von|à|de|sur|hasta|a|di|из|до|remainder|rest|r)\b|[±/:]", re.IGNORECASE
    )


def _unmarked(text: str) -> Number | None:
    """Without a marker: a line that is nothing but a number, else the last number of the last sentence that asserts one."""
    lines = lines_of(text)
    if not lines:
        return None
    whole = read(lines[-1]) or (read(lines[0]) if len(lines) > 1 and not re.search(r"[=+*/]", lines[0]) else None)
    if whole is not None:
        return whole
    if not any(map(str.isdigit, text)) and len(sentences(text)) == 1:
        return _one_word(text)
    for line in reversed(lines):
        for sentence in reversed(sentences(_BASED.sub("", line))):
            if is_closing(sentence) or sentence.rstrip("*_ ").endswith(("?", "？")):
                continue
            ready = prepared(sentence)
            amounts = quantities(ready, factorials=sentence.strip() == text.strip())
            asserted = next((each for each in reversed(amounts) if not is_denied(ready, each.start, each.end)), None)
            if asserted is not None:
                return None if _is_open(ready, amounts) or _is_list(ready, amounts) else _number(asserted)
    return None


def _is_open(text: str, amounts: list[Quantity]) -> bool:
    """Whether a sentence leaves open which of its last numbers it means: `12 or 15`."""
    return len(amounts) > 1 and _either().fullmatch(text[amounts[-2].end : amounts[-1].start]) is not None


def _is_list(text: str, amounts: list[Quantity]) -> bool:
    """Whether a sentence is nothing but several numbers: `3, 4, 5`, `2-5`, `x = 3, y = 4`."""
    around = [
        text[: amounts[0].start],
        *(text[one.end : other.start] for one, other in pairwise(amounts)),
        text[amounts[-1].end :],
    ]
    words = _links().sub(" ", re.sub(r"\b[a-z]\s*=", " ", " ".join(around)))
    return len(amounts) > 1 and not re.search(r"[\w=]", words)


@cache
def _either() -> re.Pattern[str]:
    return re.compile(r"[\s,*_]*(?:\w+\s)?(?:or|oder|ou|o|u|oppure|или|либо|或|或者|または|か|또는|혹은|/)(?:\s\w+)?[\s*_]*", re.IGNORECASE)


def _in_words(text: str) -> Number | None:
    """A small number written as a word, with at most a few words behind it: `seven apples`, `forty-two`, `minus three`."""
    match = re.match(
        r"\W*(?P<minus>minus|negative|moins|menos|meno|минус)?\s*(?P<word>[^\W\d_]+(?:[-\s](?:one|two|three|four|five|six|seven|eight|nine)\b)?)(?P<rest>[^\n]*)$",
        text.casefold(),
    )
    if (
        match is None
        or re.match(r"\s*(?:of|hundred|thousand|million|and|or|to|half|third|quarter|point|de\b|von\b)|-", match["rest"])
        or len(match["rest"].split()) > 4
    ):
        return None
    value = _word_value(re.split(r"[-\s]", match["word"]))
    if value is None:
        return None
    return Number((Fraction(-value if match["minus"] else value),))


def _one_word(sentence: str) -> Number | None:
    """The only number that a sentence names in an English word from two to twelve."""
    named = [ENGLISH.numbers.split().index(word) for word in re.findall(r"[a-z]+", sentence.lower()) if word in ENGLISH.numbers.split()[2:]]
    return Number((Fraction(named[0]),)) if len(named) == 1 else None


_TEENS = {
    word: value for value, word in enumerate(["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"], start=13)
}
_TENS = {
    word: 10 * value for value, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2)
}


def _word_value(words: list[str]) -> int | None:
    small = number_words() | _TEENS
    if len(words) == 2:
        return _TENS[words[0]] + small[words[1]] if words[0] in _TENS and words[1] in small else None
    return small.get(words[0], _TENS.get(words[0]))
