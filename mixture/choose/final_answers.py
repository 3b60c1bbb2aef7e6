"""When two answers say the same: their final answers, brought to one form."""

import re
from collections.abc import Mapping
from decimal import Context

IF_A_CHOICE = "?"  # before a letter: prose, unless the question turns out to be one of choice (`normalise_choices`)
LONGEST_SHORT = 64  # characters: longer texts are prose, which is not compared word by word
MOST_WORDS = 5  # of a line that is taken for a final answer though it does not say so: "I cannot help with that, sorry." is none
_ANSWER_LINE = re.compile(  # its runs are bounded: the time it takes grows with the line, not with its square
    r"^(?:.*[.!?]\s)?\W{0,8}(?:the )?(?:final )?answer\b[*_\s]{0,8}(?:is\b|[:=])[*_\s:=]*(.+)$", re.IGNORECASE
)
_IN_A_SENTENCE = re.compile(  # as an argument often ends: "Therefore, the correct answer is (B)."
    r"\b(?:the|final|correct|best) answer(?: is\b|:)[\s.*_]{0,8}(?:option )?"
    r"(\([A-J]\)|(?-i:[A-J])(?=[\s*_]*(?:[.,;:)]|$))|\$?\\boxed\{[^{}]*\}|[-+$]{0,2}\d[\d,.]*)",
    re.IGNORECASE,
)
_LAST = 400  # characters at the end in which a sentence may state the answer
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_CHOICE = re.compile(r"\(?([A-Ja-j])[).]\s")  # an option taken with its text; "A:" is how an answer begins


def short_answer(text: str) -> str | None:
    """The final answer in `text` in normal form, None for prose.

    Its last 'Answer:' line, else the last sentence near its end that says what the answer is, else all of it if it is a few words.
    IF_A_CHOICE and a letter where the first line takes that option and no other line any.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    stated = [match[1] for line in lines if (match := _ANSWER_LINE.match(line))] or _IN_A_SENTENCE.findall(text[-_LAST:])
    if not stated and not (len(lines) == 1 and len(lines[0].split()) <= MOST_WORDS):
        picks = [(at, match[1]) for at, line in enumerate(lines) if (match := _CHOICE.match(line)) and match[1].isupper()]
        return f"{IF_A_CHOICE}{picks[0][1].lower()}" if len(picks) == 1 and picks[0][0] == 0 else None
    answer = stated[-1] if stated else lines[0]
    if inside := _IN_A_SENTENCE.findall(answer):  # "Final answer: the answer is (B)."
        answer = inside[-1]
    if boxed := _BOXED.search(answer):
        answer = boxed[1]
    return normal(answer) if len(answer) <= LONGEST_SHORT else None


def normal(answer: str) -> str | None:
    """`answer` in lower case, without marks, articles and spaces that carry no meaning; numbers in one form."""
    bare = answer.strip().strip("*_`\"'$ ()[].,;:!").casefold()
    bare = re.sub(r"^(?:the|an?)\s+", "", bare)
    if _NUMBER.fullmatch(bare):
        return _number(bare.replace(",", ""))
    return " ".join(re.sub(r"[*_`\"$]", "", bare).split()) or None


def _number(digits: str) -> str:
    """`digits` without the zeros that say nothing; every other digit stays."""
    exact = Context(prec=len(digits))  # no exponent is read, so none is longer than the text
    number = exact.create_decimal(digits).normalize(exact)
    return f"{number:f}" if number else "0"


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
