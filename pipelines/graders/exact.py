"""Grader `exact`: the answer, what it states as its final answer, or the one thing it quotes equals the reference."""

import ast
import re
from typing import Any

from mixture.reading.final_answer import body, statements_in
from mixture.reading.manner import meant, without_closing
from mixture.reading.notation import plain
from mixture.reading.text import YES_OR_NO, normalise
from pipelines.graders.query import Query

VERSION = "2"
LONGEST_SENTENCE = 300  # characters: a longer text that quotes one thing has not answered with it
_QUOTED = re.compile(r"```[^\n`]*\n(.+?)```|`([^`\n]+)`|\"([^\"\n]+)\"|“([^”\n]+)”|«([^»\n]+)»|„([^“\n]+)“|「([^」\n]+)」", re.DOTALL)
_ENDINGS = re.compile(r"(?:です|である|だ|입니다|이다)?[。.]?$")
_DECIMAL = re.compile(r"(-?(?:0|[1-9]\d*))\.(\d+)")


def grade(answer: str, query: Query) -> float:
    """1 where one of these equals the reference but for spacing, quotes, a full stop and case, else 0.

    Case counts where the query itself has the reference in another case: what `'ab'.upper()` gives is not `ab`. Lists and other
    literals are compared as values of the same types; `0.5` is `0.50`, and is not `1/2`.
    """
    fold = not _asked_about_case(query)
    if not normalise(query.reference):
        raise query.failed(f"empty reference {query.reference!r}")
    reference = _form(query.reference, fold=fold)
    text = without_closing(body(answer))
    readings = [_form(each, fold=fold) for each in _answers(text)]
    return float(reference in readings or {_form(each, fold=fold) for each in _quoted(text)} == {reference})


def _answers(text: str) -> list[str]:
    """What an answer may be meant to say: all of it, its last statement, the yes or no it begins with."""
    stated = statements_in(text)
    last = [meant(stated[-1].text) or ""] if stated else []
    readings = [text, *last]
    readings += [
        re.split(r"[,.;:!，。]", each, maxsplit=1)[0]
        for each in readings
        if normalise(re.split(r"[,.;:!，。]", each, maxsplit=1)[0]) in YES_OR_NO
    ]
    readings += [plain(each) for each in readings if "\\" in each]
    return readings + [_ENDINGS.sub("", each) for each in last]


def _form(text: str, *, fold: bool) -> Any:
    """What is compared: a value's one spelling where `text` is a literal, else the text in normal form."""
    form = normalise(text, fold=fold)
    if form[:1] in {"[", "(", "{"}:
        try:
            return repr(ast.literal_eval(normalise(text, fold=False)))
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            return re.sub(r"\s*([\[\](){},:])\s*", r"\1", form)
    decimal = _DECIMAL.fullmatch(form)
    return f"{decimal[1]}.{decimal[2].rstrip('0') or '0'}" if decimal else form


def _quoted(text: str) -> list[str]:
    """What a short answer quotes, as in `This prints "ab"`."""
    matches = _QUOTED.findall(text) if len(text) <= LONGEST_SENTENCE else []
    return [quoted for groups in matches for quoted in groups if quoted]


def _asked_about_case(query: Query) -> bool:
    """Whether the query's text holds the reference in another case only."""
    reference = query.reference.strip()
    return reference not in query.text and reference.casefold() in query.text.casefold()
