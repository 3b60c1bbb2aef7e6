"""Where an answer says what its final answer is: `Answer: 42`, `The answer is (B).`, `#### 42`, a boxed formula."""

import re

_MARKER = re.compile(
    r"\banswer[ \t*_`\x22\x27]*(?:[:：=]|\b(?:is|would be|should be)\b[ \t]*[:：]?)|^[ \t]*####", re.IGNORECASE | re.MULTILINE
)
_BOXED = re.compile(r"\\boxed\s*\{")
_MARKUP = " \t*_`$"


def final_answer(text: str) -> str | None:
    """The line after the last marker, without Markdown around it; None where the text marks no answer."""
    boxed, markers = list(_BOXED.finditer(text)), list(_MARKER.finditer(text))
    if boxed and (not markers or boxed[-1].start() > markers[-1].start() or "\\boxed" in text[markers[-1].end() :]):
        return _braced(text[boxed[-1].end() :])
    if not markers:
        return None
    lines = (line.strip(_MARKUP) for line in text[markers[-1].end() :].splitlines())
    return next((line for line in lines if line and not line.endswith(":")), None)  # "The answer is as follows:" is not it


def lines_of(text: str) -> list[str]:
    """The lines that hold something, stripped of Markdown."""
    return [line.strip(_MARKUP) for line in text.splitlines() if line.strip(_MARKUP)]


def _braced(text: str) -> str:
    """`text` up to the brace that closes an already opened one (or its first line, where none does)."""
    depth = 1
    for at, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return text[:at].strip()
    return text.splitlines()[0].strip() if text else ""
