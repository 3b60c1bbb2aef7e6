"""When two answers say the same: their final answers, brought to one form."""

import re
from collections.abc import Mapping
from functools import lru_cache

from mixture.reading.final_answer import Statement, body, statements_in
from mixture.reading.manner import is_refusal, meant
from mixture.reading.notation import plain
from mixture.reading.numbers import Value
from mixture.reading.numeric import Number, alone, before_reasons

LONGEST_SHORT = 64  # characters: longer texts are prose, which is not compared word by word
MOST_WORDS = 5  # of a line that is taken for a final answer though it does not say so: "I cannot help with that, sorry." is none
IF_A_CHOICE = "?"  # before a letter: prose, unless the question turns out to be one of choice (`normalise_choices`)
_CHOICE = re.compile(r"\(?([A-Ja-j])[).]\s")  # an option taken with its text; "A:" is how an answer begins
_LETTER = re.compile(
    r"\W*(?:option\s+)?(?:\(([A-J])\)|(?-i:([A-J]))(?=\W*$|[\s*_]*[,;:)]|\s+(?:because|since|as)\b|\W*[^\W\d_a-z]\b))", re.IGNORECASE
)
_NAMED = re.compile(r"\W*([A-J])\.\s(?![A-Z]\.)")  # an option with its text; "B. B. King" is a name
_ENDING = re.compile(r"(?:です|である|입니다|이다)?[。.]?$")


@lru_cache(64)  # a request compares the same answers at each of its steps
def short_answer(text: str) -> str | None:
    """The final answer in `text` in normal form, None for prose, a refusal, and an answer that only says what it is not.

    Its last stated final answer (mixture.reading), else all of it if it is a few words; thinking is not read.
    IF_A_CHOICE and a letter where the first line takes that option and no other line any.
    """
    spoken_text = body(text)
    lines = [line.strip() for line in spoken_text.splitlines() if line.strip()]
    for statement in reversed(statements_in(spoken_text)):
        answer = _stated(statement, spoken_text)
        if answer is not None:
            return answer
        if statement.opens:
            return None
    if len(lines) == 1 and len(lines[0].split()) <= MOST_WORDS:
        return None if is_refusal(spoken_text) or len(lines[0]) > LONGEST_SHORT else normal(lines[0])
    picks = [(at, match[1]) for at, line in enumerate(lines) if (match := _CHOICE.match(line)) and match[1].isupper()]
    return f"{IF_A_CHOICE}{picks[0][1].lower()}" if len(picks) == 1 and picks[0][0] == 0 else None


def _stated(statement: Statement, spoken_text: str) -> str | None:
    """A stated final answer in normal form; words only where the statement is nothing else, so that an argument is no answer."""
    answer = plain(meant(statement.text) or "").strip()
    if letter := _LETTER.match(answer) or _NAMED.match(answer):
        return str(letter[letter.lastindex or 1]).lower()
    first = before_reasons(answer)
    if (number := alone(first)) is not None:
        return _written(number)
    is_code = spoken_text.count("```", 0, statement.start) % 2 == 1 and not spoken_text[statement.end :].lstrip().startswith("```")
    return normal(answer) if statement.opens and len(answer) <= LONGEST_SHORT and not is_code else None


def normal(answer: str) -> str | None:
    """`answer` in lower case, without marks, articles and spaces that carry no meaning; numbers in one form."""
    number = alone(answer)
    if number is not None:
        return _written(number)
    bare = _ENDING.sub("", plain(answer).strip()).strip("*_`\"'$ ()[].,;:!「」").casefold()
    bare = re.sub(r"^(?:the|an?)\s+", "", bare)
    return " ".join(re.sub(r"[\"$]", "", bare).split()) or None


def _written(number: Number) -> str:
    """A number in one form: `1000`, `-0.5`, `1/3`, `25%`, `20 cm`."""
    return f"{_digits(number.readings[0])} {number.unit}".strip().replace(" %", "%")


def _digits(value: Value) -> str:
    """All digits of a value that ends, a fraction of one that does not; a time as it is."""
    if isinstance(value, str) or value.denominator == 1:
        return str(value)
    twos_and_fives = value.denominator
    for prime in (2, 5):
        while twos_and_fives % prime == 0:
            twos_and_fives //= prime
    if twos_and_fives != 1:
        return str(value)
    places = next(places for places in range(1, value.denominator.bit_length() + 1) if (value * 10**places).denominator == 1)
    scaled = abs(value) * 10**places
    whole, decimals = divmod(int(scaled), 10**places)
    return f"{'-' if value < 0 else ''}{whole}.{decimals:0{places}d}"


def final_answers(texts: Mapping[str, str]) -> dict[str, str | None]:
    """Each LLM's final answer in normal form, None for prose."""
    return normalise_choices({llm: short_answer(text) for llm, text in texts.items()})


def normalise_choices(shorts: Mapping[str, str | None]) -> dict[str, str | None]:
    """Short answers to one query, equal where they mean the same choice: where one is just a letter, 'b. paris' is 'b'."""
    lettered = any(short is not None and re.fullmatch("[a-j]", short) for short in shorts.values())
    return {llm: None if short is None else _letter(short) if lettered else _unpicked(short) for llm, short in shorts.items()}


def _letter(short: str) -> str:
    choice = _CHOICE.match(f"{short} ")
    return choice[1] if choice else short.removeprefix(IF_A_CHOICE)


def _unpicked(short: str) -> str | None:
    return None if short.startswith(IF_A_CHOICE) else short


def groups(texts: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """LLM ids by the final answer they give, for the answers that have one."""
    gathered: dict[str, tuple[str, ...]] = {}
    for llm, short in final_answers(texts).items():
        if short is not None:
            gathered[short] = (*gathered.get(short, ()), llm)
    return gathered


def agree(texts: Mapping[str, str]) -> bool:
    """Whether at least two answers are there and all of them give the same final answer."""
    return len(texts) > 1 and any(len(members) == len(texts) for members in groups(texts).values())
