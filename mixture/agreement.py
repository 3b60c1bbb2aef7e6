"""When two answers say the same: their final answers, brought to one form."""

import re
from collections.abc import Mapping
from decimal import Context

LONGEST_SHORT = 64  # characters: longer texts are prose, which is not compared word by word
_ANSWER_LINE = re.compile(  # its runs are bounded: the time it takes grows with the line, not with its square
    r"^(?:.*[.!?]\s)?\W{0,8}(?:the )?(?:final )?answer\b[*_\s]{0,8}(?:is\b|[:=])[*_\s:=]*(.+)$", re.IGNORECASE
)
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_CHOICE = re.compile(r"\(?([A-Ja-j])[).:]\s")


def short_answer(text: str) -> str | None:
    """The final answer in `text` in normal form: its last 'Answer:' line, or all of it if it is one short line; None for prose."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    stated = [match[1] for line in lines if (match := _ANSWER_LINE.match(line))]
    said = stated[-1] if stated else (lines[0] if len(lines) == 1 else "")
    if boxed := _BOXED.search(said):
        said = boxed[1]
    return normal(said) if len(said) <= LONGEST_SHORT else None


def normal(said: str) -> str | None:
    """`said` in lower case, without marks, articles and spaces that carry no meaning; numbers in one form."""
    bare = said.strip().strip("*_`\"'$ ()[].,;:!").casefold()
    bare = re.sub(r"^(?:the|an?)\s+", "", bare)
    if _NUMBER.fullmatch(bare):
        return _number(bare.replace(",", ""))
    return " ".join(re.sub(r"[*_`\"$]", "", bare).split()) or None


def _number(digits: str) -> str:
    """`digits` without the zeros that say nothing; every other digit stays."""
    exact = Context(prec=len(digits))  # no exponent is read, so none is longer than the text
    number = exact.create_decimal(digits).normalize(exact)
    return f"{number:f}" if number else "0"


def groups(texts: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """LLM ids by the final answer they give, for the answers that have one; 'B. Paris' counts as 'B' where another answer is just 'B'."""
    found = {llm: short_answer(text) for llm, text in texts.items()}
    letters = {said for said in found.values() if said is not None and re.fullmatch("[a-j]", said)}
    gathered: dict[str, tuple[str, ...]] = {}
    for llm, said in found.items():
        if said is None:
            continue
        choice = _CHOICE.match(f"{said} ")
        key = choice[1] if choice and choice[1] in letters else said
        gathered[key] = (*gathered.get(key, ()), llm)
    return gathered


def agree(texts: Mapping[str, str]) -> bool:
    """Whether at least two answers are there and all of them give the same final answer."""
    return len(texts) > 1 and any(len(members) == len(texts) for members in groups(texts).values())
