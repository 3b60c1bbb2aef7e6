"""Where an answer says what its final answer is: `Antwort: 42`, `The answer is (B).`, `答案是C`, `#### 42`, tags, JSON, a box."""

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from mixture.reading.languages import LANGUAGES, SPACED, STEMS, any_of
from mixture.reading.thinking import spoken

LONGEST = 50_000  # characters read from the end of a longer answer: what takes time grows with the text
_NOISE = r"[ \t*_`\x22\x27”“]{0,8}"
LONGEST_STATEMENT = 600  # characters of one statement
MOST_STATEMENTS = 30  # the last ones are read: an answer that loops states one thousand times
_BOXED = re.compile(r"\\f?boxed\s*\{")
_TAGGED = re.compile(r"<(answer|final_answer|final|result)>\s*(.*?)\s*(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_KEYS = re.compile(
    r"(?:the_?)?(?:final_?|correct_?)?(?:answer|choice|option)|antwort|réponse|reponse|respuesta|resposta|risposta|ответ|答案|答え|正解|정답",
    re.IGNORECASE,
)
_MARKUP = " \t*_`$"
_HOLLOW = re.compile(  # "the answer is clear": says nothing
    r"(?:very\s+|quite\s+|not\s+always\s+)?(?:as\s+follows|helpful|useful|clear|simple|obvious|straightforward|based\s+on|provided|above|below|given\s+(?:by|above|below)"
    r"|found\s+by|obtained|the\s+same|unique|complete|easy|hilfreich|klar|wie\s+folgt|útil|clar[ao]|utile|chiar[ao]|claire?|correct(?:\s*[.!]|\s+because)|right\s*[.!])(?![^\W\d_])",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"\W*(?:(?:so|thus|hence|therefore|final|correct|also|donc|daher|the|die|der|das|la|le|el|il|a|o|l)(?![^\W_])\W*)*", re.IGNORECASE
)
_DETERMINER = re.compile(  # "this answer is ..." speaks about an answer
    r"(?:this|that|your|an|proposed|suggested|given|previous|first|second|other|wrong|incorrect|any|each|every|another|whose|no|is\s+the"
    r"|diese|deine|ihre|cette|votre|esta|tu|su|sua|questa|tua)\s+(?:\w+\s+)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A final answer as it is stated from `start` to `end`, without Markdown; `bare`: in a box, a tag or JSON, no word around it.

    `opens`: its marker begins the sentence ("The answer is ..."), so that what follows is the answer even where it is words.
    """

    text: str
    bare: bool
    start: int
    end: int
    opens: bool = True


def body(text: str) -> str:
    """What of an answer is read: no thinking, and no question that it goes on to ask itself."""
    spoken_text = spoken(text)[-LONGEST:]
    for restart in _restarts().finditer(spoken_text):
        if statements_in(spoken_text[: restart.start()]):
            return spoken_text[: restart.start()].rstrip()
    return spoken_text


def statements(text: str) -> list[Statement]:
    """Every final answer that the `body` of `text` states, in order."""
    return statements_in(body(text))


def final_answer(text: str) -> str | None:
    """The last of them; None where the text states none."""
    stated = statements(text)
    return stated[-1].text if stated else None


def lines_of(text: str) -> list[str]:
    """The lines that hold something, stripped of Markdown."""
    return [line.strip(_MARKUP) for line in text.splitlines() if line.strip(_MARKUP)]


def statements_in(text: str) -> list[Statement]:
    """`statements` of a text that is a body already."""
    bare = [*_boxed(text), *_tagged(text), *_in_json(text)]
    marked = [each for each in _marked(text) if "\\boxed" not in each.text and not any(one.start <= each.start <= one.end for one in bare)]
    return sorted([*bare, *marked], key=lambda each: each.start)


def _boxed(text: str) -> Iterator[Statement]:
    for match in deque(_BOXED.finditer(text), MOST_STATEMENTS):
        inside = _braced(text[match.end() : match.end() + LONGEST_STATEMENT])
        yield Statement(inside, True, match.end(), match.end() + len(inside))


def _tagged(text: str) -> Iterator[Statement]:
    for match in _TAGGED.finditer(text):
        if match[2] and "\\boxed" not in match[2]:
            yield Statement(match[2][:LONGEST_STATEMENT].strip(_MARKUP), True, match.start(), match.end())


def _in_json(text: str) -> Iterator[Statement]:
    """The values of keys that name the answer, in the objects that stand in the text."""
    at = text.find("{")
    tries = 0
    while at >= 0 and tries < 20:  # an answer that is a program may hold hundreds of braces
        tries += 1
        try:
            parsed, end = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        for value in _answers(parsed):
            yield Statement(value, True, at, end)
        at = text.find("{", end)


def _answers(parsed: Any) -> Iterator[str]:
    if isinstance(parsed, Mapping):
        for key, value in parsed.items():
            if _KEYS.fullmatch(key.strip().replace(" ", "_")) and isinstance(value, str | int | float):
                yield str(value).strip()


def _marked(text: str) -> Iterator[Statement]:
    """What stands behind a marker: on its line, or ("The answer is as follows:") on the next one that holds something."""
    lines = ((line.start(), line.end()) for line in re.finditer(r"[^\n]+", text) if any(stem in line[0].casefold() for stem in STEMS))
    for match in deque((match for start, end in lines for match in _marker().finditer(text, start, end)), MOST_STATEMENTS):
        if _DETERMINER.search(text[max(match.start() - 20, 0) : match.start()]):
            continue
        for line in re.finditer(r"[^\n]+", text[match.end() : match.end() + LONGEST_STATEMENT]):
            content = line[0].strip(_MARKUP)
            if line[0].lstrip().startswith("```") or not content.strip("#-=:： ") or content.endswith((":", "：")):
                continue
            if not _HOLLOW.match(content):
                opens = _OPENING.fullmatch(re.split(r"[.!?\n。！？]", text[max(match.start() - 60, 0) : match.start()])[-1]) is not None
                yield Statement(content, False, match.end() + line.start(), match.end() + line.end(), opens)
            break


@cache
def _marker() -> re.Pattern[str]:
    """All languages' markers: the words for an answer and what links them to it, or a heading that says no more than that."""
    about = r"(?:\s+(?:to|for|of|in|zu|auf|für|à|de|a|per|alla|para|на|к)\s[^\n.:!?=]{1,80}?)?"
    spaced = "|".join(
        rf"(?:{each.answer}){_NOISE}{about}{_NOISE}(?:[:：=]|\s[–—-]\s|\s(?:{each.links})(?![^\W\d_])[ \t]*[:：]?)" for each in SPACED
    )
    unspaced = "|".join(rf"(?:{each.answer}){_NOISE}(?:[:：=]|{each.links})[ \t]*[:：]?" for each in LANGUAGES if each not in SPACED)
    heading = rf"^[ \t#*_>✅☑✔️-]*(?:{any_of('answer')})[ \t#*_]*$"
    return re.compile(rf"(?<![^\W\d_])(?:{spaced})|{unspaced}|{heading}|^[ \t]*####(?!#)", re.IGNORECASE | re.MULTILINE)


@cache
def _restarts() -> re.Pattern[str]:
    """Where an answer begins to ask: a line `Question: ...`, another speaker, the tokens of a chat template."""
    spaced = "|".join(each.restart for each in LANGUAGES)
    return re.compile(
        rf"^[ \t*_#>\[(]*(?:{spaced})[ \t*_\])]*[:：][^\n]*|^[ \t]*#{{2,}}\s*(?:{spaced})\s*$"
        r"|<\|im_start\|>|<\|(?:user|eot_id|endoftext)\|>|\[INST\]|</s>",
        re.IGNORECASE | re.MULTILINE,
    )


def _braced(text: str) -> str:
    """`text` up to the brace that closes an already opened one (or its first line, where none does)."""
    depth = 1
    for at, letter in enumerate(text):
        depth += (letter == "{" and text[at - 1 : at] != "\\") - (letter == "}" and text[at - 1 : at] != "\\")
        if depth == 0:
            return text[:at].strip()
    return text.splitlines()[0].strip() if text else ""
